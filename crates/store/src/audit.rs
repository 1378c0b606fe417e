//! The audit log: every change, in the transaction of the change where it is made here.

use std::net::IpAddr;
use std::time::Duration;

use domain::{TenantUid, Timestamp};
use entity::audit_log::Model;
use sea_orm::{ConnectionTrait, FromQueryResult as _, QueryResult, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::sql::{Sql, json};
use crate::{Page, PageRequest, Store, StoreError, retention};

/// O(1).
const INSERT: &str = "
    INSERT INTO audit_log (
        uid, at, tenant_uid, actor, action, target, address, request_id, details
    ) VALUES ($1, {now}, $2, $3, $4, $5, $6, $7, $8)";

/// O(page) on the key, or on `audit_log_tenant`; with a filter, O(log) at worst.
const PAGE: &str = "
    SELECT {audit_log.*} FROM audit_log
    WHERE uid < $1
        AND ($2 IS NULL OR actor = $2)
        AND ($3 IS NULL OR action = $3)
    ORDER BY uid DESC LIMIT $4";

/// O(page) on `audit_log_tenant`.
const PAGE_OF_TENANT: &str = "
    SELECT {audit_log.*} FROM audit_log
    WHERE tenant_uid = $5 AND uid < $1
        AND ($2 IS NULL OR actor = $2)
        AND ($3 IS NULL OR action = $3)
    ORDER BY uid DESC LIMIT $4";

/// O(limit) on the key: uids of version 7 sort by age.
const OLD: &str = "
    DELETE FROM audit_log WHERE uid IN (
        SELECT uid FROM audit_log WHERE uid < $1 ORDER BY uid LIMIT $2
    )";

/// One change, as it is told to the log. Nothing of it may be a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// In which tenant; `None` concerns the platform.
    pub tenant: Option<TenantUid>,
    /// Which account did it.
    pub actor: String,
    /// What it is called: `channel.import`.
    pub action: &'static str,
    /// To what: its address without `/api/v1/`.
    pub target: String,
    /// From where.
    pub address: Option<IpAddr>,
    /// By which request.
    pub request_id: Uuid,
    /// More; `Null` is nothing.
    pub details: Json,
}

/// One change, as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    /// The key; lists are in its order.
    pub uid: Uuid,
    /// When.
    pub at: Timestamp,
    /// In which tenant; `None` concerns the platform.
    pub tenant: Option<TenantUid>,
    /// Which account did it.
    pub actor: String,
    /// What it is called.
    pub action: String,
    /// To what.
    pub target: String,
    /// From where.
    pub address: Option<String>,
    /// By which request.
    pub request_id: Uuid,
    /// More; `Null` is nothing.
    pub details: Json,
}

/// Which changes are wanted; empty wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only those in this tenant.
    pub tenant: Option<TenantUid>,
    /// Only those by this account.
    pub actor: Option<String>,
    /// Only those of this name.
    pub action: Option<String>,
}

impl Store {
    /// Writes a change down.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        write(&self.pools.writer, &self.pools.sql, entry).await
    }

    /// The log, the newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        page: PageRequest<Uuid>,
    ) -> Result<Page<AuditRecord, Uuid>, StoreError> {
        let mut values: Vec<Value> = vec![
            page.after.unwrap_or(Uuid::max()).into(),
            filter.actor.clone().into(),
            filter.action.clone().into(),
            (i64::from(page.limit) + 1).into(),
        ];
        let text = match filter.tenant {
            Some(tenant) => {
                values.push(tenant.0.into());
                PAGE_OF_TENANT
            }
            None => PAGE,
        };
        let rows = self.pools.select(text, values).await?;
        let records: Result<Vec<_>, _> = rows.iter().map(record).collect();
        Ok(Page::cut(records?, page.limit, |record| record.uid))
    }
}

impl Store {
    /// Forgets up to `limit` changes that are older than this; says how many.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn forget_changes(&self, max_age: Duration, limit: u32) -> Result<u64, StoreError> {
        let oldest = retention::beginning(self.now().await?.minus(max_age));
        let values: [Value; 2] = [oldest.into(), i64::from(limit).into()];
        self.pools.write(OLD, values).await
    }
}

/// Writes a change down, in a transaction or outside.
pub(crate) async fn write(
    db: &impl ConnectionTrait,
    sql: &Sql,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    let details = (!entry.details.is_null()).then(|| json(&entry.details));
    let values: Vec<Value> = vec![
        Uuid::now_v7().into(),
        entry.tenant.map(|tenant| tenant.0).into(),
        entry.actor.as_str().into(),
        entry.action.into(),
        entry.target.as_str().into(),
        entry.address.map(|address| address.to_string()).into(),
        entry.request_id.into(),
        details.into(),
    ];
    db.execute_raw(sql.statement(INSERT, values)).await?;
    Ok(())
}

fn record(row: &QueryResult) -> Result<AuditRecord, StoreError> {
    let row = Model::from_query_result(row, "")?;
    let details = row.details.as_deref().map(serde_json::from_str).transpose();
    let details = details.map_err(|_| StoreError::unreadable("audit_log", "details"))?;
    Ok(AuditRecord {
        uid: row.uid,
        at: Timestamp::from_millis(row.at),
        tenant: row.tenant_uid.map(TenantUid),
        actor: row.actor,
        action: row.action,
        target: row.target,
        address: row.address,
        request_id: row.request_id,
        details: details.unwrap_or(Json::Null),
    })
}
