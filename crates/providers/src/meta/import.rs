//! What an import of a token of Meta's may contain.

use domain::{ChannelState, Grant, GrantKind, Timestamp, reason};
use secrecy::SecretString;

use crate::fields::{Fields, ID_MAX};
use crate::{Accepted, FieldError, ImportRequest};

/// The words of `kind` that a provider takes.
pub(crate) type Kinds = [(&'static str, GrantKind)];

/// The fields that all of Meta's tokens have.
pub(crate) struct Given {
    access_token: Option<SecretString>,
    issued_at: Timestamp,
    access_expires_at: Option<Timestamp>,
    /// `kind`.
    pub(crate) kind: Option<GrantKind>,
    external_id: Option<String>,
}

impl Given {
    /// `access_token`, `expires_in? | expires_at?`, `issued_at?`, `kind?`, `external_id?`.
    ///
    /// `expires_in` counts from the import; `issued_at` is for the rule of 24 hours alone.
    pub(crate) fn read(fields: &mut Fields<'_>, now: Timestamp, kinds: &Kinds) -> Self {
        let access_token = fields.required_secret("access_token");
        let issued_at = fields.past("issued_at").unwrap_or(now);
        let access_expires_at = fields.end("expires_in", "expires_at", now);
        if fields.has("issued_at") && access_expires_at.is_some_and(|end| end <= issued_at) {
            fields.refuse("expires_at", "must be later than issued_at");
        }
        Self {
            access_token,
            issued_at,
            access_expires_at,
            kind: fields.one_of("kind", kinds),
            external_id: fields.text("external_id", ID_MAX),
        }
    }

    /// An active channel; one without an end is looked at, or renewed, at once.
    pub(crate) fn accepted(self) -> Accepted {
        Accepted {
            grant: Grant {
                access_token: self.access_token,
                kind: self.kind,
                issued_at: Some(self.issued_at),
                ..Grant::default()
            },
            access_expires_at: self.access_expires_at,
            refresh_expires_at: None,
            external_id: self.external_id,
            has_refresh_material: true,
            state: ChannelState::Active,
            reason: None,
            warning: None,
            due_now: self.access_expires_at.is_none(),
        }
    }
}

/// Accepts a token that renews itself and needs nothing beside it.
pub(crate) fn accept(import: &ImportRequest, kinds: &Kinds) -> Result<Accepted, Vec<FieldError>> {
    let mut fields = Fields::new(&import.credentials, import.now);
    let given = Given::read(&mut fields, import.now, kinds);
    fields.finish()?;

    let accepted = given.accepted();
    match accepted.access_expires_at {
        Some(end) if end <= import.now => Ok(expired(accepted)),
        _ => Ok(accepted),
    }
}

/// The same, but past its end: an expired token cannot be exchanged.
pub(crate) fn expired(accepted: Accepted) -> Accepted {
    Accepted {
        has_refresh_material: false,
        ..accepted.needs_reauth(
            reason::EXPIRED,
            "the access token has expired and cannot be renewed: a person must log in again",
        )
    }
}
