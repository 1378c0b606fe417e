//! The master keys by their ids: which one seals, and which are needed no more.

use domain::Timestamp;
use entity::master_keys::Model;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, FromQueryResult as _, QueryResult};

use crate::rewrap::{self, KeyUse};
use crate::{Process, Store, StoreError, fleet, pools};

/// O(1) on `master_keys_active`.
const ACTIVE: &str = "SELECT id FROM master_keys WHERE active";

/// O(1) on `master_keys_active`: of several first keys one wins.
const FIRST: &str = "
    INSERT INTO master_keys (id, active, created_at, activated_at)
    VALUES ($1, TRUE, {now}, {now})
    ON CONFLICT DO NOTHING";

/// O(keys).
const ALL: &str = "SELECT {master_keys.*} FROM master_keys ORDER BY id";

/// O(keys). Whoever moves or retires a key has them to himself.
const LOCK: &str = "SELECT {master_keys.*} FROM master_keys ORDER BY id {lock}";

/// O(1) on the key: the first check value stays.
const INTRODUCE: &str = "
    INSERT INTO master_keys (id, active, check_value, created_at)
    VALUES ($1, FALSE, $2, {now})
    ON CONFLICT (id) DO UPDATE SET
        check_value = COALESCE(master_keys.check_value, excluded.check_value)
    RETURNING check_value";

/// O(1) on `master_keys_active`. Before [`ACTIVATE`]: at no time may two be active.
const DEACTIVATE: &str = "UPDATE master_keys SET active = FALSE WHERE active";

/// O(1) on the key.
const ACTIVATE: &str = "UPDATE master_keys SET active = TRUE, activated_at = {now} WHERE id = $1";

/// O(1) on the key.
const RETIRE: &str = "
    UPDATE master_keys SET retired_at = COALESCE(retired_at, {now}) WHERE id = $1";

/// A master key that a process of this fleet has, or had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Its id.
    pub id: String,
    /// Whether new envelopes are sealed with it.
    pub active: bool,
    /// When it last began to seal; `None` if it never did.
    pub activated_at: Option<Timestamp>,
    /// When it was found to be needed no more; `None` while it is in use.
    pub retired_at: Option<Timestamp>,
    /// Tells whether a key of this id is the one that was first seen under it.
    pub check_value: Option<Vec<u8>>,
}

/// What became of the wish to seal with another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activation {
    /// It seals from here on.
    Moved,
    /// It was the one that seals.
    Unchanged,
    /// These live processes have keys, and lack this one; nothing changed.
    Lacking(Vec<Process>),
    /// It was retired; nothing changed.
    Retired,
    /// No process ever had it; nothing changed.
    Unknown,
}

/// What became of the wish to do without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// Nothing needs it; also the answer if it was retired before.
    Retired,
    /// It seals; nothing changed.
    Active,
    /// This still needs it: what it sealed, and the live processes that seal with it.
    /// Nothing changed.
    Needed {
        /// What it sealed.
        sealed: KeyUse,
        /// Who seals with it.
        processes: Vec<Process>,
    },
    /// No process ever had it; nothing changed.
    Unknown,
}

impl Store {
    /// The id of the key that seals: the row's; `first_id` becomes it if there is no row yet.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn active_key(&self, first_id: &str) -> Result<String, StoreError> {
        if let Some(id) = self.active_key_id().await? {
            return Ok(id);
        }
        self.pools.write(FIRST, [first_id.into()]).await?;
        self.active_key_id()
            .await?
            .ok_or_else(|| StoreError::unreadable("master_keys", "no key is active"))
    }

    /// The id of the key that seals; `None` in a fleet that has never sealed.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn active_key_id(&self) -> Result<Option<String>, StoreError> {
        let row = self.pools.select_one(ACTIVE, []).await?;
        row.map(|row| Ok(row.try_get("", "id")?)).transpose()
    }

    /// All keys that a process ever had, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn known_keys(&self) -> Result<Vec<KnownKey>, StoreError> {
        let rows = self.pools.select(ALL, []).await?;
        rows.iter().map(known).collect()
    }

    /// Makes a key known, and answers its check value: the stored one; `ours`
    /// becomes it if there is none yet.
    ///
    /// It tells whether two processes mean the same key by one id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn key_check(&self, id: &str, ours: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let values = [id.into(), ours.into()];
        let row = self.pools.write_returning(INTRODUCE, values).await?;
        let row = row.ok_or_else(|| StoreError::unreadable("master_keys", "no row"))?;
        Ok(row.try_get("", "check_value")?)
    }

    /// Makes this the key that seals, if every live process that has keys has it.
    ///
    /// Processes learn of it by [`Store::active_key_id`]; until then they seal with the
    /// one before, which therefore stays in the ring.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn activate_key(&self, id: &str) -> Result<Activation, StoreError> {
        let (transaction, keys) = self.lock_keys().await?;
        match keys.iter().find(|key| key.id == id) {
            None => return Ok(Activation::Unknown),
            Some(key) if key.active => return Ok(Activation::Unchanged),
            Some(key) if key.retired_at.is_some() => return Ok(Activation::Retired),
            Some(_) => {}
        }
        let mut lacking = self.sealing_processes(&transaction).await?;
        lacking.retain(|process| !process.info.key_ids.iter().any(|known| known == id));
        if !lacking.is_empty() {
            return Ok(Activation::Lacking(lacking));
        }
        let sql = &self.pools.sql;
        for statement in [
            sql.statement(DEACTIVATE, Vec::new()),
            sql.statement(ACTIVATE, vec![id.into()]),
        ] {
            transaction.execute_raw(statement).await?;
        }
        transaction.commit().await?;
        Ok(Activation::Moved)
    }

    /// Notes that nothing needs this key any more, so that it may leave the settings.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn retire_key(&self, id: &str) -> Result<Retirement, StoreError> {
        let (transaction, keys) = self.lock_keys().await?;
        match keys.iter().find(|key| key.id == id) {
            None => return Ok(Retirement::Unknown),
            Some(key) if key.active => return Ok(Retirement::Active),
            Some(_) => {}
        }
        let sql = &self.pools.sql;
        let mut processes = self.sealing_processes(&transaction).await?;
        processes.retain(|process| process.info.may_seal_with(id));
        let used = rewrap::uses(&transaction, sql).await?;
        let sealed = used.into_iter().find(|used| used.key_id == id);
        if !processes.is_empty() || sealed.is_some() {
            let sealed = sealed.unwrap_or_else(|| KeyUse::none(id));
            return Ok(Retirement::Needed { sealed, processes });
        }
        let statement = sql.statement(RETIRE, vec![id.into()]);
        transaction.execute_raw(statement).await?;
        transaction.commit().await?;
        Ok(Retirement::Retired)
    }

    async fn lock_keys(&self) -> Result<(DatabaseTransaction, Vec<KnownKey>), StoreError> {
        let transaction = self.pools.begin().await?;
        let lock = self.pools.sql.statement(LOCK, Vec::new());
        let rows = transaction.query_all_raw(lock).await?;
        let keys: Result<Vec<_>, _> = rows.iter().map(known).collect();
        Ok((transaction, keys?))
    }

    /// The live processes that have keys.
    async fn sealing_processes(
        &self,
        transaction: &DatabaseTransaction,
    ) -> Result<Vec<Process>, StoreError> {
        let sql = &self.pools.sql;
        let now = pools::now(transaction, sql).await?;
        let all = sql.statement(fleet::ALL, Vec::new());
        let rows = transaction.query_all_raw(all).await?;
        let mut processes: Vec<Process> =
            rows.iter().map(fleet::process).collect::<Result<_, _>>()?;
        processes.retain(|process| process.is_live(now) && !process.info.key_ids.is_empty());
        Ok(processes)
    }
}

fn known(row: &QueryResult) -> Result<KnownKey, StoreError> {
    let row = Model::from_query_result(row, "")?;
    Ok(KnownKey {
        id: row.id,
        active: row.active,
        activated_at: row.activated_at.map(Timestamp::from_millis),
        retired_at: row.retired_at.map(Timestamp::from_millis),
        check_value: row.check_value,
    })
}
