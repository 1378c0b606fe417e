//! What an import of Facturify credentials may contain.

use domain::{ChannelState, Grant};

use crate::fields::Fields;
use crate::{Accepted, FieldError, ImportRequest};

use super::{API_KEY, API_SECRET};

/// `api_key` and `api_secret`; a token is obtained with them at once.
pub(super) fn accept(import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
    let mut fields = Fields::new(&import.credentials, import.now);
    let key = fields.required_secret(API_KEY);
    let secret = fields.required_secret(API_SECRET);
    fields.finish()?;

    let key = key.map(|key| (API_KEY.to_owned(), key));
    let secret = secret.map(|secret| (API_SECRET.to_owned(), secret));
    Ok(Accepted {
        grant: Grant {
            keys: key.into_iter().chain(secret).collect(),
            issued_at: Some(import.now),
            ..Grant::default()
        },
        access_expires_at: None,
        refresh_expires_at: None,
        external_id: None,
        has_refresh_material: true,
        state: ChannelState::Active,
        reason: None,
        warning: None,
        due_now: true,
    })
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn accepted(credentials: Value) -> Result<Accepted, Vec<FieldError>> {
        let Value::Object(credentials) = credentials else {
            panic!("an object")
        };
        accept(&ImportRequest {
            credentials,
            now: Timestamp::from_secs(1_795_176_000),
        })
    }

    #[test]
    fn a_key_and_its_secret_are_due_at_once() {
        let accepted = accepted(json!({ "api_key": "k", "api_secret": "s" })).expect("accepted");

        let keys: Vec<&str> = accepted.grant.keys.keys().map(String::as_str).collect();
        assert_eq!(keys, ["api_key", "api_secret"]);
        assert_eq!(accepted.state, ChannelState::Active);
        assert!(accepted.due_now && accepted.has_refresh_material);
        assert_eq!(accepted.access_expires_at, None);
    }

    #[test]
    fn everything_else_is_refused() {
        let errors = accepted(json!({ "api_key": 5, "token": "t" })).expect_err("refused");

        let shown: Vec<String> = errors
            .into_iter()
            .map(|error| format!("{} {}", error.field, error.message))
            .collect();
        assert_eq!(
            shown,
            [
                "credentials.api_key must be a string",
                "credentials.api_secret is missing",
                "credentials.token is not known here",
            ]
        );
    }
}
