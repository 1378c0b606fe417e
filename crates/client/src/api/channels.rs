//! Channels: import, list, change, delete, and their history.

use domain::{ChannelState, Details, ErrorClass, Generation, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Page, Paging, TenantApi, object};
use crate::{Call, Client, ClientError};

/// A channel; its credentials are nowhere in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Channel {
    /// Its id, unique in its tenant.
    pub id: String,
    /// The tenant's id.
    pub tenant_id: String,
    /// The provider's name.
    pub provider: String,
    /// The account at the provider, where it is known.
    pub external_id: Option<String>,
    /// What people call it.
    pub display_name: String,
    /// What the tenant's own system calls it.
    pub local_name: Option<String>,
    /// Where it stands.
    pub state: ChannelState,
    /// Why it stands there.
    pub reason: Option<String>,
    /// +1 with every stored set of credentials.
    pub generation: Generation,
    /// Whether it has what a refresh needs.
    pub has_refresh_token: bool,
    /// The end of its token; `None` if it does not end, or nobody knows.
    pub expires_at: Option<Timestamp>,
    /// The end of what it is refreshed with.
    pub refresh_expires_at: Option<Timestamp>,
    /// When it is refreshed next.
    pub refresh_due_at: Option<Timestamp>,
    /// When it was refreshed last.
    pub last_refreshed_at: Option<Timestamp>,
    /// Failed refreshes since the last one that worked.
    pub failures: u32,
    /// Why the last failed refresh failed.
    pub last_error: Option<LastError>,
    /// When it was imported or connected.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// A sentence for the person who imports it.
    #[serde(default)]
    pub warning: Option<String>,
}

/// Why a channel's last failed refresh failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LastError {
    /// Its class.
    pub error: ErrorClass,
    /// When.
    pub at: Timestamp,
    /// What is known beside.
    #[serde(default)]
    pub details: Details,
}

/// A channel to import.
#[derive(Debug)]
pub struct NewChannel {
    /// 1 to 64 of `A-Z a-z 0-9 _ -`; made up if left out.
    pub id: Option<String>,
    /// The provider's name, such as `tiktok`.
    pub provider: String,
    /// What people call it.
    pub display_name: String,
    /// What your own system calls it.
    pub local_name: Option<String>,
    /// An object of what the provider needs, such as `refresh_token` and `expires_in`.
    pub credentials: Value,
}

/// Which channels; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelFilter {
    /// Only in this state.
    pub state: Option<ChannelState>,
    /// Only of this provider.
    pub provider: Option<String>,
    /// Only those whose token ends within so many minutes.
    pub expiring_within_minutes: Option<u64>,
}

/// What to change; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelPatch {
    /// What people call it.
    pub display_name: Option<String>,
    /// What your own system calls it.
    pub local_name: Option<String>,
    /// Whether it is kept fresh.
    pub paused: Option<bool>,
}

/// One try at a refresh (S5.5).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Attempt {
    /// The job.
    pub job_id: String,
    /// The first is 1; 0 where none was made.
    pub attempt: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// `refreshed`, `not_needed`, or the class of the failure.
    pub outcome: String,
    /// Whether it was the last of its job.
    pub ends_job: bool,
    /// The channel's generation afterwards.
    #[serde(default)]
    pub generation: Option<Generation>,
    /// The end of the token afterwards.
    #[serde(default)]
    pub new_expires_at: Option<Timestamp>,
    /// What is known beside.
    #[serde(default)]
    pub details: Details,
}

impl TenantApi<'_> {
    /// Imports a channel. Nobody asks the provider before the answer.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; 422 names the credentials that are wrong, 409 an id that is taken.
    pub async fn import(&self, new: NewChannel) -> Result<Channel, ClientError> {
        let body = object([
            ("id", json!(new.id)),
            ("provider", json!(new.provider)),
            ("display_name", json!(new.display_name)),
            ("local_name", json!(new.local_name)),
            ("credentials", new.credentials),
        ]);
        let call = self.at(Method::POST, &["channels"]).body(body);
        self.client.typed(&call).await
    }

    /// Lists its channels.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn channels(
        &self,
        filter: &ChannelFilter,
        paging: &Paging,
    ) -> Result<Page<Channel>, ClientError> {
        let call = self
            .at(Method::GET, &["channels"])
            .query("state", filter.state.map(ChannelState::as_str))
            .query("provider", filter.provider.as_ref())
            .query("expiring_within_minutes", filter.expiring_within_minutes);
        self.client.typed(&paging.on(call)).await
    }
}

/// The calls about one channel.
///
/// Each fails as [`Client::call`] does; a channel that the caller may not see is a 404.
#[derive(Clone, Debug)]
pub struct ChannelApi<'c> {
    pub(super) client: &'c Client,
    pub(super) tenant: String,
    pub(super) id: String,
}

impl ChannelApi<'_> {
    /// A call of `/api/v1/tenants/{tenant}/channels/{channel}/…`.
    pub(super) fn at(&self, method: Method, path: &[&str]) -> Call {
        let channel = ["tenants", &self.tenant, "channels", &self.id];
        Call::new(method, &[&channel, path].concat())
    }

    /// Shows it.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn show(&self) -> Result<Channel, ClientError> {
        self.client.typed(&self.at(Method::GET, &[])).await
    }

    /// Changes its names, pauses or resumes it; one that resumes is due at once.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn patch(&self, patch: ChannelPatch) -> Result<Channel, ClientError> {
        let body = object([
            ("display_name", json!(patch.display_name)),
            ("local_name", json!(patch.local_name)),
            ("paused", json!(patch.paused)),
        ]);
        let call = self.at(Method::PATCH, &[]).body(body);
        self.client.typed(&call).await
    }

    /// Deletes it with its credentials.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn delete(&self) -> Result<(), ClientError> {
        let call = self.at(Method::DELETE, &[]);
        self.client.call(&call).await.map(drop)
    }

    /// Its history, newest first (S5.5).
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn attempts(&self, paging: &Paging) -> Result<Page<Attempt>, ClientError> {
        let call = self.at(Method::GET, &["attempts"]);
        self.client.typed(&paging.on(call)).await
    }
}
