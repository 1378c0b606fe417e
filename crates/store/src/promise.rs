//! What was promised to whoever asked for a refresh, and the names for what a job knows by uid.

use std::collections::HashMap;

use domain::{ChannelUid, Name, Timestamp};
use uuid::Uuid;

use crate::sql::Rows;
use crate::{Store, StoreError};

/// O(1) on the key.
const PROMISE: &str = "
    SELECT requested_at, request_job_id FROM channels
    WHERE uid = $1 AND request_job_id IS NOT NULL AND requested_at IS NOT NULL
      AND state <> 'deleting'";

/// O(log n) per row on the key.
const NAMES: &str = "SELECT uid, id FROM channels WHERE uid IN ({rows}) AND state <> 'deleting'";

/// A refresh that somebody asked for and that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The job that was promised.
    pub job_id: String,
    /// When it is wanted.
    pub at: Timestamp,
}

impl Store {
    /// What was promised about a channel; `None` once it is done, or if nobody asked.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn promise(&self, uid: ChannelUid) -> Result<Option<Promise>, StoreError> {
        let row = self.pools.select_one(PROMISE, [uid.0.into()]).await?;
        row.map(|row| {
            Ok(Promise {
                job_id: row.try_get("", "request_job_id")?,
                at: Timestamp::from_millis(row.try_get("", "requested_at")?),
            })
        })
        .transpose()
    }

    /// The ids by which callers know these channels; those that do not exist are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn channel_names(
        &self,
        uids: &[ChannelUid],
    ) -> Result<HashMap<ChannelUid, Name>, StoreError> {
        if uids.is_empty() {
            return Ok(HashMap::new());
        }
        let list = Rows::padded(uids.iter().map(|uid| [uid.0.into()]));
        let statement = self.pools.sql.with_rows(NAMES, list);
        let rows = self.pools.read(statement).await?;
        rows.iter()
            .map(|row| {
                let uid: Uuid = row.try_get("", "uid")?;
                let id: String = row.try_get("", "id")?;
                let name = id
                    .parse()
                    .map_err(|_| StoreError::unreadable("channels", "the id is not one"))?;
                Ok((ChannelUid(uid), name))
            })
            .collect()
    }
}
