//! What an import of an access token with a refresh token may contain.

use domain::{ChannelState, Grant, reason};

use crate::fields::{Fields, ID_MAX, SCOPE_MAX};
use crate::{Accepted, FieldError, ImportRequest};

/// `access_token?`, `refresh_token`, `expires_in | expires_at`,
/// `refresh_expires_in | refresh_expires_at`, `external_id? | open_id?`, `scope?`.
///
/// Without an access token, or without its end, the first refresh is due at once.
pub(crate) fn accept(import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
    let now = import.now;
    let mut fields = Fields::new(&import.credentials, now);
    let access_token = fields.secret("access_token");
    let refresh_token = fields.required_secret("refresh_token");
    let access_end = fields.end("expires_in", "expires_at", now);
    let refresh_expires_at = fields.end("refresh_expires_in", "refresh_expires_at", now);
    let id_field = fields.either("external_id", "open_id");
    let external_id = fields.text(id_field, ID_MAX);
    let scope = fields.text("scope", SCOPE_MAX);
    fields.finish()?;

    let access_expires_at = access_end.filter(|_| access_token.is_some());
    let accepted = Accepted {
        grant: Grant {
            access_token,
            refresh_token,
            issued_at: Some(now),
            scope,
            ..Grant::default()
        },
        access_expires_at,
        refresh_expires_at,
        external_id,
        has_refresh_material: true,
        state: ChannelState::Active,
        reason: None,
        warning: None,
        due_now: access_expires_at.is_none_or(|end| end <= now),
    };
    if refresh_expires_at.is_none_or(|end| end > now) {
        return Ok(accepted);
    }
    Ok(Accepted {
        has_refresh_material: false,
        ..accepted.needs_reauth(
            reason::EXPIRED,
            "the refresh token has expired: a person must log in again",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_176_000);

    fn accepted(credentials: Value) -> Result<Accepted, Vec<FieldError>> {
        let Value::Object(credentials) = credentials else {
            panic!("an object")
        };
        accept(&ImportRequest {
            credentials,
            now: NOW,
        })
    }

    #[test]
    fn a_full_grant_is_kept_alive() {
        let accepted = accepted(json!({
            "access_token": "act.1", "refresh_token": "rft.1", "expires_in": 7200,
            "refresh_expires_at": "2027-05-19T12:00:00Z", "open_id": "oid", "scope": "a,b",
        }))
        .expect("it is accepted");

        assert_eq!(accepted.external_id.as_deref(), Some("oid"));
        assert_eq!(accepted.grant.scope.as_deref(), Some("a,b"));
        assert_eq!(
            accepted.access_expires_at,
            Some(NOW.plus(Duration::from_hours(2)))
        );
        assert_eq!(
            accepted.refresh_expires_at,
            Some(NOW.plus(Duration::from_hours(24 * 180)))
        );
        assert_eq!(accepted.state, ChannelState::Active);
        assert!(!accepted.due_now && accepted.has_refresh_material);
    }

    #[test]
    fn whatever_is_not_alive_is_refreshed_at_once() {
        for credentials in [
            json!({ "refresh_token": "rft.1" }),
            json!({ "refresh_token": "rft.1", "expires_in": 7200 }),
            json!({ "refresh_token": "rft.1", "access_token": "act.1" }),
            json!({
                "refresh_token": "rft.1", "access_token": "act.1",
                "expires_at": "2026-11-20T12:00:00Z",
            }),
        ] {
            let accepted = accepted(credentials.clone()).expect("it is accepted");

            assert!(accepted.due_now, "{credentials}");
            assert_eq!(accepted.state, ChannelState::Active, "{credentials}");
        }
    }

    #[test]
    fn an_expired_refresh_token_needs_a_person() {
        let accepted = accepted(json!({
            "access_token": "act.1", "refresh_token": "rft.1", "expires_in": 60,
            "refresh_expires_at": "2026-11-20T11:00:00Z",
        }))
        .expect("it is accepted");

        assert_eq!(accepted.state, ChannelState::NeedsReauth);
        assert_eq!(accepted.reason.as_deref(), Some("expired"));
        assert!(accepted.warning.is_some());
        assert!(!accepted.has_refresh_material && !accepted.due_now);
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let errors = accepted(json!({
            "access_token": "", "expires_in": -1, "external_id": "a", "open_id": "b",
            "refresh_expires_in": 60, "refresh_expires_at": "2027-01-01T00:00:00Z",
            "scope": ["a"], "kind": "user",
        }))
        .expect_err("it is refused");

        let fields: Vec<String> = errors.into_iter().map(|error| error.field).collect();
        assert_eq!(
            fields,
            [
                "credentials.access_token",
                "credentials.refresh_token",
                "credentials.expires_in",
                "credentials.refresh_expires_at",
                "credentials.open_id",
                "credentials.scope",
                "credentials.kind",
            ]
        );
    }
}
