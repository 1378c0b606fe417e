//! The outbox: what a tenant is told, written with what happened (S5.4).

use domain::{ChannelState, TenantUid, Timestamp};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Value};
use serde_json::json;
use uuid::Uuid;

use crate::StoreError;
use crate::row::Row;
use crate::sql::{Rows, Sql};

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
    kind: &'static str,
    payload: String,
    at: Timestamp,
}

/// What happened to a channel: a change of its state, and a refresh.
pub(crate) fn of(before: ChannelState, refreshed: bool, row: &Row, now: Timestamp) -> Vec<Event> {
    let refreshed = refreshed.then_some("channel.refreshed");
    refreshed
        .into_iter()
        .chain(transition(before, row.state))
        .map(|kind| event(kind, row, now))
        .collect()
}

/// A channel that somebody paused, or is deleting, tells nothing.
fn transition(before: ChannelState, after: ChannelState) -> Option<&'static str> {
    use ChannelState::{Active, Error, NeedsReauth, NeverExpires};

    match (before, after) {
        (before, after) if before == after => None,
        (_, NeedsReauth) => Some("channel.needs_reauth"),
        (_, Error) => Some("channel.error"),
        (NeedsReauth | Error, Active | NeverExpires) => Some("channel.recovered"),
        _ => None,
    }
}

fn event(kind: &'static str, row: &Row, now: Timestamp) -> Event {
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
        event.kind.into(),
        event.payload.into(),
        event.at.as_millis().into(),
    ]
}
