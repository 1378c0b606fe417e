//! Invitations: how a second person comes into a tenant.

use std::time::Duration;

use domain::{Role, TenantUid, Timestamp};
use entity::invitations::Model;
use sea_orm::{ConnectionTrait as _, FromQueryResult as _, QueryResult, Value};
use uuid::Uuid;

use crate::users::NewUser;
use crate::{AuditEntry, Page, PageRequest, Store, StoreError, User, audit, pools};

/// O(1) on the address.
const TAKEN: &str = "SELECT 1 AS one FROM users WHERE email = $1";

/// O(invitations of the tenant): an address has one at a time, the newest.
const REPLACE: &str = "DELETE FROM invitations WHERE tenant_uid = $1 AND email = $2";

/// O(1).
const INSERT: &str = "
    INSERT INTO invitations (uid, tenant_uid, email, name, role, digest, expires_at, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, {now} + $7, {now})
    RETURNING {invitations.*}";

/// O(1) on the digest. Who takes it away has accepted it.
const TAKE: &str = "
    DELETE FROM invitations
    WHERE digest = $1 AND expires_at > {now}
        AND EXISTS (SELECT 1 FROM tenants WHERE tenants.uid = tenant_uid AND NOT deleting)
    RETURNING {invitations.*}";

/// O(page) on `invitations_tenant`.
const PAGE: &str = "
    SELECT {invitations.*} FROM invitations WHERE tenant_uid = $1 AND uid > $2 AND expires_at > {now}
    ORDER BY uid LIMIT $3";

/// O(1) on the key.
const WITHDRAW: &str = "DELETE FROM invitations WHERE uid = $1 AND tenant_uid = $2";

/// O(invitations): they are few.
const OLD: &str = "DELETE FROM invitations WHERE expires_at < {now}";

/// Somebody who may join a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The key.
    pub uid: Uuid,
    /// Into which tenant.
    pub tenant: TenantUid,
    /// The address by which the person will log in, in lower case.
    pub email: String,
    /// What people call the person.
    pub name: String,
    /// The role that the person will have.
    pub role: Role,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

/// An invitation to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInvitation {
    /// Into which tenant.
    pub tenant: TenantUid,
    /// The address by which the person will log in, in lower case.
    pub email: String,
    /// What people call the person.
    pub name: String,
    /// The role that the person will have.
    pub role: Role,
    /// SHA-256 of its token.
    pub digest: [u8; 32],
    /// How long it can be accepted.
    pub lifetime: Duration,
}

/// An invitation that was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// There is none, it has expired, or it was accepted before.
    #[error("there is no such invitation")]
    Unknown,
    /// Somebody has registered with the address meanwhile.
    #[error("the address is taken")]
    Taken,
    /// The database failed; nothing was stored.
    #[error("nothing was stored")]
    Store(#[from] StoreError),
}

impl Store {
    /// Stores an invitation, in the place of an earlier one for the same address;
    /// `None` if somebody has the address.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing was stored.
    pub async fn invite(
        &self,
        new: NewInvitation,
        entry: &AuditEntry,
    ) -> Result<Option<Invitation>, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let taken = sql.statement(TAKEN, vec![new.email.as_str().into()]);
        if pools::one(&transaction, taken).await?.is_some() {
            return Ok(None);
        }
        let replace = vec![new.tenant.0.into(), new.email.as_str().into()];
        transaction
            .execute_raw(sql.statement(REPLACE, replace))
            .await?;
        let lifetime = Timestamp::default().plus(new.lifetime).as_millis();
        let values: Vec<Value> = vec![
            Uuid::now_v7().into(),
            new.tenant.0.into(),
            new.email.into(),
            new.name.into(),
            new.role.as_str().into(),
            new.digest.to_vec().into(),
            lifetime.into(),
        ];
        let row = pools::one(&transaction, sql.statement(INSERT, values)).await?;
        let row = row.ok_or_else(|| StoreError::unreadable("invitations", "no row"))?;
        audit::write(&transaction, sql, entry).await?;
        transaction.commit().await?;
        invitation(&row).map(Some)
    }

    /// Makes the person that an invitation is for; it can be accepted once. The audit
    /// line gets the person as actor and target, and the tenant.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; then nothing was stored, and the invitation stays.
    pub async fn accept_invitation(
        &self,
        digest: [u8; 32],
        password_hash: String,
        entry: AuditEntry,
    ) -> Result<User, AcceptError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let take = sql.statement(TAKE, vec![digest.to_vec().into()]);
        let row = pools::one(&transaction, take)
            .await
            .map_err(StoreError::from)?;
        let invitation = invitation(&row.ok_or(AcceptError::Unknown)?)?;
        let new = NewUser {
            email: invitation.email,
            name: invitation.name,
            password_hash,
        };
        let place = (invitation.tenant, invitation.role, false);
        let user = self.insert_user(&transaction, new, place).await?;
        let user = user.ok_or(AcceptError::Taken)?;
        let entry = AuditEntry {
            tenant: Some(user.tenant),
            actor: format!("user:{}", user.uid),
            target: format!("users/{}", user.uid),
            ..entry
        };
        audit::write(&transaction, sql, &entry).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(user)
    }

    /// The invitations of a tenant that can be accepted, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn invitations(
        &self,
        tenant: TenantUid,
        page: PageRequest<Uuid>,
    ) -> Result<Page<Invitation, Uuid>, StoreError> {
        let values: [Value; 3] = [
            tenant.0.into(),
            page.after.unwrap_or(Uuid::nil()).into(),
            (i64::from(page.limit) + 1).into(),
        ];
        let rows = self.pools.select(PAGE, values).await?;
        let invitations: Result<Vec<_>, _> = rows.iter().map(invitation).collect();
        Ok(Page::cut(invitations?, page.limit, |it| it.uid))
    }

    /// Takes an invitation of this tenant back; `false` if there is none such.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn withdraw_invitation(
        &self,
        tenant: TenantUid,
        uid: Uuid,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let values = vec![uid.into(), tenant.0.into()];
        self.change_audited(WITHDRAW, values, entry).await
    }

    /// Forgets the invitations that have expired; says how many.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn forget_invitations(&self) -> Result<u64, StoreError> {
        self.pools.write(OLD, []).await
    }
}

fn invitation(row: &QueryResult) -> Result<Invitation, StoreError> {
    let row = Model::from_query_result(row, "")?;
    let role = row.role.parse();
    Ok(Invitation {
        uid: row.uid,
        tenant: TenantUid(row.tenant_uid),
        email: row.email,
        name: row.name,
        role: role.map_err(|_| StoreError::unreadable("invitations", "role"))?,
        expires_at: Timestamp::from_millis(row.expires_at),
    })
}
