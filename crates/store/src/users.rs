//! People: registered, found, changed and taken away.

use domain::{Name, Role, SessionUid, TenantUid, Timestamp, UserUid};
use entity::users::Model;
use sea_orm::{
    ConnectionTrait as _, DatabaseTransaction, FromQueryResult as _, QueryResult, Value,
};
use uuid::Uuid;

use crate::{AuditEntry, Dialect, Page, PageRequest, Store, StoreError, audit, pools, tenants};

/// Registering is rare, and the first one is told from the second by it. SQLite has
/// one writer anyway.
const ONE_AT_A_TIME: &str = "LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE";

/// O(1).
const ANY: &str = "SELECT 1 AS one FROM users LIMIT 1";

/// O(1) on the address.
const INSERT: &str = "
    INSERT INTO users (
        uid, tenant_uid, email, name, password_hash, role, platform_admin, created_at, updated_at
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, {now}, {now})
    ON CONFLICT (email) DO NOTHING
    RETURNING {users.*}";

/// O(1) on the address.
const BY_EMAIL: &str = "SELECT {users.*} FROM users WHERE email = $1";

/// O(1) on the key.
const BY_UID: &str = "SELECT {users.*} FROM users WHERE uid = $1";

/// O(page) on `users_tenant`.
const PAGE: &str = "
    SELECT {users.*} FROM users WHERE tenant_uid = $1 AND uid > $2
    ORDER BY uid LIMIT $3";

/// O(1) on the key.
const PATCH: &str = "
    UPDATE users SET
        name = COALESCE($3, name),
        role = COALESCE($4, role),
        disabled_at = CASE
            WHEN $5 IS NULL THEN disabled_at
            WHEN $5 THEN COALESCE(disabled_at, {now})
            ELSE NULL
        END,
        platform_admin = COALESCE($6, platform_admin),
        updated_at = {now}
    WHERE uid = $1 AND tenant_uid = $2
    RETURNING {users.*}";

/// O(log-ins of the person).
const DELETE: &str = "DELETE FROM users WHERE uid = $1 AND tenant_uid = $2";

/// O(1) on the key.
const NEW_PASSWORD: &str = "UPDATE users SET password_hash = $2, updated_at = {now} WHERE uid = $1";

/// O(log-ins of the person) on `sessions_user`.
const END_OTHERS: &str = "
    UPDATE sessions SET ended_at = {now}
    WHERE user_uid = $1 AND uid <> $2 AND ended_at IS NULL";

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The key.
    pub uid: UserUid,
    /// In which tenant.
    pub tenant: TenantUid,
    /// The address by which the person logs in, in lower case.
    pub email: String,
    /// What people call the person.
    pub name: String,
    /// What the person is in the tenant.
    pub role: Role,
    /// Whether the person may do everything in every tenant.
    pub platform_admin: bool,
    /// Since when the person may not log in.
    pub disabled_at: Option<Timestamp>,
    /// When the person came.
    pub created_at: Timestamp,
}

/// A person and the hash to check a password against; `Debug` does not show it.
pub struct Login {
    /// The person.
    pub user: User,
    /// Argon2id in PHC form.
    pub password_hash: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A person who registers.
pub struct NewUser {
    /// The address, in lower case.
    pub email: String,
    /// What people call the person.
    pub name: String,
    /// Argon2id in PHC form.
    pub password_hash: String,
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The first person alone.
    First,
    /// The second and later ones alone.
    Later,
    /// Everybody.
    Everybody,
    /// Nobody.
    Nobody,
}

impl Admission {
    const fn admits(self, first: bool) -> bool {
        match self {
            Self::First => first,
            Self::Later => !first,
            Self::Everybody => true,
            Self::Nobody => false,
        }
    }
}

/// A registration that was refused.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Not by this admission.
    #[error("registration is closed")]
    Closed,
    /// Somebody has the address.
    #[error("the address is taken")]
    Taken,
    /// The database failed; nothing was stored.
    #[error("nothing was stored")]
    Store(#[from] StoreError),
}

/// What may be changed of a person; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserPatch {
    /// What people call the person.
    pub name: Option<String>,
    /// What the person is in the tenant.
    pub role: Option<Role>,
    /// Whether the person may not log in.
    pub disabled: Option<bool>,
    /// Whether the person may do everything in every tenant.
    pub platform_admin: Option<bool>,
}

impl Store {
    /// Whether nobody has registered yet.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn has_no_users(&self) -> Result<bool, StoreError> {
        Ok(self.pools.select_one(ANY, []).await?.is_none())
    }

    /// Makes a person with a tenant of its own, as its owner; the very first one is
    /// platform admin too, however many register at once. The audit line gets the
    /// person as actor and target, and the tenant.
    ///
    /// # Errors
    ///
    /// [`RegisterError`]; then nothing was stored.
    pub async fn register(
        &self,
        new: NewUser,
        admission: Admission,
        entry: AuditEntry,
    ) -> Result<User, RegisterError> {
        let transaction = self.begin_registration().await?;
        let sql = &self.pools.sql;
        let any = pools::one(&transaction, sql.statement(ANY, Vec::new()))
            .await
            .map_err(StoreError::from)?;
        let first = any.is_none();
        if !admission.admits(first) {
            return Err(RegisterError::Closed);
        }
        let id = Name::generate("tenant");
        let tenant = tenants::insert(&transaction, sql, &id, &new.name).await?;
        let tenant = tenant.ok_or_else(|| StoreError::unreadable("tenants", "no row"))?;
        let place = (tenant.uid, Role::Owner, first);
        let user = self.insert_user(&transaction, new, place).await?;
        let user = user.ok_or(RegisterError::Taken)?;
        let entry = AuditEntry {
            tenant: Some(tenant.uid),
            actor: format!("user:{}", user.uid),
            target: format!("tenants/{}/users/{}", tenant.id, user.uid),
            ..entry
        };
        audit::write(&transaction, sql, &entry).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(user)
    }

    /// The person with this address, with the hash of the password.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn login_of(&self, email: &str) -> Result<Option<Login>, StoreError> {
        let row = self.pools.select_one(BY_EMAIL, [email.into()]).await?;
        row.as_ref().map(login).transpose()
    }

    /// The person with this uid, with the hash of the password.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn login_by_uid(&self, uid: UserUid) -> Result<Option<Login>, StoreError> {
        let row = self.pools.select_one(BY_UID, [uid.0.into()]).await?;
        row.as_ref().map(login).transpose()
    }

    /// The people of a tenant, in the order in which they came.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn users(
        &self,
        tenant: TenantUid,
        page: PageRequest<Uuid>,
    ) -> Result<Page<User, Uuid>, StoreError> {
        let values: [Value; 3] = [
            tenant.0.into(),
            page.after.unwrap_or(Uuid::nil()).into(),
            (i64::from(page.limit) + 1).into(),
        ];
        let rows = self.pools.select(PAGE, values).await?;
        let users: Result<Vec<_>, _> = rows.iter().map(user).collect();
        Ok(Page::cut(users?, page.limit, |user| user.uid.0))
    }

    /// Changes a person of this tenant; `None` if there is none such.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn patch_user(
        &self,
        tenant: TenantUid,
        uid: UserUid,
        patch: UserPatch,
        entry: &AuditEntry,
    ) -> Result<Option<User>, StoreError> {
        let values: Vec<Value> = vec![
            uid.0.into(),
            tenant.0.into(),
            patch.name.into(),
            patch.role.map(Role::as_str).into(),
            patch.disabled.into(),
            patch.platform_admin.into(),
        ];
        let transaction = self.pools.begin().await?;
        let statement = self.pools.sql.statement(PATCH, values);
        let Some(row) = pools::one(&transaction, statement).await? else {
            return Ok(None);
        };
        audit::write(&transaction, &self.pools.sql, entry).await?;
        transaction.commit().await?;
        user(&row).map(Some)
    }

    /// Takes a person away, with all log-ins; `false` if there is none such.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn delete_user(
        &self,
        tenant: TenantUid,
        uid: UserUid,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let values = vec![uid.0.into(), tenant.0.into()];
        self.change_audited(DELETE, values, entry).await
    }

    /// Stores a new password and ends all log-ins but this one; `false` if the person is gone.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn change_password(
        &self,
        uid: UserUid,
        password_hash: String,
        keep: SessionUid,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let store = sql.statement(NEW_PASSWORD, vec![uid.0.into(), password_hash.into()]);
        if transaction.execute_raw(store).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let end = sql.statement(END_OTHERS, vec![uid.0.into(), keep.0.into()]);
        transaction.execute_raw(end).await?;
        audit::write(&transaction, sql, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Carries out one statement and writes it down, if it touched a row; says whether it did.
    pub(crate) async fn change_audited(
        &self,
        text: &str,
        values: Vec<Value>,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let changed = transaction.execute_raw(sql.statement(text, values)).await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        audit::write(&transaction, sql, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// A transaction in which nobody else makes a person.
    pub(crate) async fn begin_registration(&self) -> Result<DatabaseTransaction, StoreError> {
        let transaction = self.pools.begin().await?;
        if self.dialect() == Dialect::Postgres {
            transaction.execute_unprepared(ONE_AT_A_TIME).await?;
        }
        Ok(transaction)
    }

    /// Makes a person in a tenant, with a role, perhaps as platform admin; `None` if the
    /// address is taken.
    pub(crate) async fn insert_user(
        &self,
        transaction: &DatabaseTransaction,
        new: NewUser,
        (tenant, role, platform_admin): (TenantUid, Role, bool),
    ) -> Result<Option<User>, StoreError> {
        let values: Vec<Value> = vec![
            UserUid::generate().0.into(),
            tenant.0.into(),
            new.email.into(),
            new.name.into(),
            new.password_hash.into(),
            role.as_str().into(),
            platform_admin.into(),
        ];
        let statement = self.pools.sql.statement(INSERT, values);
        let row = pools::one(transaction, statement).await?;
        row.as_ref().map(user).transpose()
    }
}

fn login(row: &QueryResult) -> Result<Login, StoreError> {
    let row = Model::from_query_result(row, "")?;
    let password_hash = row.password_hash.clone();
    Ok(Login {
        user: of_row(row)?,
        password_hash,
    })
}

fn user(row: &QueryResult) -> Result<User, StoreError> {
    of_row(Model::from_query_result(row, "")?)
}

fn of_row(row: Model) -> Result<User, StoreError> {
    let role = row.role.parse();
    Ok(User {
        uid: UserUid(row.uid),
        tenant: TenantUid(row.tenant_uid),
        email: row.email,
        name: row.name,
        role: role.map_err(|_| StoreError::unreadable("users", "role"))?,
        platform_admin: row.platform_admin,
        disabled_at: row.disabled_at.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(row.created_at),
    })
}
