//! The processes of the fleet, and which master key seals.

use domain::{ProcessUid, Timestamp};
use entity::processes::Model;
use sea_orm::{FromQueryResult as _, QueryResult};

use crate::sql::json;
use crate::{Store, StoreError};

/// O(1) on the key.
const REGISTER: &str = "
    INSERT INTO processes (uid, role, host, version, key_ids, started_at, seen_at)
    VALUES ($1, $2, $3, $4, $5, {now}, {now})
    ON CONFLICT (uid) DO UPDATE SET
        role = excluded.role, host = excluded.host, version = excluded.version,
        key_ids = excluded.key_ids, seen_at = excluded.seen_at";

/// O(1) on the key.
const HEARTBEAT: &str = "UPDATE processes SET seen_at = {now} WHERE uid = $1";

/// O(1) on the key.
const FORGET: &str = "DELETE FROM processes WHERE uid = $1";

/// O(processes).
const ALL: &str = "SELECT * FROM processes ORDER BY started_at, uid";

/// O(1) on `master_keys_active`.
const ACTIVE_KEY: &str = "SELECT id FROM master_keys WHERE active";

/// O(1) on `master_keys_active`: of several first keys one wins.
const FIRST_KEY: &str = "
    INSERT INTO master_keys (id, active, created_at) VALUES ($1, TRUE, {now})
    ON CONFLICT DO NOTHING";

/// O(keys).
const KEYS: &str = "SELECT id, active FROM master_keys ORDER BY id";

/// O(1) on the key: the first check value stays.
const KEY_CHECK: &str = "
    UPDATE master_keys SET check_value = COALESCE(check_value, $2) WHERE id = $1
    RETURNING check_value";

/// What a process says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// The boot uuid.
    pub uid: ProcessUid,
    /// What it does: `up`, `worker`, `scheduler`, `api`.
    pub role: String,
    /// The machine's name.
    pub host: String,
    /// The version of the program.
    pub version: String,
    /// The ids of the master keys that it can open.
    pub key_ids: Vec<String>,
}

/// A process that registered and has not said goodbye.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// What it said of itself.
    pub info: ProcessInfo,
    /// When it registered.
    pub started_at: Timestamp,
    /// When it was last heard of.
    pub seen_at: Timestamp,
}

/// A master key that was ever used to seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Its id.
    pub id: String,
    /// Whether new envelopes are sealed with it.
    pub active: bool,
}

impl Store {
    /// Announces a process; a second call with the same uid replaces what it said.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn register_process(&self, info: ProcessInfo) -> Result<(), StoreError> {
        let values = [
            info.uid.0.into(),
            info.role.into(),
            info.host.into(),
            info.version.into(),
            json(&info.key_ids).into(),
        ];
        self.pools.write(REGISTER, values).await?;
        Ok(())
    }

    /// Says that a process lives; `false` if it has to register again.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn heartbeat(&self, uid: ProcessUid) -> Result<bool, StoreError> {
        Ok(self.pools.write(HEARTBEAT, [uid.0.into()]).await? > 0)
    }

    /// Says goodbye.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn forget_process(&self, uid: ProcessUid) -> Result<(), StoreError> {
        self.pools.write(FORGET, [uid.0.into()]).await?;
        Ok(())
    }

    /// All processes, the oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn processes(&self) -> Result<Vec<Process>, StoreError> {
        let rows = self.pools.select(ALL, []).await?;
        rows.iter().map(process).collect()
    }

    /// The id of the key that seals: the row's; `first_id` becomes it if there is no row yet.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn active_key(&self, first_id: &str) -> Result<String, StoreError> {
        if let Some(id) = self.stored_key().await? {
            return Ok(id);
        }
        self.pools.write(FIRST_KEY, [first_id.into()]).await?;
        self.stored_key()
            .await?
            .ok_or_else(|| StoreError::unreadable("master_keys", "no key is active"))
    }

    /// All keys that were ever used to seal, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn known_keys(&self) -> Result<Vec<KnownKey>, StoreError> {
        let rows = self.pools.select(KEYS, []).await?;
        rows.iter()
            .map(|row| {
                Ok(KnownKey {
                    id: row.try_get("", "id")?,
                    active: row.try_get("", "active")?,
                })
            })
            .collect()
    }

    /// The check value of a known key: the stored one; `ours` becomes it if there is
    /// none yet. `None` if the key was never used to seal.
    ///
    /// It tells whether two processes mean the same key by one id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn key_check(&self, id: &str, ours: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self
            .pools
            .write_returning(KEY_CHECK, [id.into(), ours.into()])
            .await?;
        row.map(|row| Ok(row.try_get("", "check_value")?))
            .transpose()
    }

    async fn stored_key(&self) -> Result<Option<String>, StoreError> {
        let row = self.pools.select_one(ACTIVE_KEY, []).await?;
        row.map(|row| Ok(row.try_get("", "id")?)).transpose()
    }
}

fn process(row: &QueryResult) -> Result<Process, StoreError> {
    let row = Model::from_query_result(row, "")?;
    let bad_keys = |_| StoreError::unreadable("processes", "key_ids");
    Ok(Process {
        info: ProcessInfo {
            uid: ProcessUid(row.uid),
            role: row.role,
            host: row.host,
            version: row.version,
            key_ids: serde_json::from_str(&row.key_ids).map_err(bad_keys)?,
        },
        started_at: Timestamp::from_millis(row.started_at),
        seen_at: Timestamp::from_millis(row.seen_at),
    })
}
