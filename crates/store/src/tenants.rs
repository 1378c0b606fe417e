//! Tenants: made, listed, and taken away with everything they own.

use domain::{Name, TenantUid, Timestamp};
use entity::tenants::Model;
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult as _, QueryResult, Value};
use uuid::Uuid;

use crate::counters;
use crate::sql::{Rows, Sql};
use crate::{CreateError, Page, PageRequest, Store, StoreError, pools, webhooks};

/// O(1) on the key and the id.
const INSERT: &str = "
    INSERT INTO tenants (uid, id, name, created_at) VALUES ($1, $2, $3, {now})
    ON CONFLICT (id) DO NOTHING
    RETURNING {tenants.*}";

/// O(1) on the key and the id; several processes may do it at once.
const INSERT_PLATFORM: &str = "
    INSERT INTO tenants (uid, id, name, created_at) VALUES ($1, $2, $2, {now})
    ON CONFLICT DO NOTHING";

/// O(page) on the id.
const PAGE: &str = "
    SELECT {tenants.*} FROM tenants WHERE id > $1 AND NOT deleting
    ORDER BY id LIMIT $2";

/// O(1) on the id.
const BY_ID: &str = "SELECT {tenants.*} FROM tenants WHERE id = $1 AND NOT deleting";

/// O(1) on the key.
const BY_UID: &str = "SELECT {tenants.*} FROM tenants WHERE uid = $1 AND NOT deleting";

/// O(1) on the key. No name that a caller can give begins with a tilde.
const MARK: &str = "
    UPDATE tenants SET deleting = TRUE, id = '~' || $2
    WHERE uid = $1 AND NOT deleting";

/// O(channels of the tenant) on `channels_name`; locked in the order of their uid.
const MARK_CHANNELS: &str = "
    WITH going (uid) AS (
        SELECT uid FROM channels WHERE tenant_uid = $1 AND state <> 'deleting'
        ORDER BY uid {lock}
    )
    UPDATE channels SET
        state = 'deleting', id = '~' || {uid_text},
        next_handout_at = {now}, updated_at = {now}
    FROM going WHERE channels.uid = going.uid";

/// O(people of the tenant) on `users_tenant`; their log-ins go with them.
const DROP_USERS: &str = "DELETE FROM users WHERE tenant_uid = $1";

/// O(rows) on `invitations_tenant`.
const DROP_INVITATIONS: &str = "DELETE FROM invitations WHERE tenant_uid = $1";

/// O(rows) on `service_tokens_tenant`.
const DROP_SERVICE_TOKENS: &str = "DELETE FROM service_tokens WHERE tenant_uid = $1";

/// O(1) on the tenant.
const END_SCHEDULE: &str = "DELETE FROM schedules WHERE tenant_uid = $1";

/// O(tenants): they are few, and rarely go.
const EMPTY: &str = "
    SELECT uid FROM tenants
    WHERE deleting
        AND NOT EXISTS (SELECT 1 FROM channels WHERE channels.tenant_uid = tenants.uid)
    ORDER BY uid LIMIT $1 {lock_free}";

/// O(1) on the key: the fleet's totals do not shrink when a tenant goes.
const KEEP_TOTALS: &str = "
    INSERT INTO counters (tenant_uid, kind, bucket, value)
    SELECT $2, kind, 0, value FROM counters WHERE tenant_uid = $1 AND bucket = 0
    ORDER BY kind
    ON CONFLICT (tenant_uid, kind, bucket)
    DO UPDATE SET value = counters.value + excluded.value";

/// O(minutes of the tenant) on the key.
const DROP_COUNTERS: &str = "DELETE FROM counters WHERE tenant_uid = $1";

/// O(rows) on the key.
const REMOVE: &str = "DELETE FROM tenants WHERE uid IN ({rows})";

/// The id of the built-in tenant.
const PLATFORM: &str = "platform";

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The key inside the house.
    pub uid: TenantUid,
    /// The name by which callers know it.
    pub id: Name,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Store {
    /// Makes a tenant. Without an id it gets one; without a name it is called by its id.
    ///
    /// # Errors
    ///
    /// [`CreateError::Taken`] if the id is in use; [`CreateError::Store`].
    pub async fn create_tenant(
        &self,
        id: Option<Name>,
        name: Option<String>,
    ) -> Result<Tenant, CreateError> {
        let id = id.unwrap_or_else(|| Name::generate("tenant"));
        let name = name.unwrap_or_else(|| id.to_string());
        let made = insert(&self.pools.writer, &self.pools.sql, &id, &name).await?;
        made.ok_or(CreateError::Taken)
    }

    /// The built-in tenant `platform`; the first call makes it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn platform_tenant(&self) -> Result<Tenant, StoreError> {
        if let Some(tenant) = self.tenant_by_uid(TenantUid::PLATFORM).await? {
            return Ok(tenant);
        }
        let values = [TenantUid::PLATFORM.0.into(), PLATFORM.into()];
        self.pools.write(INSERT_PLATFORM, values).await?;
        let made = self.tenant_by_uid(TenantUid::PLATFORM).await?;
        made.ok_or_else(|| StoreError::unreadable("tenants", "the id of the platform is taken"))
    }

    /// All tenants, in the order of their ids; those on their way out are not shown.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn tenants(&self, page: PageRequest) -> Result<Page<Tenant>, StoreError> {
        let after = page.after.as_ref().map_or("", Name::as_str);
        let values: [Value; 2] = [after.into(), (i64::from(page.limit) + 1).into()];
        let rows = self.pools.select(PAGE, values).await?;
        let tenants: Result<Vec<_>, _> = rows.iter().map(tenant).collect();
        Ok(Page::cut(tenants?, page.limit, |tenant| tenant.id.clone()))
    }

    /// The tenant with this id; `None` also if it is being deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn tenant(&self, id: &Name) -> Result<Option<Tenant>, StoreError> {
        let row = self.pools.select_one(BY_ID, [id.as_str().into()]).await?;
        row.as_ref().map(tenant).transpose()
    }

    /// The tenant with this uid; `None` also if it is being deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn tenant_by_uid(&self, uid: TenantUid) -> Result<Option<Tenant>, StoreError> {
        let row = self.pools.select_one(BY_UID, [uid.0.into()]).await?;
        row.as_ref().map(tenant).transpose()
    }

    /// Marks a tenant and its channels as going, ends its schedule, takes its people,
    /// service tokens and webhooks away, and frees its id.
    /// `false` if there is no such tenant, or it is going already.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn delete_tenant(&self, uid: TenantUid) -> Result<bool, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let mark = sql.statement(MARK, vec![uid.0.into(), uid.to_string().into()]);
        if transaction.execute_raw(mark).await?.rows_affected() == 0 {
            return Ok(false);
        }
        for text in [
            MARK_CHANNELS,
            END_SCHEDULE,
            DROP_USERS,
            DROP_INVITATIONS,
            DROP_SERVICE_TOKENS,
        ] {
            let statement = sql.statement(text, vec![uid.0.into()]);
            transaction.execute_raw(statement).await?;
        }
        webhooks::drop_all(&transaction, sql, uid.0).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Removes up to `limit` going tenants whose last channel is gone; says how many.
    /// What their jobs came to stays in the fleet's totals.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn remove_empty_tenants(&self, limit: u32) -> Result<u64, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let empty = sql.statement(EMPTY, vec![i64::from(limit).into()]);
        let mut gone: Vec<[Value; 1]> = Vec::new();
        for row in transaction.query_all_raw(empty).await? {
            let uid: Uuid = row.try_get("", "uid")?;
            self.keep_totals(&transaction, uid).await?;
            gone.push([uid.into()]);
        }
        if gone.is_empty() {
            return Ok(0);
        }
        let statement = sql.with_rows(REMOVE, Rows::padded(gone));
        let removed = transaction.execute_raw(statement).await?.rows_affected();
        transaction.commit().await?;
        Ok(removed)
    }

    /// Adds a tenant's totals to those of all tenants that are gone, whose uid is nil.
    async fn keep_totals(
        &self,
        transaction: &DatabaseTransaction,
        uid: Uuid,
    ) -> Result<(), StoreError> {
        let sql = &self.pools.sql;
        counters::fold(transaction, sql).await?;
        let keep = sql.statement(KEEP_TOTALS, vec![uid.into(), Uuid::nil().into()]);
        transaction.execute_raw(keep).await?;
        // The schedule once more: somebody may have made one while the tenant was going.
        for text in [DROP_COUNTERS, END_SCHEDULE] {
            let statement = sql.statement(text, vec![uid.into()]);
            transaction.execute_raw(statement).await?;
        }
        Ok(())
    }
}

/// Makes a tenant, in a transaction or outside; `None` if the id is taken.
pub(crate) async fn insert(
    db: &impl ConnectionTrait,
    sql: &Sql,
    id: &Name,
    name: &str,
) -> Result<Option<Tenant>, StoreError> {
    let values = vec![
        TenantUid::generate().0.into(),
        id.as_str().into(),
        name.into(),
    ];
    let row = pools::one(db, sql.statement(INSERT, values)).await?;
    row.as_ref().map(tenant).transpose()
}

fn tenant(row: &QueryResult) -> Result<Tenant, StoreError> {
    let row = Model::from_query_result(row, "")?;
    let bad_id = |_| StoreError::unreadable("tenants", "id");
    Ok(Tenant {
        uid: TenantUid(row.uid),
        id: row.id.parse().map_err(bad_id)?,
        name: row.name,
        created_at: Timestamp::from_millis(row.created_at),
    })
}
