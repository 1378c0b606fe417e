//! What an import of credentials of TikTok's API for Business may contain.

use domain::{ChannelState, Grant};

use crate::fields::{Fields, ID_MAX, SCOPE_MAX};
use crate::{Accepted, FieldError, ImportRequest, token_pair};

/// Fields that only a token which ends has.
const OF_ACCOUNTS: [&str; 5] = [
    "refresh_token",
    "expires_in",
    "expires_at",
    "refresh_expires_in",
    "refresh_expires_at",
];

/// An account's pair of tokens, or an advertiser's access token alone.
pub(super) fn accept(import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
    let given = |name: &str| import.credentials.get(name).is_some_and(|it| !it.is_null());
    if !given("access_token") || OF_ACCOUNTS.into_iter().any(given) {
        return token_pair::accept(import);
    }
    advertiser(import)
}

/// `access_token`, `external_id? | open_id?`, `scope?`: it never ends (§4.2.b).
fn advertiser(import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
    let mut fields = Fields::new(&import.credentials, import.now);
    let access_token = fields.required_secret("access_token");
    let id_field = fields.either("external_id", "open_id");
    let external_id = fields.text(id_field, ID_MAX);
    let scope = fields.text("scope", SCOPE_MAX);
    fields.finish()?;

    Ok(Accepted {
        grant: Grant {
            access_token,
            issued_at: Some(import.now),
            scope,
            ..Grant::default()
        },
        access_expires_at: None,
        refresh_expires_at: None,
        external_id,
        has_refresh_material: false,
        state: ChannelState::NeverExpires,
        reason: None,
        warning: None,
        due_now: false,
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
    fn an_advertisers_token_never_ends() {
        let accepted = accepted(json!({ "access_token": "t", "external_id": "7" })).expect("fine");

        assert_eq!(accepted.state, ChannelState::NeverExpires);
        assert_eq!(accepted.external_id.as_deref(), Some("7"));
        assert!(!accepted.has_refresh_material && !accepted.due_now);
    }

    #[test]
    fn an_accounts_pair_is_kept_alive() {
        let accepted = accepted(json!({
            "access_token": "t", "refresh_token": "r", "expires_in": 86_400,
        }))
        .expect("it is accepted");

        assert_eq!(accepted.state, ChannelState::Active);
        assert!(accepted.has_refresh_material);
    }

    #[test]
    fn a_token_that_ends_needs_its_refresh_token() {
        for credentials in [
            json!({}),
            json!({ "access_token": "t", "expires_in": 60 }),
            json!({ "access_token": "t", "refresh_expires_in": 60 }),
        ] {
            let errors = accepted(credentials.clone()).expect_err("it is refused");

            assert_eq!(
                errors[0].field, "credentials.refresh_token",
                "{credentials}"
            );
        }
    }
}
