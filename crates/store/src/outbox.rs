//! From the outbox to the endpoints: each event once for each endpoint that hears of it.
//!
//! An endpoint is handed out as a whole, like a channel: its `next_handout_at` is
//! when the scheduler looks at it next. Whoever changes an endpoint and its
//! deliveries takes the endpoint's row first.

use std::time::Duration;

use domain::{EndpointUid, TenantUid, Timestamp};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use crate::retention::beginning;
use crate::sql::{Rows, at};
use crate::{Store, StoreError, webhooks};

/// O(undispatched) on `events_undispatched`; each is taken by one scheduler.
const UNDISPATCHED: &str = "
    SELECT uid FROM events WHERE dispatched_at IS NULL
    ORDER BY uid LIMIT $1 {lock_free}";

/// O(events · endpoints of their tenants).
const DELIVER: &str = "
    INSERT INTO webhook_deliveries (event_uid, endpoint_uid, state, attempts, next_at, updated_at)
    SELECT events.uid, webhook_endpoints.uid, 'pending', 0, {now}, {now}
    FROM events JOIN webhook_endpoints ON webhook_endpoints.tenant_uid = events.tenant_uid
    WHERE events.uid IN ({rows}) AND webhook_endpoints.disabled_at IS NULL
        AND webhook_endpoints.created_at <= events.created_at
        AND webhook_endpoints.events LIKE '%\"' || events.kind || '\"%'
    ON CONFLICT DO NOTHING";

/// O(their endpoints) on the key. One that rests after a failure goes on resting.
const WAKE: &str = "
    WITH woken (uid) AS (
        SELECT uid FROM webhook_endpoints
        WHERE disabled_at IS NULL AND uid IN (
            SELECT endpoint_uid FROM webhook_deliveries
            WHERE event_uid IN ({rows}) AND next_at IS NOT NULL
        )
        ORDER BY uid {lock}
    )
    UPDATE webhook_endpoints SET next_handout_at = CASE
        WHEN rest_until > {now} THEN rest_until ELSE {now}
    END
    FROM woken WHERE webhook_endpoints.uid = woken.uid";

/// O(events) on the key.
const DISPATCHED: &str = "UPDATE events SET dispatched_at = {now} WHERE uid IN ({rows})";

/// O(due) on `webhook_endpoints_due`; each is taken by one scheduler, and comes back
/// if its job is lost.
const TAKE: &str = "
    WITH due (uid) AS (
        SELECT uid FROM webhook_endpoints WHERE next_handout_at <= {now}
        ORDER BY next_handout_at LIMIT $1 {lock_free}
    )
    UPDATE webhook_endpoints SET next_handout_at = {now} + $2
    FROM due WHERE webhook_endpoints.uid = due.uid
    RETURNING webhook_endpoints.uid, tenant_uid, next_handout_at";

/// O(1) on `webhook_endpoints_due`: most of the time nothing is due, and no writer is needed.
const ANY_DUE: &str = "
    SELECT 1 AS one FROM webhook_endpoints WHERE next_handout_at <= {now} LIMIT 1";

/// O(1) on the key: what was given up is tried again.
const REVIVE: &str = "
    UPDATE webhook_endpoints SET
        disabled_at = NULL, failing_since = NULL, rest_until = NULL, next_handout_at = {now}
    WHERE uid = $1 AND tenant_uid = $2";

/// O(limit) on `events_tenant`. What is not dispatched yet comes anyway.
const SINCE: &str = "
    SELECT uid, created_at FROM events
    WHERE tenant_uid = $1 AND uid >= $2 AND created_at >= $3 AND dispatched_at IS NOT NULL
        AND EXISTS (
            SELECT 1 FROM webhook_endpoints AS heard
            WHERE heard.uid = $4 AND heard.events LIKE '%\"' || events.kind || '\"%'
        )
    ORDER BY uid LIMIT $5";

/// O(rows) on the key.
const AGAIN: &str = "
    WITH v (event_uid, endpoint_uid) AS (VALUES {rows})
    INSERT INTO webhook_deliveries (event_uid, endpoint_uid, state, attempts, next_at, updated_at)
    SELECT v.event_uid, v.endpoint_uid, 'pending', 0, {now}, {now} FROM v WHERE TRUE
    ON CONFLICT (event_uid, endpoint_uid) DO UPDATE SET
        state = 'pending', attempts = 0, next_at = excluded.next_at,
        last_error = NULL, last_status = NULL, updated_at = excluded.updated_at";

/// How long a job may take to visit an endpoint before it is handed out again.
const HANDED_OUT: Duration = Duration::from_mins(2);

/// The clocks of those who write events agree within this.
const SKEW: Duration = Duration::from_mins(5);

/// An endpoint for which something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueEndpoint {
    /// Which one.
    pub uid: EndpointUid,
    /// Whose it is.
    pub tenant: TenantUid,
    /// When it is handed out again if nobody visits it.
    pub next_handout_at: Timestamp,
}

/// What a replay queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Deliveries.
    pub count: u64,
    /// Where to go on if the limit was reached: this instant as the next `since`.
    pub next_since: Option<Timestamp>,
}

impl Store {
    /// Makes deliveries of up to `limit` events that were not handed on yet, and says
    /// of how many events. An event that nobody hears of counts too.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then none was handed on.
    pub async fn dispatch_events(&self, limit: u32) -> Result<u64, StoreError> {
        let sql = &self.pools.sql;
        let undispatched = sql.statement(UNDISPATCHED, vec![i64::from(limit).into()]);
        // Most of the time there are none: a reader finds that out without a writer's lock.
        if self.pools.read(undispatched.clone()).await?.is_empty() {
            return Ok(0);
        }
        let transaction = self.pools.begin().await?;
        let mut uids: Vec<[Value; 1]> = Vec::new();
        for row in transaction.query_all_raw(undispatched).await? {
            let uid: Uuid = row.try_get("", "uid")?;
            uids.push([uid.into()]);
        }
        if uids.is_empty() {
            return Ok(0);
        }
        let count = uids.len() as u64;
        for text in [DELIVER, WAKE, DISPATCHED] {
            let statement = sql.with_rows(text, Rows::padded(uids.clone()));
            transaction.execute_raw(statement).await?;
        }
        transaction.commit().await?;
        Ok(count)
    }

    /// Takes up to `limit` endpoints for which something waits, the longest due first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn take_endpoints(&self, limit: u32) -> Result<Vec<DueEndpoint>, StoreError> {
        if self.pools.select_one(ANY_DUE, []).await?.is_none() {
            return Ok(Vec::new());
        }
        let again = i64::try_from(HANDED_OUT.as_millis()).unwrap_or(i64::MAX);
        let values = vec![i64::from(limit).into(), again.into()];
        let take = self.pools.sql.statement(TAKE, values);
        let rows = self.pools.writer.query_all_raw(take).await?;
        rows.iter().map(due_endpoint).collect()
    }

    /// Queues what happened since then for an endpoint again, the oldest first, also
    /// what it took before; one that was disabled works again.
    ///
    /// `None` if the tenant has no such endpoint.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn replay(
        &self,
        tenant: TenantUid,
        uid: EndpointUid,
        since: Timestamp,
        limit: u32,
    ) -> Result<Option<Replayed>, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let revive = sql.statement(REVIVE, vec![uid.0.into(), tenant.0.into()]);
        if transaction.execute_raw(revive).await?.rows_affected() == 0 {
            return Ok(None);
        }
        let values = vec![
            tenant.0.into(),
            beginning(since.minus(SKEW)).into(),
            at(since),
            uid.0.into(),
            (i64::from(limit) + 1).into(),
        ];
        let found = transaction
            .query_all_raw(sql.statement(SINCE, values))
            .await?;
        let replayed = self.queue_again(&transaction, uid, found, limit).await?;
        webhooks::announce(&transaction, sql, tenant.0).await?;
        transaction.commit().await?;
        Ok(Some(replayed))
    }

    async fn queue_again(
        &self,
        transaction: &DatabaseTransaction,
        uid: EndpointUid,
        mut found: Vec<QueryResult>,
        limit: u32,
    ) -> Result<Replayed, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut next_since = None;
        if let Some(next) = found.get(limit) {
            next_since = Some(Timestamp::from_millis(next.try_get("", "created_at")?));
            found.truncate(limit);
        }
        let mut events: Vec<[Value; 2]> = Vec::with_capacity(found.len());
        for row in &found {
            let event: Uuid = row.try_get("", "uid")?;
            events.push([event.into(), uid.0.into()]);
        }
        let count = events.len() as u64;
        if count > 0 {
            let statement = self.pools.sql.with_rows(AGAIN, Rows::exact(events));
            transaction.execute_raw(statement).await?;
        }
        Ok(Replayed { count, next_since })
    }
}

fn due_endpoint(row: &QueryResult) -> Result<DueEndpoint, StoreError> {
    Ok(DueEndpoint {
        uid: EndpointUid(row.try_get("", "uid")?),
        tenant: TenantUid(row.try_get("", "tenant_uid")?),
        next_handout_at: Timestamp::from_millis(row.try_get("", "next_handout_at")?),
    })
}
