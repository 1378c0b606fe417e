//! Webhook endpoints: where a tenant wants to be told (S5.4).

use std::collections::HashMap;

use domain::{EndpointUid, EventKind, Sealed, TenantUid, Timestamp};
use entity::webhook_endpoints::Model;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, FromQueryResult as _, QueryResult};
use uuid::Uuid;

use crate::sql::{Sql, json};
use crate::{CreateError, Store, StoreError, pools};

/// O(1) on the key. A tenant that is going cannot get another one.
const INSERT: &str = "
    INSERT INTO webhook_endpoints (
        uid, tenant_uid, url, events, envelope, key_id, fingerprint, created_at
    )
    SELECT $1, uid, $3, $4, $5, $6, $7, {now} FROM tenants
    WHERE uid = $2 AND NOT deleting
        AND (SELECT count(*) FROM webhook_endpoints WHERE tenant_uid = $2) < $8
    RETURNING {webhook_endpoints.*}";

/// O(endpoints of the tenant) on `webhook_endpoints_tenant`.
const OF_TENANT: &str =
    "SELECT {webhook_endpoints.*} FROM webhook_endpoints WHERE tenant_uid = $1 ORDER BY uid";

/// O(1) on the key.
const BY_UID: &str = "SELECT {webhook_endpoints.*} FROM webhook_endpoints WHERE uid = $1";

/// O(pending deliveries of the tenant) on `webhook_deliveries_due`.
const PENDING: &str = "
    SELECT endpoint_uid, count(*) AS pending FROM webhook_deliveries
    WHERE next_at IS NOT NULL AND endpoint_uid IN (
        SELECT uid FROM webhook_endpoints WHERE tenant_uid = $1
    )
    GROUP BY endpoint_uid";

/// O(1) on the key.
const DELETE: &str = "DELETE FROM webhook_endpoints WHERE uid = $1 AND tenant_uid = $2";

/// O(deliveries of the endpoint) on `webhook_deliveries_endpoint`.
const DROP_DELIVERIES: &str = "DELETE FROM webhook_deliveries WHERE endpoint_uid = $1";

/// O(endpoints of the tenant) on `webhook_endpoints_tenant`.
const LOCK_OF_TENANT: &str = "
    SELECT uid FROM webhook_endpoints WHERE tenant_uid = $1 ORDER BY uid {lock}";

/// O(deliveries of the tenant) on `webhook_deliveries_endpoint`.
const DROP_DELIVERIES_OF_TENANT: &str = "
    DELETE FROM webhook_deliveries WHERE endpoint_uid IN (
        SELECT uid FROM webhook_endpoints WHERE tenant_uid = $1
    )";

/// O(endpoints of the tenant) on `webhook_endpoints_tenant`.
const DROP_OF_TENANT: &str = "DELETE FROM webhook_endpoints WHERE tenant_uid = $1";

/// O(endpoints of the tenant): plain refreshes are only written down where somebody listens.
const ANNOUNCE: &str = "
    UPDATE tenants SET refreshed_events = EXISTS (
        SELECT 1 FROM webhook_endpoints
        WHERE tenant_uid = $1 AND disabled_at IS NULL AND events LIKE '%\"channel.refreshed\"%'
    )
    WHERE uid = $1";

/// An endpoint that is to be stored.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// The key inside the house; its secret is sealed for it.
    pub uid: EndpointUid,
    /// Whose it is.
    pub tenant: TenantUid,
    /// Where it is called.
    pub url: String,
    /// What it hears of.
    pub events: Vec<EventKind>,
    /// The sealed signing secret.
    pub sealed: Sealed,
}

/// A webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The key inside the house, and its id outside.
    pub uid: EndpointUid,
    /// Whose it is.
    pub tenant: TenantUid,
    /// Where it is called. It may hold a secret of the receiver's: not for logs.
    pub url: String,
    /// What it hears of, sorted.
    pub events: Vec<EventKind>,
    /// The sealed signing secret.
    pub sealed: Sealed,
    /// When it was made; it hears of what happens from then on.
    pub created_at: Timestamp,
    /// When the scheduler looks at it next; `None` if nothing waits.
    pub next_handout_at: Option<Timestamp>,
    /// Since when every call has failed.
    pub failing_since: Option<Timestamp>,
    /// When it was given up.
    pub disabled_at: Option<Timestamp>,
    /// What went wrong last; gone with the next success.
    pub last_error: Option<String>,
    /// The last HTTP status, if there was an answer.
    pub last_status: Option<u16>,
    /// When an event was last taken.
    pub last_success_at: Option<Timestamp>,
    /// Events that it took.
    pub delivered: u64,
    /// Events that it was not told of after all tries.
    pub given_up: u64,
}

impl Store {
    /// Stores an endpoint, if the tenant has fewer than `limit`.
    ///
    /// # Errors
    ///
    /// [`CreateError::NoTenant`], [`CreateError::Taken`] if the tenant has its
    /// share, [`CreateError::Store`].
    pub async fn create_endpoint(
        &self,
        new: NewEndpoint,
        limit: u32,
    ) -> Result<Endpoint, CreateError> {
        let tenant = new.tenant;
        let mut events = new.events;
        events.sort_unstable();
        events.dedup();
        let values = vec![
            new.uid.0.into(),
            tenant.0.into(),
            new.url.into(),
            json(&events).into(),
            new.sealed.envelope.into(),
            new.sealed.key_id.into(),
            new.sealed.fingerprint.to_vec().into(),
            i64::from(limit).into(),
        ];
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let insert = sql.statement(INSERT, values);
        let stored = pools::one(&transaction, insert)
            .await
            .map_err(StoreError::from)?;
        let Some(stored) = stored else {
            drop(transaction);
            return Err(match self.tenant_by_uid(tenant).await? {
                Some(_) => CreateError::Taken,
                None => CreateError::NoTenant,
            });
        };
        announce(&transaction, sql, tenant.0).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(endpoint(&stored)?)
    }

    /// The tenant's endpoints, the oldest first, each with how many deliveries wait.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn endpoints(&self, tenant: TenantUid) -> Result<Vec<(Endpoint, u64)>, StoreError> {
        let mut pending = HashMap::new();
        for row in self.pools.select(PENDING, [tenant.0.into()]).await? {
            let uid: Uuid = row.try_get("", "endpoint_uid")?;
            let count: i64 = row.try_get("", "pending")?;
            pending.insert(uid, u64::try_from(count).unwrap_or(0));
        }
        let rows = self.pools.select(OF_TENANT, [tenant.0.into()]).await?;
        let with_pending = |row: &QueryResult| {
            let endpoint = endpoint(row)?;
            let pending = pending.get(&endpoint.uid.0).copied().unwrap_or(0);
            Ok((endpoint, pending))
        };
        rows.iter().map(with_pending).collect()
    }

    /// The endpoint with this uid.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn endpoint(&self, uid: EndpointUid) -> Result<Option<Endpoint>, StoreError> {
        let row = self.pools.select_one(BY_UID, [uid.0.into()]).await?;
        row.as_ref().map(endpoint).transpose()
    }

    /// Deletes an endpoint with its deliveries; `false` if the tenant has none with this uid.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn delete_endpoint(
        &self,
        tenant: TenantUid,
        uid: EndpointUid,
    ) -> Result<bool, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let delete = sql.statement(DELETE, vec![uid.0.into(), tenant.0.into()]);
        if transaction.execute_raw(delete).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let deliveries = sql.statement(DROP_DELIVERIES, vec![uid.0.into()]);
        transaction.execute_raw(deliveries).await?;
        announce(&transaction, sql, tenant.0).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Whether the tenant's plain refreshes are written to the outbox.
pub(crate) async fn announce(
    transaction: &DatabaseTransaction,
    sql: &Sql,
    tenant: Uuid,
) -> Result<(), StoreError> {
    let statement = sql.statement(ANNOUNCE, vec![tenant.into()]);
    transaction.execute_raw(statement).await?;
    Ok(())
}

/// Takes all endpoints of a tenant away, with their deliveries.
pub(crate) async fn drop_all(
    transaction: &DatabaseTransaction,
    sql: &Sql,
    tenant: Uuid,
) -> Result<(), StoreError> {
    for text in [LOCK_OF_TENANT, DROP_DELIVERIES_OF_TENANT, DROP_OF_TENANT] {
        let statement = sql.statement(text, vec![tenant.into()]);
        transaction.execute_raw(statement).await?;
    }
    Ok(())
}

fn endpoint(row: &QueryResult) -> Result<Endpoint, StoreError> {
    let bad = |why: &str| StoreError::unreadable("webhook_endpoints", why);
    let row = Model::from_query_result(row, "")?;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(Endpoint {
        uid: EndpointUid(row.uid),
        tenant: TenantUid(row.tenant_uid),
        url: row.url,
        events: serde_json::from_str(&row.events).map_err(|_| bad("events"))?,
        sealed: Sealed {
            envelope: row.envelope,
            key_id: row.key_id,
            fingerprint: row.fingerprint.try_into().map_err(|_| bad("fingerprint"))?,
        },
        created_at: Timestamp::from_millis(row.created_at),
        next_handout_at: row.next_handout_at.map(Timestamp::from_millis),
        failing_since: row.failing_since.map(Timestamp::from_millis),
        disabled_at: row.disabled_at.map(Timestamp::from_millis),
        last_error: row.last_error,
        last_status: row.last_status.and_then(|status| status.try_into().ok()),
        last_success_at: row.last_success_at.map(Timestamp::from_millis),
        delivered: count(row.delivered),
        given_up: count(row.given_up),
    })
}
