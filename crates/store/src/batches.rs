//! What one "refresh many" asked for (S2.2).

use domain::{RefreshResult, TenantUid, Timestamp};
use entity::batches::Model;
use sea_orm::FromQueryResult as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sql::json;
use crate::{Store, StoreError};

/// O(1) on the key.
const INSERT: &str =
    "INSERT INTO batches (uid, tenant_uid, items, created_at) VALUES ($1, $2, $3, {now})";

/// O(1) on the key.
const BY_UID: &str = "SELECT {batches.*} FROM batches WHERE uid = $1";

/// One channel of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchItem {
    /// The channel's id as the caller gave it.
    pub channel_id: String,
    /// The job that refreshes it; its outcome is [`Store::job_results`].
    pub job_id: Option<String>,
    /// The answer, where it was known at once.
    pub result: Option<RefreshResult>,
}

/// A batch as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Who asked.
    pub tenant: TenantUid,
    /// When.
    pub created_at: Timestamp,
    /// For what, in the order given.
    pub items: Vec<BatchItem>,
}

impl Store {
    /// Remembers a batch, and gives it an id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn create_batch(
        &self,
        tenant: TenantUid,
        items: Vec<BatchItem>,
    ) -> Result<Uuid, StoreError> {
        let uid = Uuid::now_v7();
        self.pools
            .write(INSERT, [uid.into(), tenant.0.into(), json(&items).into()])
            .await?;
        Ok(uid)
    }

    /// The batch with this id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn batch(&self, id: Uuid) -> Result<Option<Batch>, StoreError> {
        let Some(row) = self.pools.select_one(BY_UID, [id.into()]).await? else {
            return Ok(None);
        };
        let row = Model::from_query_result(&row, "")?;
        let bad_items = |_| StoreError::unreadable("batches", "items");
        Ok(Some(Batch {
            tenant: TenantUid(row.tenant_uid),
            created_at: Timestamp::from_millis(row.created_at),
            items: serde_json::from_str(&row.items).map_err(bad_items)?,
        }))
    }
}
