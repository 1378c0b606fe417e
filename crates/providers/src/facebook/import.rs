//! What an import of Facebook credentials may contain.

use domain::{GrantKind, reason};

use crate::fields::Fields;
use crate::meta::import::{Given, expired};
use crate::{Accepted, FieldError, ImportRequest};

use super::USER_ACCESS_TOKEN;

const KINDS: [(&str, GrantKind); 3] = [
    ("user", GrantKind::User),
    ("page", GrantKind::Page),
    ("system_user", GrantKind::SystemUser),
];

/// `access_token`, `expires_in? | expires_at?`, `issued_at?`, `kind?`,
/// `external_id?`, `user_access_token?` for a page.
///
/// `expires_in` counts from `issued_at`, and that is the import where it is not given.
pub(super) fn accept(import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
    let mut fields = Fields::new(&import.credentials, import.now);
    let given = Given::read(&mut fields, import.now, &KINDS);
    let user_token = fields.secret(USER_ACCESS_TOKEN);
    let is_page = given.kind == Some(GrantKind::Page);
    if user_token.is_some() && !is_page {
        fields.refuse(USER_ACCESS_TOKEN, "is only for kind page");
    }
    fields.finish()?;

    let mut accepted = given.accepted();
    accepted.has_refresh_material = !is_page || user_token.is_some();
    let key = user_token.map(|token| (USER_ACCESS_TOKEN.to_owned(), token));
    accepted.grant.keys.extend(key);
    Ok(renewable(accepted, is_page, import))
}

/// Tells at once what cannot be kept alive: an expired token cannot be
/// exchanged, and a page's token cannot be derived without its person's.
fn renewable(accepted: Accepted, is_page: bool, import: &ImportRequest) -> Accepted {
    let Some(end) = accepted.access_expires_at else {
        return accepted;
    };
    let is_over = end <= import.now;
    match (is_over, is_page, accepted.has_refresh_material) {
        (true, true, true) => Accepted {
            due_now: true,
            ..accepted
        },
        (true, ..) => expired(accepted),
        (false, true, false) => accepted.needs_reauth(
            reason::NO_REFRESH_MATERIAL,
            "a page token that expires cannot be renewed without user_access_token",
        ),
        (false, ..) => accepted,
    }
}

#[cfg(test)]
mod tests {
    use domain::{ChannelState, Timestamp};
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

    fn refused(credentials: Value) -> Vec<String> {
        let errors = accepted(credentials).expect_err("it is refused");
        errors.into_iter().map(|error| error.field).collect()
    }

    /// State, reason, whether it is due now, and whether it has refresh material.
    fn told(credentials: Value) -> (ChannelState, Option<String>, bool, bool) {
        let accepted = accepted(credentials).expect("it is accepted");
        assert_eq!(accepted.reason.is_some(), accepted.warning.is_some());
        (
            accepted.state,
            accepted.reason,
            accepted.due_now,
            accepted.has_refresh_material,
        )
    }

    #[test]
    fn a_token_with_an_end_is_kept_alive() {
        let accepted = accepted(json!({
            "access_token": "EAAold", "expires_in": 5_184_000, "kind": "system_user",
            "external_id": "999", "issued_at": "2026-11-20T10:00:00Z",
        }))
        .expect("it is accepted");

        let issued_at = Timestamp::from_secs(1_795_168_800);
        assert_eq!(accepted.grant.kind, Some(GrantKind::SystemUser));
        assert_eq!(accepted.grant.issued_at, Some(issued_at));
        assert_eq!(accepted.external_id.as_deref(), Some("999"));
        assert_eq!(
            accepted.access_expires_at,
            Some(Timestamp::from_secs(1_795_176_000 + 5_184_000)),
            "from the import on"
        );
        assert_eq!(accepted.state, ChannelState::Active);
        assert!(!accepted.due_now && accepted.has_refresh_material);
    }

    #[test]
    fn a_token_without_an_end_is_looked_at_at_once() {
        let active = (ChannelState::Active, None);

        let user = told(json!({ "access_token": "EAA" }));
        let watched = told(json!({ "access_token": "EAA", "kind": "page" }));

        assert_eq!(user, (active.0, active.1.clone(), true, true));
        assert_eq!(watched, (active.0, active.1, true, false));
    }

    #[test]
    fn the_import_counts_as_the_issue_if_that_is_not_given() {
        let accepted = accepted(json!({ "access_token": "EAA", "expires_in": 60 }));

        assert_eq!(accepted.expect("accepted").grant.issued_at, Some(NOW));
    }

    #[test]
    fn an_expired_token_needs_a_person_unless_it_can_be_derived() {
        let past = "2026-11-20T11:59:59Z";

        let user = told(json!({ "access_token": "EAA", "expires_at": past }));
        let page = told(json!({
            "access_token": "EAA", "expires_at": past, "kind": "page", "user_access_token": "EAB",
        }));

        let expired = Some("expired".to_owned());
        assert_eq!(user, (ChannelState::NeedsReauth, expired, false, false));
        assert_eq!(page, (ChannelState::Active, None, true, true));
    }

    #[test]
    fn a_page_token_that_expires_and_cannot_be_derived_needs_a_person() {
        let page = told(json!({ "access_token": "EAA", "expires_in": 3600, "kind": "page" }));

        let reason = Some("no_refresh_material".to_owned());
        assert_eq!(page, (ChannelState::NeedsReauth, reason, false, false));
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let fields = refused(json!({
            "expires_in": 60, "expires_at": "2027-01-01T00:00:00Z", "kind": "robot",
            "user_access_token": "EAB", "refresh_token": "r",
        }));

        assert_eq!(
            fields,
            [
                "credentials.access_token",
                "credentials.expires_at",
                "credentials.kind",
                "credentials.user_access_token",
                "credentials.refresh_token",
            ]
        );
    }

    #[test]
    fn a_token_cannot_end_before_it_was_issued() {
        let fields = refused(json!({
            "access_token": "EAA", "issued_at": "2026-11-20T10:00:00Z",
            "expires_at": "2026-11-20T09:00:00Z",
        }));

        assert_eq!(fields, ["credentials.expires_at"]);
    }
}
