//! Service tokens: made, listed, revoked, and found by the programs that bear them (S3.3).

use domain::{Scope, ServiceTokenUid, TenantUid, Timestamp, UserUid};
use entity::service_tokens::Model;
use sea_orm::{FromQueryResult as _, QueryResult, Value};
use uuid::Uuid;

use crate::sql::maybe_at;
use crate::{AuditEntry, Page, PageRequest, Store, StoreError, audit, pools};

/// O(1).
const INSERT: &str = "
    INSERT INTO service_tokens (
        uid, tenant_uid, name, scopes, digest, expires_at, created_by, created_at
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, {now})
    RETURNING {service_tokens.*}";

/// O(page) on `service_tokens_tenant`.
const PAGE: &str = "
    SELECT {service_tokens.*} FROM service_tokens WHERE tenant_uid = $1 AND uid > $2
    ORDER BY uid LIMIT $3";

/// O(1) on the key.
const LIVING: &str = "
    SELECT {service_tokens.*} FROM service_tokens
    JOIN tenants ON tenants.uid = service_tokens.tenant_uid
    WHERE service_tokens.uid = $1 AND service_tokens.revoked_at IS NULL
        AND (service_tokens.expires_at IS NULL OR service_tokens.expires_at > {now})
        AND NOT tenants.deleting";

/// O(1) on the key. Once a minute is enough to know whether a token is in use.
const USED: &str = "
    UPDATE service_tokens SET last_used_at = {now}
    WHERE uid = $1 AND (last_used_at IS NULL OR last_used_at <= {now} - 60000)";

/// O(1) on the key.
const REVOKE: &str = "
    UPDATE service_tokens SET revoked_at = {now}
    WHERE uid = $1 AND tenant_uid = $2 AND revoked_at IS NULL";

/// O(1) on the key.
const BY_UID: &str = "SELECT {service_tokens.*} FROM service_tokens WHERE uid = $1";

/// A service token, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceToken {
    /// The key, and the `jti` of the token.
    pub uid: ServiceTokenUid,
    /// In which tenant it is valid.
    pub tenant: TenantUid,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// When it expires; `None` never does.
    pub expires_at: Option<Timestamp>,
    /// Who made it; `None` the holder of the admin token.
    pub created_by: Option<UserUid>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A service token to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewServiceToken {
    /// The key, and the `jti` of the token.
    pub uid: ServiceTokenUid,
    /// In which tenant it is valid.
    pub tenant: TenantUid,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// When it expires; `None` never does.
    pub expires_at: Option<Timestamp>,
    /// Who makes it; `None` the holder of the admin token.
    pub created_by: Option<UserUid>,
}

impl Store {
    /// Stores a service token.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing was stored.
    pub async fn create_service_token(
        &self,
        new: NewServiceToken,
        entry: &AuditEntry,
    ) -> Result<ServiceToken, StoreError> {
        let values: Vec<Value> = vec![
            new.uid.0.into(),
            new.tenant.0.into(),
            new.name.into(),
            Scope::join(&new.scopes).into(),
            new.digest.to_vec().into(),
            maybe_at(new.expires_at),
            new.created_by.map(|user| user.0).into(),
        ];
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let row = pools::one(&transaction, sql.statement(INSERT, values)).await?;
        let row = row.ok_or_else(|| StoreError::unreadable("service_tokens", "no row"))?;
        audit::write(&transaction, sql, entry).await?;
        transaction.commit().await?;
        service_token(&row)
    }

    /// The service tokens of a tenant, revoked and expired ones too, in the order in
    /// which they were made.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn service_tokens(
        &self,
        tenant: TenantUid,
        page: PageRequest<Uuid>,
    ) -> Result<Page<ServiceToken, Uuid>, StoreError> {
        let values: [Value; 3] = [
            tenant.0.into(),
            page.after.unwrap_or(Uuid::nil()).into(),
            (i64::from(page.limit) + 1).into(),
        ];
        let rows = self.pools.select(PAGE, values).await?;
        let tokens: Result<Vec<_>, _> = rows.iter().map(service_token).collect();
        Ok(Page::cut(tokens?, page.limit, |token| token.uid.0))
    }

    /// The service token with this uid, whatever has become of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn service_token(
        &self,
        uid: ServiceTokenUid,
    ) -> Result<Option<ServiceToken>, StoreError> {
        let row = self.pools.select_one(BY_UID, [uid.0.into()]).await?;
        row.as_ref().map(service_token).transpose()
    }

    /// The service token with this uid, if it is neither revoked nor expired.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn living_service_token(
        &self,
        uid: ServiceTokenUid,
    ) -> Result<Option<ServiceToken>, StoreError> {
        let row = self.pools.select_one(LIVING, [uid.0.into()]).await?;
        row.as_ref().map(service_token).transpose()
    }

    /// Notes that a service token is in use, at most once a minute.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn touch_service_token(&self, uid: ServiceTokenUid) -> Result<(), StoreError> {
        self.pools.write(USED, [uid.0.into()]).await?;
        Ok(())
    }

    /// Revokes a service token of this tenant; `false` if there is none such that lives.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn revoke_service_token(
        &self,
        tenant: TenantUid,
        uid: ServiceTokenUid,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let values = vec![uid.0.into(), tenant.0.into()];
        self.change_audited(REVOKE, values, entry).await
    }
}

fn service_token(row: &QueryResult) -> Result<ServiceToken, StoreError> {
    let bad = |why: &str| StoreError::unreadable("service_tokens", why);
    let row = Model::from_query_result(row, "")?;
    Ok(ServiceToken {
        uid: ServiceTokenUid(row.uid),
        tenant: TenantUid(row.tenant_uid),
        name: row.name,
        scopes: Scope::split(&row.scopes).map_err(|_| bad("scopes"))?,
        digest: row.digest.try_into().map_err(|_| bad("digest"))?,
        expires_at: row.expires_at.map(Timestamp::from_millis),
        created_by: row.created_by.map(UserUid),
        created_at: Timestamp::from_millis(row.created_at),
        last_used_at: row.last_used_at.map(Timestamp::from_millis),
        revoked_at: row.revoked_at.map(Timestamp::from_millis),
    })
}
