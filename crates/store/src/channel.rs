//! A channel as the rest of the house sees it, and how a row becomes one.

use std::time::Duration;

use domain::{
    ChannelState, ChannelUid, Details, ErrorClass, Generation, Name, ProviderName, Sealed,
    TenantUid, Timestamp,
};
use entity::channels::Model;
use sea_orm::{FromQueryResult as _, QueryResult};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Pause between two looks at a channel that has no due time.
const PROBE_AFTER: Duration = Duration::from_hours(24);

/// A channel without its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The key inside the house.
    pub uid: ChannelUid,
    /// Whose it is.
    pub tenant: TenantUid,
    /// The name by which callers know it.
    pub id: Name,
    /// The kind of provider.
    pub provider: ProviderName,
    /// Whose client credentials it uses at the provider.
    pub app_identity: String,
    /// The account at the provider, once known.
    pub external_id: Option<String>,
    /// What people call it.
    pub display_name: String,
    /// What the tenant's own system calls it.
    pub local_name: Option<String>,
    /// What it can do at the moment.
    pub state: ChannelState,
    /// Why it is in that state; while paused: why a person was needed before that.
    pub reason: Option<String>,
    /// How often credentials were stored.
    pub generation: Generation,
    /// Whether it has what a refresh needs.
    pub has_refresh_material: bool,
    /// End of the access token; `None` if it has none or it is not known.
    pub access_expires_at: Option<Timestamp>,
    /// End of the refresh token.
    pub refresh_expires_at: Option<Timestamp>,
    /// When it should be refreshed; lag is measured against it.
    pub refresh_due_at: Option<Timestamp>,
    /// When the scheduler looks at it next.
    pub next_handout_at: Option<Timestamp>,
    /// When new credentials were stored last.
    pub last_refreshed_at: Option<Timestamp>,
    /// Failed jobs in a row.
    pub failures: u32,
    /// What went wrong last; gone with the next success.
    pub last_error: Option<LastError>,
    /// When it was imported.
    pub created_at: Timestamp,
    /// When anything but a lease or a hand-out last changed.
    pub updated_at: Timestamp,
}

/// What went wrong last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// The class.
    pub class: ErrorClass,
    /// How often in a row the class came, at least 1.
    #[serde(default = "once")]
    pub in_a_row: u32,
    /// When.
    pub at: Timestamp,
    /// What is known beside.
    pub details: Details,
}

const fn once() -> u32 {
    1
}

/// What is known about a set of credentials without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The state that the channel has with them.
    pub state: ChannelState,
    /// Why it has that state.
    pub reason: Option<String>,
    /// End of the access token.
    pub access_expires_at: Option<Timestamp>,
    /// End of the refresh token.
    pub refresh_expires_at: Option<Timestamp>,
    /// When they should be refreshed. Without one, a channel that is looked at
    /// daily (`active`, `error`, `never_expires`) is handed out a day later.
    pub refresh_due_at: Option<Timestamp>,
    /// The account at the provider; `None` keeps what is known.
    pub external_id: Option<String>,
    /// Whether they have what a refresh needs.
    pub has_refresh_material: bool,
}

impl Channel {
    /// The channel of a row that is not on its way out.
    pub(crate) fn from_model(row: &Model) -> Result<Self, StoreError> {
        let bad = |why: &str| StoreError::unreadable("channels", why);
        Ok(Self {
            uid: ChannelUid(row.uid),
            tenant: TenantUid(row.tenant_uid),
            id: row.id.parse().map_err(|_| bad("id"))?,
            provider: ProviderName::from(row.provider.clone()),
            app_identity: row.app_identity.clone(),
            external_id: row.external_id.clone(),
            display_name: row.display_name.clone(),
            local_name: row.local_name.clone(),
            state: row.state.parse().map_err(|_| bad("state"))?,
            reason: row.reason.clone(),
            generation: Generation(row.generation),
            has_refresh_material: row.has_refresh_material,
            access_expires_at: row.access_expires_at.map(Timestamp::from_millis),
            refresh_expires_at: row.refresh_expires_at.map(Timestamp::from_millis),
            refresh_due_at: row.refresh_due_at.map(Timestamp::from_millis),
            next_handout_at: row.next_handout_at.map(Timestamp::from_millis),
            last_refreshed_at: row.last_refreshed_at.map(Timestamp::from_millis),
            failures: u32::try_from(row.failures).map_err(|_| bad("failures"))?,
            last_error: row
                .last_error
                .as_deref()
                .map(serde_json::from_str)
                .transpose()
                .map_err(|_| bad("last_error"))?,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
        })
    }

    /// The channel of a row of `SELECT {channel}`.
    pub(crate) fn from_row(row: &QueryResult) -> Result<Self, StoreError> {
        Self::from_model(&Model::from_query_result(row, "")?)
    }
}

/// The sealed credentials of a row.
pub(crate) fn sealed(row: &Model) -> Result<Sealed, StoreError> {
    Ok(Sealed {
        envelope: row.envelope.clone(),
        key_id: row.key_id.clone(),
        fingerprint: row
            .fingerprint
            .as_slice()
            .try_into()
            .map_err(|_| StoreError::unreadable("channels", "fingerprint"))?,
    })
}

impl Facts {
    /// When a channel with these credentials is first looked at.
    ///
    /// What has no due time is probed a day later; what only a person can help is left alone.
    pub(crate) fn first_handout(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state {
            ChannelState::NeedsReauth | ChannelState::Paused => None,
            _ => Some(self.refresh_due_at.unwrap_or_else(|| now.plus(PROBE_AFTER))),
        }
    }
}
