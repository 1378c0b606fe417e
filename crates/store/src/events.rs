//! The outbox: what a tenant is told, written with what happened (S5.4).

use domain::{ChannelState, EndpointUid, EventKind, TenantUid, Timestamp};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Value};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::expiring::Ending;
use crate::row::Row;
use crate::sql::{Rows, Sql};
use crate::{Store, StoreError};

/// O(rows) on the key. `channel.refreshed` is only for tenants that want it.
const INSERT: &str = "
    WITH v (uid, tenant_uid, channel_uid, kind, payload, created_at) AS (VALUES {rows})
    INSERT INTO events (uid, tenant_uid, channel_uid, kind, payload, created_at)
    SELECT v.uid, v.tenant_uid, v.channel_uid, v.kind, v.payload, v.created_at FROM v
    WHERE v.kind <> 'channel.refreshed' OR EXISTS (
        SELECT 1 FROM tenants WHERE tenants.uid = v.tenant_uid AND tenants.refreshed_events
    )
    ON CONFLICT DO NOTHING";

/// Something that a tenant may be told.
#[derive(Debug)]
pub(crate) struct Event {
    uid: Uuid,
    tenant: TenantUid,
    channel: Uuid,
    kind: EventKind,
    payload: String,
    at: Timestamp,
}

/// What happened to a channel: a change of its state, and a refresh.
pub(crate) fn of(before: ChannelState, refreshed: bool, row: &Row, now: Timestamp) -> Vec<Event> {
    let refreshed = refreshed.then_some(EventKind::Refreshed);
    refreshed
        .into_iter()
        .chain(transition(before, row.state))
        .map(|kind| event(kind, row, now))
        .collect()
}

/// A channel that somebody paused, or is deleting, tells nothing.
fn transition(before: ChannelState, after: ChannelState) -> Option<EventKind> {
    use ChannelState::{Active, Error, NeedsReauth, NeverExpires};

    match (before, after) {
        (before, after) if before == after => None,
        (_, NeedsReauth) => Some(EventKind::NeedsReauth),
        (_, Error) => Some(EventKind::Error),
        (NeedsReauth | Error, Active | NeverExpires) => Some(EventKind::Recovered),
        _ => None,
    }
}

fn event(kind: EventKind, row: &Row, now: Timestamp) -> Event {
    let payload = json!({
        "channel_id": row.model.id,
        "provider": row.model.provider,
        "state": row.state,
        "reason": row.model.reason,
        "generation": row.model.generation,
        "expires_at": row.access_expires_at(),
    });
    Event {
        uid: Uuid::now_v7(),
        tenant: TenantUid(row.model.tenant_uid),
        channel: row.model.uid,
        kind,
        payload: payload.to_string(),
        at: now,
    }
}

/// A refresh token ends within so many days.
pub(crate) fn expiring(ending: &Ending, days: i32, now: Timestamp) -> Event {
    let payload = json!({
        "channel_id": ending.id,
        "provider": ending.provider,
        "state": ending.state,
        "reason": "refresh_token_expiring",
        "days": days,
        "refresh_expires_at": ending.ends_at,
    });
    Event {
        uid: Uuid::now_v7(),
        tenant: ending.tenant,
        channel: ending.channel.0,
        kind: EventKind::Expiring,
        payload: payload.to_string(),
        at: now,
    }
}

/// An endpoint was given up: the tenant's other ones are told.
pub(crate) fn endpoint_disabled(
    tenant: Uuid,
    endpoint: EndpointUid,
    reason: &str,
    now: Timestamp,
) -> Event {
    let payload = json!({ "webhook_id": endpoint.to_string(), "reason": reason });
    Event {
        uid: Uuid::now_v7(),
        tenant: TenantUid(tenant),
        channel: Uuid::nil(),
        kind: EventKind::WebhookDisabled,
        payload: payload.to_string(),
        at: now,
    }
}

impl Store {
    /// Tells the operator something that concerns all tenants: an event of the tenant
    /// `platform`, about no channel. The payload must be an object without a secret.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database does not answer.
    pub async fn tell_operator(&self, kind: EventKind, payload: &Json) -> Result<(), StoreError> {
        let event = Event {
            uid: Uuid::now_v7(),
            tenant: TenantUid::PLATFORM,
            channel: Uuid::nil(),
            kind,
            payload: payload.to_string(),
            at: self.now().await?,
        };
        let rows = Rows::padded([values(event)]);
        let statement = self.pools.sql.with_rows(INSERT, rows);
        self.pools.execute(statement).await?;
        Ok(())
    }
}

/// Writes events.
pub(crate) async fn insert(
    transaction: &DatabaseTransaction,
    sql: &Sql,
    events: Vec<Event>,
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let statement = sql.with_rows(INSERT, Rows::padded(events.into_iter().map(values)));
    transaction.execute_raw(statement).await?;
    Ok(())
}

fn values(event: Event) -> [Value; 6] {
    [
        event.uid.into(),
        event.tenant.0.into(),
        event.channel.into(),
        event.kind.as_str().into(),
        event.payload.into(),
        event.at.as_millis().into(),
    ]
}
