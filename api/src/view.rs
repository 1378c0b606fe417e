//! What resources look like in JSON. No shape here has a place for a credential.

use domain::{
    AttemptOutcome, AttemptRecord, ChannelState, Details, ErrorClass, Generation, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use store::{Channel, LastError, Page, Tenant};

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
pub(crate) struct ListView<T> {
    /// In the order of the list.
    pub(crate) items: Vec<T>,
    /// The `cursor` of the next page; null at the end.
    pub(crate) next_cursor: Option<String>,
}

impl<T> ListView<T> {
    /// A page of the store, each item mapped.
    pub(crate) fn of<S, K: ToString>(page: Page<S, K>, view: impl FnMut(S) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(view).collect(),
            next_cursor: page.next.map(|key| key.to_string()),
        }
    }
}

/// A tenant.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TenantView {
    id: String,
    name: String,
    created_at: Timestamp,
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.name,
            created_at: tenant.created_at,
        }
    }
}

/// A channel, without its credentials.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChannelView {
    id: String,
    tenant_id: String,
    provider: String,
    external_id: Option<String>,
    display_name: String,
    local_name: Option<String>,
    state: ChannelState,
    reason: Option<String>,
    generation: Generation,
    has_refresh_token: bool,
    expires_at: Option<Timestamp>,
    refresh_expires_at: Option<Timestamp>,
    refresh_due_at: Option<Timestamp>,
    last_refreshed_at: Option<Timestamp>,
    failures: u32,
    last_error: Option<LastErrorView>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// Why the last failed refresh failed.
#[derive(Debug, Serialize, JsonSchema)]
struct LastErrorView {
    error: ErrorClass,
    at: Timestamp,
    #[serde(skip_serializing_if = "Details::is_empty")]
    details: Details,
}

impl ChannelView {
    /// The channel in a tenant.
    pub(crate) fn of(tenant: &Tenant, channel: Channel) -> Self {
        Self {
            id: channel.id.to_string(),
            tenant_id: tenant.id.to_string(),
            provider: channel.provider.to_string(),
            external_id: channel.external_id,
            display_name: channel.display_name,
            local_name: channel.local_name,
            state: channel.state,
            reason: channel.reason,
            generation: channel.generation,
            has_refresh_token: channel.has_refresh_material,
            expires_at: channel.access_expires_at,
            refresh_expires_at: channel.refresh_expires_at,
            refresh_due_at: channel.refresh_due_at,
            last_refreshed_at: channel.last_refreshed_at,
            failures: channel.failures,
            last_error: channel.last_error.map(LastErrorView::from),
            created_at: channel.created_at,
            updated_at: channel.updated_at,
            warning: None,
        }
    }

    /// The same with a sentence for the person who imports it.
    pub(crate) fn warned(self, warning: Option<String>) -> Self {
        Self { warning, ..self }
    }
}

impl From<LastError> for LastErrorView {
    fn from(last: LastError) -> Self {
        Self {
            error: last.class,
            at: last.at,
            details: last.details,
        }
    }
}

/// One try at a job.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AttemptView {
    job_id: String,
    attempt: u32,
    started_at: Timestamp,
    duration_ms: u64,
    outcome: AttemptOutcome,
    ends_job: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<Generation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Details::is_empty")]
    details: Details,
}

impl From<AttemptRecord> for AttemptView {
    fn from(record: AttemptRecord) -> Self {
        Self {
            job_id: record.job_id,
            attempt: record.attempt,
            started_at: record.started_at,
            duration_ms: u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX),
            outcome: record.outcome,
            ends_job: record.ends_job,
            generation: record.generation,
            new_expires_at: record.new_expires_at,
            details: record.details,
        }
    }
}
