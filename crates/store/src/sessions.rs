//! Log-ins: families of refresh tokens, rotated and ended (S3.2, S4.1, S4.2).
//!
//! Whoever touches a family locks its row first, so that two uses of one token are
//! told apart: the first spends it, the second is a replay or, within the grace, gets
//! the one sibling pair. Only what can still be used, and what was spent within the
//! grace, has a row; the caller has checked the signature, so a token without a row
//! was spent before.

use std::time::Duration;

use domain::{Role, SessionUid, TenantUid, Timestamp, UserUid};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Value};

use crate::{AuditEntry, Store, StoreError, audit, pools};

/// O(1).
const OPEN: &str = "
    INSERT INTO sessions (uid, user_uid, expires_at, created_at, last_used_at)
    VALUES ($1, $2, {now} + $3, {now}, {now})";

/// O(1).
const ADD_TOKEN: &str = "
    INSERT INTO refresh_tokens (digest, session_uid, expires_at, has_sibling)
    VALUES ($1, $2, {now} + $3, FALSE)";

/// O(1) on the key. The person is told apart from a family that ended.
const LOCK: &str = "
    SELECT uid FROM sessions
    WHERE uid = $1 AND ended_at IS NULL AND expires_at > {now} {lock}";

/// O(1) on the keys.
const STANDING: &str = "
    SELECT users.uid AS user_uid, users.tenant_uid, users.role, users.platform_admin
    FROM sessions
    JOIN users ON users.uid = sessions.user_uid
    JOIN tenants ON tenants.uid = users.tenant_uid
    WHERE sessions.uid = $1 AND sessions.ended_at IS NULL AND sessions.expires_at > {now}
        AND users.disabled_at IS NULL AND NOT tenants.deleting";

/// O(1) on the key.
const SPEND: &str = "
    UPDATE refresh_tokens SET spent_at = {now}
    WHERE digest = $1 AND session_uid = $2 AND spent_at IS NULL AND expires_at > {now}";

/// O(1) on the key. The grace counts from the first use: a sibling does not prolong it.
const SIBLING: &str = "
    UPDATE refresh_tokens SET has_sibling = TRUE
    WHERE digest = $1 AND session_uid = $2 AND NOT has_sibling AND spent_at + $3 > {now}";

/// O(1) on the key.
const IN_GRACE: &str = "
    SELECT 1 AS one FROM refresh_tokens
    WHERE digest = $1 AND session_uid = $2 AND spent_at + $3 > {now}";

/// O(tokens of the family) on `refresh_tokens_session`; few, for this keeps them so.
const FORGET: &str = "
    DELETE FROM refresh_tokens
    WHERE session_uid = $1 AND (expires_at <= {now} OR spent_at + $2 <= {now})";

/// O(1) on the key.
const USED: &str =
    "UPDATE sessions SET last_used_at = {now}, expires_at = {now} + $2 WHERE uid = $1";

/// O(1) on the key.
const END: &str = "UPDATE sessions SET ended_at = {now} WHERE uid = $1 AND ended_at IS NULL";

/// O(tokens of the family) on `refresh_tokens_session`.
const DROP_TOKENS: &str = "DELETE FROM refresh_tokens WHERE session_uid = $1";

/// O(limit). Access tokens of an ended family do not outlive a day.
const OLD: &str = "
    DELETE FROM sessions WHERE uid IN (
        SELECT uid FROM sessions
        WHERE expires_at < {now} - 86400000 OR ended_at < {now} - 86400000
        LIMIT $1
    )";

/// A person behind a log-in that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Familiar {
    /// Who.
    pub user: UserUid,
    /// In which tenant.
    pub tenant: TenantUid,
    /// What the person is there.
    pub role: Role,
    /// Whether the person may do everything in every tenant.
    pub platform_admin: bool,
}

/// A refresh token that is used, and the one that takes its place.
#[derive(Clone, Copy, Debug)]
pub struct Spend {
    /// The family.
    pub session: SessionUid,
    /// SHA-256 of the token that is used.
    pub spent: [u8; 32],
    /// SHA-256 of the one that takes its place.
    pub fresh: [u8; 32],
    /// How long the fresh one lives.
    pub lifetime: Duration,
    /// How long after its first use a token gets one more pair; zero never does.
    pub grace: Duration,
}

/// What became of a refresh token that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The fresh one takes its place.
    Rotated(Familiar),
    /// It was spent a moment ago: the fresh one is its sibling pair.
    Sibling(Familiar),
    /// It was spent a moment ago and has its sibling already; nothing changed.
    SpentLately,
    /// It was spent long ago: somebody else has a copy. The family was ended.
    Replayed(Familiar),
    /// Its family has ended, or the person may not log in; nothing changed.
    Ended,
}

impl Store {
    /// Begins a family with its first refresh token.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails, or the person is gone; then nothing was stored.
    pub async fn open_session(
        &self,
        user: UserUid,
        (session, first): (SessionUid, [u8; 32]),
        lifetime: Duration,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let values = vec![session.0.into(), user.0.into(), millis(lifetime)];
        transaction.execute_raw(sql.statement(OPEN, values)).await?;
        self.add_token(&transaction, session, &first, lifetime)
            .await?;
        audit::write(&transaction, sql, entry).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The person behind a log-in; `None` if it has ended, or the person may not log in.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn familiar(&self, session: SessionUid) -> Result<Option<Familiar>, StoreError> {
        let row = self.pools.select_one(STANDING, [session.0.into()]).await?;
        row.as_ref().map(familiar).transpose()
    }

    /// Spends a refresh token for a fresh one, in one transaction. Of any number of
    /// simultaneous uses one rotates.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn rotate(&self, spend: Spend) -> Result<Rotation, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let lock = sql.statement(LOCK, vec![spend.session.0.into()]);
        if pools::one(&transaction, lock).await?.is_none() {
            return Ok(Rotation::Ended);
        }
        let standing = sql.statement(STANDING, vec![spend.session.0.into()]);
        let Some(row) = pools::one(&transaction, standing).await? else {
            return Ok(Rotation::Ended);
        };
        let person = familiar(&row)?;
        let rotation = self.spend(&transaction, &spend, person).await?;
        transaction.commit().await?;
        Ok(rotation)
    }

    async fn spend(
        &self,
        transaction: &DatabaseTransaction,
        spend: &Spend,
        person: Familiar,
    ) -> Result<Rotation, StoreError> {
        let sql = &self.pools.sql;
        let token = || vec![digest(&spend.spent), spend.session.0.into()];
        let in_grace = || [token(), vec![millis(spend.grace)]].concat();
        let first = transaction
            .execute_raw(sql.statement(SPEND, token()))
            .await?;
        if first.rows_affected() > 0 {
            self.succeed(transaction, spend).await?;
            return Ok(Rotation::Rotated(person));
        }
        let second = transaction
            .execute_raw(sql.statement(SIBLING, in_grace()))
            .await?;
        if second.rows_affected() > 0 {
            self.succeed(transaction, spend).await?;
            return Ok(Rotation::Sibling(person));
        }
        let lately = sql.statement(IN_GRACE, in_grace());
        if pools::one(transaction, lately).await?.is_some() {
            return Ok(Rotation::SpentLately);
        }
        self.end(transaction, spend.session).await?;
        Ok(Rotation::Replayed(person))
    }

    /// Puts the fresh token in; the family lives as long as it.
    async fn succeed(
        &self,
        transaction: &DatabaseTransaction,
        spend: &Spend,
    ) -> Result<(), StoreError> {
        let sql = &self.pools.sql;
        let session = || Value::from(spend.session.0);
        self.add_token(transaction, spend.session, &spend.fresh, spend.lifetime)
            .await?;
        let used = sql.statement(USED, vec![session(), millis(spend.lifetime)]);
        transaction.execute_raw(used).await?;
        let forget = sql.statement(FORGET, vec![session(), millis(spend.grace)]);
        transaction.execute_raw(forget).await?;
        Ok(())
    }

    async fn add_token(
        &self,
        transaction: &DatabaseTransaction,
        session: SessionUid,
        fresh: &[u8; 32],
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let values = vec![digest(fresh), session.0.into(), millis(lifetime)];
        let add = self.pools.sql.statement(ADD_TOKEN, values);
        transaction.execute_raw(add).await?;
        Ok(())
    }

    /// Ends a family; `false` if it had ended.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn end_session(
        &self,
        session: SessionUid,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let transaction = self.pools.begin().await?;
        if !self.end(&transaction, session).await? {
            return Ok(false);
        }
        audit::write(&transaction, &self.pools.sql, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn end(
        &self,
        transaction: &DatabaseTransaction,
        session: SessionUid,
    ) -> Result<bool, StoreError> {
        let sql = &self.pools.sql;
        let end = sql.statement(END, vec![session.0.into()]);
        if transaction.execute_raw(end).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let tokens = sql.statement(DROP_TOKENS, vec![session.0.into()]);
        transaction.execute_raw(tokens).await?;
        Ok(true)
    }

    /// Forgets up to `limit` families that ended or expired more than a day ago; says how many.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn forget_sessions(&self, limit: u32) -> Result<u64, StoreError> {
        self.pools.write(OLD, [i64::from(limit).into()]).await
    }
}

fn familiar(row: &sea_orm::QueryResult) -> Result<Familiar, StoreError> {
    let role: String = row.try_get("", "role")?;
    Ok(Familiar {
        user: UserUid(row.try_get("", "user_uid")?),
        tenant: TenantUid(row.try_get("", "tenant_uid")?),
        role: role
            .parse()
            .map_err(|_| StoreError::unreadable("users", "role"))?,
        platform_admin: row.try_get("", "platform_admin")?,
    })
}

fn digest(digest: &[u8; 32]) -> Value {
    digest.to_vec().into()
}

fn millis(duration: Duration) -> Value {
    Timestamp::default().plus(duration).as_millis().into()
}
