//! Lenient reading of providers' JSON: numbers that are strings, and the reverse.

use std::time::Duration;

use domain::Lifetime;
use secrecy::SecretString;
use serde_json::Value;

/// No token lives longer; what claims to is cut to it.
const CENTURY: u64 = 100 * 365 * 86_400;

/// The words or the number under `key`, as text; absent if empty.
pub(crate) fn text(object: &Value, key: &str) -> Option<String> {
    match object.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The secret under `key`; absent if empty.
pub(crate) fn secret(object: &Value, key: &str) -> Option<SecretString> {
    match object.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.as_str().into()),
        _ => None,
    }
}

/// The whole number under `key`, also as a string or with a zero fraction.
pub(crate) fn number(object: &Value, key: &str) -> Option<i64> {
    match object.get(key)? {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
        _ => None,
    }
}

/// The seconds under `key`; absent if negative, or zero: no token is issued dead.
pub(crate) fn seconds(object: &Value, key: &str) -> Option<Duration> {
    let seconds = u64::try_from(number(object, key)?).ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds.min(CENTURY)))
}

/// The lifetime in seconds under `key`, unknown if it is not there.
pub(crate) fn lifetime(object: &Value, key: &str) -> Lifetime {
    seconds(object, key).map_or(Lifetime::Unknown, Lifetime::For)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked, and so is the fraction"
)]
fn whole(number: f64) -> Option<i64> {
    let fits = number.fract() == 0.0 && number.abs() < 9.0e15;
    fits.then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_are_read_from_numbers_and_from_strings() {
        let of = |value: Value| seconds(&json!({ "it": value }), "it").map(|it| it.as_secs());

        for good in [json!(7200), json!("7200"), json!(7200.0), json!(" 7200.0 ")] {
            assert_eq!(of(good.clone()), Some(7200), "{good}");
        }
        for bad in [
            json!(0),
            json!(-1),
            json!("soon"),
            json!(1.5),
            json!(null),
            json!([1]),
            json!("NaN"),
            json!(true),
        ] {
            assert_eq!(of(bad.clone()), None, "{bad}");
        }
        assert_eq!(of(json!(i64::MAX)), Some(CENTURY));
        assert_eq!(of(json!(1e300)), None);
    }

    #[test]
    fn a_code_is_text_whether_it_came_as_number_or_as_string() {
        assert_eq!(text(&json!({"code": 51}), "code").as_deref(), Some("51"));
        assert_eq!(text(&json!({"code": "51"}), "code").as_deref(), Some("51"));
        assert_eq!(text(&json!({"code": ""}), "code"), None);
        assert_eq!(text(&json!({"code": {}}), "code"), None);
    }
}
