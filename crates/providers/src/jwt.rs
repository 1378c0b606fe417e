//! Looks into a JWT that came from its issuer itself, without checking its signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use serde_json::Value;

use crate::json::number;

/// The times that a JWT tells of itself (RFC 7519 sections 4.1.4 and 4.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// `exp`.
    pub(crate) expires_at: Timestamp,
    /// `iat`.
    pub(crate) issued_at: Option<Timestamp>,
}

/// The times of a token; `None` if it is no JWT or has no end.
pub(crate) fn times(token: &str) -> Option<Times> {
    let claims = claims(token)?;
    let at = |name| number(&claims, name).map(Timestamp::from_secs);
    Some(Times {
        expires_at: at("exp")?,
        issued_at: at("iat"),
    })
}

/// What a JWT says; `None` if it is none.
pub(crate) fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?.trim_end_matches('=');
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("eyJ.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_end_of_a_jwt_is_read_and_everything_else_has_none() {
        let full = Times {
            expires_at: Timestamp::from_secs(240),
            issued_at: Some(Timestamp::from_secs(0)),
        };

        assert_eq!(times(&jwt(r#"{"iat":0,"exp":240}"#)), Some(full));
        assert_eq!(times(&jwt("{}")), None);
        for none in ["", "a.b", "eyJ.e30.sig", "eyJ.!!!.sig", "..."] {
            assert_eq!(times(none), None, "{none}");
        }
    }
}
