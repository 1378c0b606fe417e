//! The processes of the fleet, and the master keys that each one holds.

use std::time::Duration;

use domain::{ProcessUid, Timestamp};
use entity::processes::Model;
use sea_orm::{FromQueryResult as _, QueryResult};

use crate::sql::json;
use crate::{Store, StoreError};

/// O(1) on the key.
const REGISTER: &str = "
    INSERT INTO processes (uid, role, host, version, key_ids, seals_with, started_at, seen_at)
    VALUES ($1, $2, $3, $4, $5, $6, {now}, {now})
    ON CONFLICT (uid) DO UPDATE SET
        role = excluded.role, host = excluded.host, version = excluded.version,
        key_ids = excluded.key_ids, seals_with = excluded.seals_with,
        seen_at = excluded.seen_at";

/// O(1) on the key.
const HEARTBEAT: &str = "UPDATE processes SET seen_at = {now}, seals_with = $2 WHERE uid = $1";

/// O(1) on the key.
const FORGET: &str = "DELETE FROM processes WHERE uid = $1";

/// O(processes).
pub(crate) const ALL: &str = "SELECT {processes.*} FROM processes ORDER BY started_at, uid";

/// A process that was silent for longer may be gone: heartbeats come every 10 s.
const LIVE: Duration = Duration::from_mins(1);

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
    /// The master key that it seals with; `None` if it never seals, or does not say.
    pub seals_with: Option<String>,
}

impl ProcessInfo {
    /// Whether it may still seal with this master key. One that has keys and does not
    /// say which is of an older version: it may seal with any of them.
    #[must_use]
    pub fn may_seal_with(&self, key_id: &str) -> bool {
        match &self.seals_with {
            Some(id) => id == key_id,
            None => self.key_ids.iter().any(|id| id == key_id),
        }
    }
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

impl Process {
    /// Whether it was heard of in the last minute. One that is not may still run:
    /// paused, or cut off.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now.since(self.seen_at) <= LIVE
    }
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
            info.seals_with.into(),
        ];
        self.pools.write(REGISTER, values).await?;
        Ok(())
    }

    /// Says that a process lives, and which master key it seals with; `false` if it
    /// has to register again.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn heartbeat(
        &self,
        uid: ProcessUid,
        seals_with: Option<&str>,
    ) -> Result<bool, StoreError> {
        let values = [uid.0.into(), seals_with.into()];
        Ok(self.pools.write(HEARTBEAT, values).await? > 0)
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
}

pub(crate) fn process(row: &QueryResult) -> Result<Process, StoreError> {
    let row = Model::from_query_result(row, "")?;
    let bad_keys = |_| StoreError::unreadable("processes", "key_ids");
    Ok(Process {
        info: ProcessInfo {
            uid: ProcessUid(row.uid),
            role: row.role,
            host: row.host,
            version: row.version,
            key_ids: serde_json::from_str(&row.key_ids).map_err(bad_keys)?,
            seals_with: row.seals_with,
        },
        started_at: Timestamp::from_millis(row.started_at),
        seen_at: Timestamp::from_millis(row.seen_at),
    })
}
