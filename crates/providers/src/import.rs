//! The `credentials` object of an import: what comes in, and what is made of it.

use domain::{ChannelState, Grant, Timestamp};
use serde_json::{Map, Value};

/// Credentials as a caller gave them.
///
/// It has no `Debug`: its values are secrets in the clear.
#[derive(Clone)]
pub struct ImportRequest {
    /// The `credentials` object of the request.
    pub credentials: Map<String, Value>,
    /// The database's time: relative expiries count from it.
    pub now: Timestamp,
}

/// Credentials that can be stored.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// What is sealed.
    pub grant: Grant,
    /// End of the access token, if it is known.
    pub access_expires_at: Option<Timestamp>,
    /// End of the refresh token, if it has one that is known.
    pub refresh_expires_at: Option<Timestamp>,
    /// The account at the provider, if the caller named it.
    pub external_id: Option<String>,
    /// Whether it has what a refresh needs: a refresh token, a key, or at Meta
    /// the living token.
    pub has_refresh_material: bool,
    /// `Active`, `NeverExpires`, or `NeedsReauth` if nothing can renew it.
    pub state: ChannelState,
    /// One of [`domain::reason`], where the state needs one.
    pub reason: Option<String>,
    /// For the person who imports, in one sentence.
    pub warning: Option<String>,
    /// Whether the provider must be asked at once, whatever the window says.
    pub due_now: bool,
}

impl Accepted {
    /// The same, but nobody but a person can help.
    pub(crate) fn needs_reauth(self, reason: &str, warning: &str) -> Self {
        Self {
            state: ChannelState::NeedsReauth,
            reason: Some(reason.to_owned()),
            warning: Some(warning.to_owned()),
            due_now: false,
            ..self
        }
    }

    /// The same, with a warning that these settings are not set.
    pub(crate) fn warned_of(self, missing: &[&str]) -> Self {
        let verb = match missing {
            [] => return self,
            [_] => "is",
            _ => "are",
        };
        let settings = missing.join(" and ");
        let missing = format!("it cannot be refreshed until {settings} {verb} set");
        let warning = match self.warning {
            Some(warning) => format!("{warning}; {missing}"),
            None => missing,
        };
        Self {
            warning: Some(warning),
            ..self
        }
    }
}

/// What is wrong with one field of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Its path, such as `credentials.expires_in`.
    pub field: String,
    /// What is allowed there; never the value that was given.
    pub message: String,
}
