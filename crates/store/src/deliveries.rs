//! What waits for one endpoint, and what became of each call.
//!
//! Each delivery has a time of its own, so that one event that an endpoint refuses
//! does not hold up the others; the endpoint rests as a whole when it does not answer.

use std::time::Duration;

use domain::{EndpointUid, EventKind, Timestamp};
use sea_orm::{ConnectionTrait as _, QueryResult, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::sql::at;
use crate::{Store, StoreError, events, pools, webhooks};

/// O(limit) on `webhook_deliveries_due` and the keys. A tenant on its way out is told nothing.
const DUE: &str = "
    SELECT events.uid, events.kind, events.payload, events.created_at,
        webhook_deliveries.attempts, tenants.id AS tenant_id
    FROM webhook_deliveries
    JOIN events ON events.uid = webhook_deliveries.event_uid
    JOIN tenants ON tenants.uid = events.tenant_uid AND NOT tenants.deleting
    WHERE webhook_deliveries.endpoint_uid = $1 AND webhook_deliveries.next_at <= {now}
    ORDER BY webhook_deliveries.next_at, events.uid LIMIT $2";

/// O(1) on the key: what a call says of its endpoint.
const NOTE: &str = "
    UPDATE webhook_endpoints SET
        failing_since = CASE WHEN $2 THEN NULL ELSE COALESCE(failing_since, {now}) END,
        last_success_at = CASE WHEN $2 THEN {now} ELSE last_success_at END,
        last_error = $3, last_status = $4, delivered = delivered + $5, given_up = given_up + $6
    WHERE uid = $1";

/// O(1) on the key. One that was settled meanwhile stays so.
const SETTLE: &str = "
    UPDATE webhook_deliveries SET
        state = $3, attempts = attempts + 1, next_at = {now} + $4,
        last_error = $5, last_status = $6, updated_at = {now}
    WHERE event_uid = $1 AND endpoint_uid = $2 AND next_at IS NOT NULL";

/// O(log n) on `webhook_deliveries_due`. Only if nothing has woken the endpoint since
/// it was looked at.
const REST: &str = "
    UPDATE webhook_endpoints SET
        rest_until = {now} + $3,
        next_handout_at = (
            SELECT CASE
                WHEN min(next_at) < {now} + $3 THEN {now} + $3
                ELSE min(next_at)
            END
            FROM webhook_deliveries WHERE endpoint_uid = $1 AND next_at IS NOT NULL
        )
    WHERE uid = $1 AND next_handout_at = $2";

/// O(1) on the key.
const DISABLE: &str = "
    UPDATE webhook_endpoints SET
        disabled_at = {now}, next_handout_at = NULL, rest_until = NULL, last_error = $2
    WHERE uid = $1 AND disabled_at IS NULL
    RETURNING tenant_uid";

/// O(pending) on `webhook_deliveries_due`.
const GIVE_UP: &str = "
    UPDATE webhook_deliveries SET
        state = 'given_up', next_at = NULL, updated_at = {now},
        last_error = COALESCE(last_error, 'endpoint_disabled')
    WHERE endpoint_uid = $1 AND next_at IS NOT NULL";

/// O(1) on the key.
const COUNT: &str = "UPDATE webhook_endpoints SET given_up = given_up + $2 WHERE uid = $1";

/// An event that an endpoint is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The event's key: the same for every try.
    pub event: Uuid,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// What is told of it; no credential is in it.
    pub payload: Json,
    /// The name by which callers know the tenant.
    pub tenant_id: String,
    /// Calls so far.
    pub attempts: u32,
}

/// What one call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which event was told.
    pub event: Uuid,
    /// What happens to the delivery.
    pub result: DeliveryResult,
    /// What went wrong, in a word; `None` if it was taken.
    pub error: Option<String>,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
}

/// What happens to a delivery after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryResult {
    /// The endpoint took it.
    Delivered,
    /// It is tried again after this pause.
    Again(Duration),
    /// It is not tried any more.
    GivenUp,
}

impl Store {
    /// Up to `limit` events that are due for an endpoint, the longest waiting first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn due_deliveries(
        &self,
        endpoint: EndpointUid,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let values = [endpoint.0.into(), i64::from(limit).into()];
        let rows = self.pools.select(DUE, values).await?;
        rows.iter().map(delivery).collect()
    }

    /// Writes down what a call came to, for the delivery and for its endpoint. A
    /// delivery that is settled stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; the event may then be told twice.
    pub async fn settle_delivery(
        &self,
        endpoint: EndpointUid,
        settlement: Settlement,
    ) -> Result<(), StoreError> {
        let Settlement {
            event,
            result,
            error,
            status,
        } = settlement;
        let (state, pause) = match result {
            DeliveryResult::Delivered => ("delivered", None),
            DeliveryResult::Again(pause) => ("pending", Some(millis(pause))),
            DeliveryResult::GivenUp => ("given_up", None),
        };
        let delivered = result == DeliveryResult::Delivered;
        let count = |is: bool| Value::from(i64::from(is));
        let status = status.map(i32::from);
        let note = vec![
            endpoint.0.into(),
            delivered.into(),
            error.clone().into(),
            status.into(),
            count(delivered),
            count(result == DeliveryResult::GivenUp),
        ];
        let settle = vec![
            event.into(),
            endpoint.0.into(),
            state.into(),
            pause.into(),
            error.into(),
            status.into(),
        ];
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        transaction.execute_raw(sql.statement(NOTE, note)).await?;
        transaction
            .execute_raw(sql.statement(SETTLE, settle))
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Ends a visit: the endpoint is handed out when its next delivery is due, but not
    /// before `rest` is over. `seen` is its `next_handout_at` when the visit began; if
    /// something has woken the endpoint since, that stays.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; it is then handed out again.
    pub async fn rest_endpoint(
        &self,
        endpoint: EndpointUid,
        seen: Timestamp,
        rest: Option<Duration>,
    ) -> Result<(), StoreError> {
        let values = [endpoint.0.into(), at(seen), rest.map(millis).into()];
        self.pools.write(REST, values).await?;
        Ok(())
    }

    /// Calls an endpoint no more, gives up what waits for it, and tells the tenant's
    /// other endpoints; `false` if it was disabled before, or is gone.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn disable_endpoint(
        &self,
        endpoint: EndpointUid,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let disable = sql.statement(DISABLE, vec![endpoint.0.into(), reason.into()]);
        let Some(row) = pools::one(&transaction, disable).await? else {
            return Ok(false);
        };
        let tenant: Uuid = row.try_get("", "tenant_uid")?;
        let pending = sql.statement(GIVE_UP, vec![endpoint.0.into()]);
        let lost = transaction.execute_raw(pending).await?.rows_affected();
        let lost = i64::try_from(lost).unwrap_or(i64::MAX);
        let count = sql.statement(COUNT, vec![endpoint.0.into(), lost.into()]);
        transaction.execute_raw(count).await?;
        webhooks::announce(&transaction, sql, tenant).await?;
        let now = pools::now(&transaction, sql).await?;
        let event = events::endpoint_disabled(tenant, endpoint, reason, now);
        events::insert(&transaction, sql, vec![event]).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn delivery(row: &QueryResult) -> Result<Delivery, StoreError> {
    let bad = |why: &str| StoreError::unreadable("events", why);
    let kind: String = row.try_get("", "kind")?;
    let payload: String = row.try_get("", "payload")?;
    let attempts: i32 = row.try_get("", "attempts")?;
    Ok(Delivery {
        event: row.try_get("", "uid")?,
        kind: kind.parse().map_err(|_| bad("kind"))?,
        at: Timestamp::from_millis(row.try_get("", "created_at")?),
        payload: serde_json::from_str(&payload).map_err(|_| bad("payload"))?,
        tenant_id: row.try_get("", "tenant_id")?,
        attempts: u32::try_from(attempts).unwrap_or(0),
    })
}
