//! Channels with their sealed credentials, for whoever hands out valid tokens.

use std::collections::BTreeSet;

use domain::{Name, Sealed, TenantUid, Timestamp};
use entity::channels::Model;
use sea_orm::{FromQueryResult as _, QueryResult};

use crate::sql::Rows;
use crate::{Channel, Store, StoreError, channel};

/// O(1) on `channels_name`. The id of a channel on its way out is no name.
const BY_NAME: &str = "
    SELECT {channels.*}, {now} AS now FROM channels WHERE tenant_uid = $1 AND id = $2";

/// O(ids) on `channels_name`; every row of the list holds the tenant and another id.
const BY_NAMES: &str = "
    WITH v (tenant_uid, id) AS (VALUES {rows})
    SELECT {channels.*}, {now} AS now FROM v
    JOIN channels ON channels.tenant_uid = v.tenant_uid AND channels.id = v.id";

/// A channel with what it holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// The channel.
    pub channel: Channel,
    /// Its credentials; they open for its uid and generation.
    pub sealed: Sealed,
    /// The database's time when they were read.
    pub now: Timestamp,
}

impl Store {
    /// The tenant's channel with this id, its credentials and the time, in one statement.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn held(&self, tenant: TenantUid, id: &Name) -> Result<Option<Held>, StoreError> {
        let values = [tenant.0.into(), id.as_str().into()];
        let row = self.pools.select_one(BY_NAME, values).await?;
        row.as_ref().map(held).transpose()
    }

    /// [`Store::held`] of up to a thousand ids, in no order; unknown ids are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn held_named(
        &self,
        tenant: TenantUid,
        ids: &[Name],
    ) -> Result<Vec<Held>, StoreError> {
        let ids: BTreeSet<&Name> = ids.iter().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let list = ids.iter().map(|id| [tenant.0.into(), id.as_str().into()]);
        let statement = self.pools.sql.with_rows(BY_NAMES, Rows::exact(list));
        let rows = self.pools.read(statement).await?;
        rows.iter().map(held).collect()
    }
}

fn held(row: &QueryResult) -> Result<Held, StoreError> {
    let now = Timestamp::from_millis(row.try_get("", "now")?);
    let model = Model::from_query_result(row, "")?;
    Ok(Held {
        channel: Channel::from_model(&model)?,
        sealed: channel::sealed(&model)?,
        now,
    })
}
