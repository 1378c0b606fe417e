//! What an import of a service token may contain.

use std::time::Duration;

use domain::{ChannelState, Grant, Timestamp, reason};
use secrecy::ExposeSecret as _;

use crate::fields::Fields;
use crate::{Accepted, Egress, FieldError, ImportRequest, jwt};

use super::{SERVICE_TOKEN, SETTING};

const BASE_URL: &str = "base_url";
const BASE_URL_MAX: usize = 2048;
/// A person should be told before it is over.
const SOON: Duration = Duration::from_hours(7 * 24);

/// `service_token`, and `base_url` unless the settings have one.
///
/// An access token is obtained at once. The service token's own end, if it is a
/// JWT with one, is kept as the end of the refresh token.
pub(super) fn accept(
    import: &ImportRequest,
    egress: &Egress,
    has_default: bool,
) -> Result<Accepted, Vec<FieldError>> {
    let mut fields = Fields::new(&import.credentials, import.now);
    let service_token = fields.required_secret(SERVICE_TOKEN);
    let base_url = read_base(&mut fields, egress, has_default);
    fields.finish()?;

    let times = service_token
        .as_ref()
        .and_then(|token| jwt::times(token.expose_secret()));
    let ends_at = times.map(|times| times.expires_at);
    let key = service_token.map(|token| (SERVICE_TOKEN.to_owned(), token));
    let accepted = Accepted {
        grant: Grant {
            keys: key.into_iter().collect(),
            issued_at: Some(import.now),
            base_url,
            ..Grant::default()
        },
        access_expires_at: None,
        refresh_expires_at: ends_at,
        external_id: None,
        has_refresh_material: true,
        state: ChannelState::Active,
        reason: None,
        warning: None,
        due_now: true,
    };
    Ok(warned(accepted, ends_at, import.now))
}

/// The tenant's address without its final slash.
fn read_base(fields: &mut Fields<'_>, egress: &Egress, has_default: bool) -> Option<String> {
    if !fields.has(BASE_URL) && !has_default {
        fields.refuse(
            BASE_URL,
            &format!("is missing, and the setting {SETTING} is not set"),
        );
    }
    let given = fields.text(BASE_URL, BASE_URL_MAX)?;
    match egress.check(&given) {
        Ok(url) => Some(url.as_str().trim_end_matches('/').to_owned()),
        Err(refusal) => {
            fields.refuse(BASE_URL, &refusal.to_string());
            None
        }
    }
}

/// Tells at once what only a person can help, or must help soon.
fn warned(accepted: Accepted, ends_at: Option<Timestamp>, now: Timestamp) -> Accepted {
    let Some(left) = ends_at.map(|end| end.since(now)) else {
        return accepted;
    };
    if left.is_zero() {
        return Accepted {
            has_refresh_material: false,
            ..accepted.needs_reauth(
                reason::EXPIRED,
                "the service token has expired: an administrator must issue a new one",
            )
        };
    }
    let days = left.as_secs() / 86_400;
    let warning = format!(
        "the service token ends in {days} days: have an administrator issue a new one in time"
    );
    Accepted {
        warning: (left < SOON).then_some(warning),
        ..accepted
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_176_000);

    fn accepted(credentials: Value, has_default: bool) -> Result<Accepted, Vec<FieldError>> {
        let Value::Object(credentials) = credentials else {
            panic!("an object")
        };
        let second = Duration::from_secs(1);
        let egress = Egress::new(second, second, false).expect("a guard");
        let import = ImportRequest {
            credentials,
            now: NOW,
        };
        accept(&import, &egress, has_default)
    }

    fn jwt(ends_in: Duration) -> String {
        let end = NOW.plus(ends_in).as_millis() / 1000;
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{end}}}"#));
        format!("eyJ.{claims}.sig")
    }

    fn refused(credentials: Value, has_default: bool) -> Vec<String> {
        let errors = accepted(credentials, has_default).expect_err("it is refused");
        let shown = |error: FieldError| format!("{} {}", error.field, error.message);
        errors.into_iter().map(shown).collect()
    }

    #[test]
    fn a_service_token_obtains_an_access_token_at_once() {
        let year = Duration::from_hours(365 * 24);
        let given = json!({
            "service_token": jwt(year), "base_url": "https://api.example.com/api/",
        });

        let accepted = accepted(given, false).expect("it is accepted");

        assert_eq!(
            accepted.grant.base_url.as_deref(),
            Some("https://api.example.com/api")
        );
        assert_eq!(accepted.refresh_expires_at, Some(NOW.plus(year)));
        assert_eq!(accepted.state, ChannelState::Active);
        assert!(accepted.due_now && accepted.has_refresh_material);
        assert_eq!((accepted.access_expires_at, accepted.warning), (None, None));
    }

    #[test]
    fn one_without_an_end_is_active_all_the_same() {
        for token in ["eyJ.e30.sig", "opaque"] {
            let accepted = accepted(json!({ "service_token": token }), true).expect("accepted");

            assert_eq!(accepted.state, ChannelState::Active, "{token}");
            assert_eq!(accepted.refresh_expires_at, None, "{token}");
            assert_eq!(accepted.grant.base_url, None, "{token}");
        }
    }

    #[test]
    fn its_own_end_is_told_in_time() {
        let told = |left| {
            let given = json!({ "service_token": jwt(left) });
            let accepted = accepted(given, true).expect("accepted");
            (accepted.state, accepted.warning.is_some())
        };

        assert_eq!(told(SOON), (ChannelState::Active, false));
        assert_eq!(
            told(SOON.checked_sub(Duration::from_secs(1)).unwrap()),
            (ChannelState::Active, true)
        );
        assert_eq!(told(Duration::ZERO), (ChannelState::NeedsReauth, true));
    }

    #[test]
    fn an_address_that_must_not_be_called_is_refused_by_its_field() {
        for (address, message) in [
            ("http://api.example.com", "must begin with https://"),
            (
                "https://10.0.0.1/api",
                "must not point to a private address",
            ),
            ("https://u:p@api.example.com", "must not name a user"),
            (
                "https://x.example/?a=b",
                "must not have a query or a fragment",
            ),
            (
                "https://169.254.169.254/",
                "must not point to a reserved address",
            ),
            (
                "example.com",
                "must be an address such as https://host.example/api",
            ),
        ] {
            let given = json!({ "service_token": "t", "base_url": address });

            let errors = refused(given, true);

            assert_eq!(errors, [format!("credentials.base_url {message}")]);
        }
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let errors = refused(json!({ "access_token": "a" }), false);

        assert_eq!(
            errors,
            [
                "credentials.service_token is missing",
                "credentials.base_url is missing, and the setting SERVICE_TOKEN_BASE_URL is not set",
                "credentials.access_token is not known here",
            ]
        );
    }
}
