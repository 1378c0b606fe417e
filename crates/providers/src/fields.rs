//! Reads the `credentials` object of an import field by field and collects what is wrong.

use std::time::Duration;

use domain::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::FieldError;

/// Longest secret, in bytes: a long JWT.
const SECRET_MAX: usize = 8192;
/// Longest id of an account.
pub(crate) const ID_MAX: usize = 256;
/// Longest list of scopes.
pub(crate) const SCOPE_MAX: usize = 4096;
/// Longest name of an unknown field that is repeated in its error.
const NAME_SHOWN: usize = 64;

const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);
/// 2000-01-01: no credential is older.
const EARLIEST: Timestamp = Timestamp::from_secs(946_684_800);
/// What clocks may differ by.
const SKEW: Duration = Duration::from_mins(5);

/// The fields of one import. Whatever is not asked for is unknown.
///
/// `null` counts as absent. After an error a reading returns `None` and the
/// caller goes on, so that [`Fields::finish`] reports everything at once.
pub(crate) struct Fields<'a> {
    given: &'a Map<String, Value>,
    now: Timestamp,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// Of this object; relative times count from `now`.
    pub(crate) const fn new(given: &'a Map<String, Value>, now: Timestamp) -> Self {
        Self {
            given,
            now,
            known: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// A token or a key.
    pub(crate) fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        self.string(name, SECRET_MAX).map(SecretString::from)
    }

    /// A token or a key without which the import makes no sense.
    pub(crate) fn required_secret(&mut self, name: &'static str) -> Option<SecretString> {
        if self.value(name).is_none() {
            self.refuse(name, "is missing");
        }
        self.secret(name)
    }

    /// A text of at most `max` bytes.
    pub(crate) fn text(&mut self, name: &'static str, max: usize) -> Option<String> {
        self.string(name, max).map(str::to_owned)
    }

    /// One of these words.
    pub(crate) fn one_of<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let given = self.string(name, ID_MAX)?;
        let found = words.iter().find(|(word, _)| *word == given);
        if found.is_none() {
            let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.refuse(name, &format!("must be one of {}", allowed.join(", ")));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// Which one of two names of the same thing is given; both are an error.
    pub(crate) fn either(&mut self, one: &'static str, other: &'static str) -> &'static str {
        match (self.value(one).is_some(), self.value(other).is_some()) {
            (true, true) => {
                self.refuse(other, &format!("cannot be given together with {one}"));
                one
            }
            (false, true) => other,
            _ => one,
        }
    }

    /// An instant that lies in the past.
    pub(crate) fn past(&mut self, name: &'static str) -> Option<Timestamp> {
        let at = self.instant(name)?;
        if at > self.now.plus(SKEW) {
            self.refuse(name, "must not be in the future");
            return None;
        }
        Some(at.min(self.now))
    }

    /// The end of a token, as seconds from `from` on (`seconds`) or as an instant (`at`).
    pub(crate) fn end(
        &mut self,
        seconds: &'static str,
        at: &'static str,
        from: Timestamp,
    ) -> Option<Timestamp> {
        let name = self.either(seconds, at);
        if name == seconds {
            return self.duration(seconds).map(|it| from.plus(it));
        }
        self.instant(at)
    }

    /// Reports a field that is fine in itself, but not here.
    pub(crate) fn refuse(&mut self, name: &str, message: &str) {
        self.errors.push(FieldError {
            field: format!("credentials.{name}"),
            message: message.to_owned(),
        });
    }

    /// Whether a field is given; it is a known one from then on.
    pub(crate) fn has(&mut self, name: &'static str) -> bool {
        self.value(name).is_some()
    }

    /// # Errors
    ///
    /// Everything that was refused, then every field that nobody asked for.
    pub(crate) fn finish(mut self) -> Result<(), Vec<FieldError>> {
        let given = self.given;
        for name in given.keys() {
            if !self.known.contains(&name.as_str()) {
                let shown: String = name.chars().take(NAME_SHOWN).collect();
                self.refuse(&shown.escape_debug().to_string(), "is not known here");
            }
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(self.errors)
        }
    }

    fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.given.get(name).filter(|value| !value.is_null())
    }

    fn string(&mut self, name: &'static str, max: usize) -> Option<&'a str> {
        let value = self.value(name)?;
        let Some(text) = value.as_str() else {
            self.refuse(name, "must be a string");
            return None;
        };
        let wrong = if text.is_empty() {
            Some("must not be empty".to_owned())
        } else if text.len() > max {
            Some(format!("must not be longer than {max} bytes"))
        } else if text.chars().any(char::is_control) {
            Some("must not contain control characters".to_owned())
        } else if text.trim() != text {
            Some("must not begin or end with a space".to_owned())
        } else {
            None
        };
        if let Some(wrong) = wrong {
            self.refuse(name, &wrong);
            return None;
        }
        Some(text)
    }

    fn duration(&mut self, name: &'static str) -> Option<Duration> {
        let value = self.value(name)?;
        let seconds = whole(value).map(Duration::from_secs);
        let fits = seconds.filter(|it| !it.is_zero() && *it <= CENTURY);
        if fits.is_none() {
            let max = CENTURY.as_secs();
            self.refuse(
                name,
                &format!("must be a whole number of seconds, 1 to {max}"),
            );
        }
        fits
    }

    fn instant(&mut self, name: &'static str) -> Option<Timestamp> {
        let at = Timestamp::parse(self.string(name, ID_MAX)?);
        let Some(at) = at else {
            self.refuse(
                name,
                "must be an RFC 3339 time such as 2026-11-21T09:30:00Z",
            );
            return None;
        };
        if at < EARLIEST || at > self.now.plus(CENTURY) {
            self.refuse(
                name,
                "must lie between the year 2000 and a century from now",
            );
            return None;
        }
        Some(at)
    }
}

/// A whole number, which may be written with a fraction of zero; `30.0` is `30`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is whole and within 32 bits"
)]
fn whole(value: &Value) -> Option<u64> {
    let exact = |it: &f64| it.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(it);
    value
        .as_u64()
        .or_else(|| value.as_f64().filter(exact).map(|it| it as u64))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_176_000);

    /// What is refused, after `read` has read what it wants of `given`.
    fn refused(given: Value, read: impl Fn(&mut Fields<'_>)) -> Vec<(String, String)> {
        let Value::Object(given) = given else {
            panic!("an object")
        };
        let mut fields = Fields::new(&given, NOW);
        read(&mut fields);
        let errors = fields.finish().err().unwrap_or_default();
        errors
            .into_iter()
            .map(|it| (it.field, it.message))
            .collect()
    }

    #[test]
    fn a_secret_is_a_plain_short_string() {
        let long = "x".repeat(8193);
        for (given, message) in [
            (json!(""), "must not be empty"),
            (json!(5), "must be a string"),
            (json!(["a"]), "must be a string"),
            (json!("a\r\nHost: b"), "must not contain control characters"),
            (json!(" token"), "must not begin or end with a space"),
            (json!(long), "must not be longer than 8192 bytes"),
        ] {
            let errors = refused(json!({ "it": given }), |fields| {
                assert!(fields.secret("it").is_none());
            });

            assert_eq!(errors, [("credentials.it".to_owned(), message.to_owned())]);
        }
    }

    #[test]
    fn a_missing_field_is_reported_once_and_null_is_missing() {
        for given in [json!({}), json!({ "it": null })] {
            let errors = refused(given, |fields| {
                assert!(fields.required_secret("it").is_none());
            });

            assert_eq!(
                errors,
                [("credentials.it".to_owned(), "is missing".to_owned())]
            );
        }
    }

    #[test]
    fn seconds_are_whole_positive_and_less_than_a_century() {
        for given in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("60"),
            json!(1e300),
            json!(u64::MAX),
            json!(true),
        ] {
            let errors = refused(json!({ "in": given }), |fields| {
                assert_eq!(fields.end("in", "at", NOW), None);
            });

            assert_eq!(errors[0].0, "credentials.in", "{given}");
        }
    }

    #[test]
    fn an_instant_is_rfc_3339_and_possible() {
        for given in [
            json!("tomorrow"),
            json!("2026-13-01T00:00:00Z"),
            json!("2026-11-21"),
            json!("1999-12-31T23:59:59Z"),
            json!("9999-12-31T23:59:59Z"),
            json!(1_795_176_000),
        ] {
            let errors = refused(json!({ "at": given }), |fields| {
                assert_eq!(fields.end("in", "at", NOW), None);
            });

            assert_eq!(errors[0].0, "credentials.at", "{given}");
        }
    }

    #[test]
    fn both_forms_of_one_time_are_refused() {
        let given = json!({ "in": 60, "at": "2027-01-01T00:00:00Z" });

        let errors = refused(given, |fields| {
            fields.end("in", "at", NOW);
        });

        let message = "cannot be given together with in".to_owned();
        assert_eq!(errors, [("credentials.at".to_owned(), message)]);
    }

    #[test]
    fn an_unknown_field_is_named_without_its_value_and_cut() {
        let name = format!("a\n{}", "b".repeat(100));

        let errors = refused(json!({ name: "EAAsecret" }), |_| {});

        let field = format!("credentials.a\\n{}", "b".repeat(62));
        assert_eq!(errors, [(field, "is not known here".to_owned())]);
    }

    #[test]
    fn an_issue_in_the_future_is_refused_beyond_what_clocks_differ_by() {
        let at = |text: &str| json!({ "issued_at": text });

        // NOW is 12:00:00.
        let soon = refused(at("2026-11-20T12:04:00Z"), |fields| {
            assert_eq!(fields.past("issued_at"), Some(NOW));
        });
        let late = refused(at("2026-11-20T12:06:00Z"), |fields| {
            assert_eq!(fields.past("issued_at"), None);
        });

        assert_eq!(soon, []);
        assert_eq!(late[0].1, "must not be in the future");
    }

    #[test]
    fn what_is_fine_is_read_as_it_is() {
        let errors = refused(json!({ "key": "k-1", "in": 60 }), |fields| {
            let key = fields.required_secret("key").expect("a key");
            assert_eq!(key.expose_secret(), "k-1");
            assert_eq!(
                fields.end("in", "at", NOW),
                Some(NOW.plus(Duration::from_mins(1)))
            );
        });

        assert_eq!(errors, []);
    }
}
