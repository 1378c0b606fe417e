//! Reading channels: by name, by filter, by what they need.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::{ChannelState, ChannelUid, Name, ProviderName, TenantUid, Timestamp};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use crate::sql::Rows;
use crate::{Channel, Page, PageRequest, Store, StoreError};

/// O(page) on `channels_name`; with a filter, O(channels of the tenant) at worst.
const PAGE: &str = "
    SELECT {channel} FROM channels
    WHERE tenant_uid = $1 AND id > $2 AND state <> 'deleting'
        AND ($3 IS NULL OR state = $3)
        AND ($4 IS NULL OR provider = $4)
        AND ($5 IS NULL OR access_expires_at <= {now} + $5)
    ORDER BY id LIMIT $6";

/// O(channels in that state) on `channels_due` where they are few, else O(page) on the key.
const IN_STATE: &str = "
    SELECT {channel} FROM channels
    WHERE state = $1 AND uid > $2
    ORDER BY uid LIMIT $3";

/// O(1) on `channels_name`. The id of a channel on its way out is no name.
const BY_NAME: &str = "SELECT {channel} FROM channels WHERE tenant_uid = $1 AND id = $2";

/// O(ids) on `channels_name`; every row of the list holds the tenant and another id.
const BY_NAMES: &str = "
    WITH v (tenant_uid, id) AS (VALUES {rows})
    SELECT {channel} FROM v
    JOIN channels ON channels.tenant_uid = v.tenant_uid AND channels.id = v.id";

/// O(1) on the key.
const BY_UID: &str = "SELECT {channel} FROM channels WHERE uid = $1 AND state <> 'deleting'";

/// O(channels found) on `channels_expiry`.
const NEEDING: &str = "
    SELECT {channel} FROM channels
    WHERE tenant_uid = $1 AND state = 'active' AND has_refresh_material
        AND access_expires_at <= {now} + $2
    ORDER BY access_expires_at, uid LIMIT $3";

/// O(active channels of the tenant).
const FOR_BATCH: &str = "
    SELECT {channel} FROM channels
    WHERE tenant_uid = $1 AND state = 'active' AND (
        refresh_due_at <= {now}
        OR (has_refresh_material AND access_expires_at <= {now} + 3600000)
    )
    ORDER BY access_expires_at, uid";

/// Ids that are looked up by one statement.
const CHUNK: usize = 1000;

/// Which channels are wanted; empty wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelFilter {
    /// Only those in this state.
    pub state: Option<ChannelState>,
    /// Only those of this provider.
    pub provider: Option<ProviderName>,
    /// Only those whose access token ends within this time, or has ended.
    pub expiring_within: Option<Duration>,
}

impl Store {
    /// A tenant's channels, in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn channels(
        &self,
        tenant: TenantUid,
        filter: &ChannelFilter,
        page: PageRequest,
    ) -> Result<Page<Channel>, StoreError> {
        let after = page.after.as_ref().map_or("", Name::as_str);
        let values = vec![
            tenant.0.into(),
            after.into(),
            filter.state.map(|state| state.as_str().to_owned()).into(),
            filter.provider.as_ref().map(ProviderName::as_str).into(),
            filter.expiring_within.map(millis).into(),
            (i64::from(page.limit) + 1).into(),
        ];
        let channels = channels(&self.pools.select(PAGE, values).await?)?;
        Ok(Page::cut(channels, page.limit, |channel| {
            channel.id.clone()
        }))
    }

    /// The channels of all tenants in this state, those that were made first in front.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn channels_in_state(
        &self,
        state: ChannelState,
        page: PageRequest<ChannelUid>,
    ) -> Result<Page<Channel, ChannelUid>, StoreError> {
        let after = page.after.map_or(Uuid::nil(), |uid| uid.0);
        let values = vec![
            state.as_str().into(),
            after.into(),
            (i64::from(page.limit) + 1).into(),
        ];
        let channels = channels(&self.pools.select(IN_STATE, values).await?)?;
        Ok(Page::cut(channels, page.limit, |channel| channel.uid))
    }

    /// The tenant's channel with this id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn channel(
        &self,
        tenant: TenantUid,
        id: &Name,
    ) -> Result<Option<Channel>, StoreError> {
        let values = [tenant.0.into(), id.as_str().into()];
        let row = self.pools.select_one(BY_NAME, values).await?;
        row.as_ref().map(Channel::from_row).transpose()
    }

    /// The channel with this uid; `None` also if it is being deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn channel_by_uid(&self, uid: ChannelUid) -> Result<Option<Channel>, StoreError> {
        let row = self.pools.select_one(BY_UID, [uid.0.into()]).await?;
        row.as_ref().map(Channel::from_row).transpose()
    }

    /// The tenant's channels with these ids, in no order; unknown ids are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn channels_named(
        &self,
        tenant: TenantUid,
        ids: &[Name],
    ) -> Result<Vec<Channel>, StoreError> {
        let ids: Vec<&Name> = ids.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let list = chunk.iter().map(|id| [tenant.0.into(), id.as_str().into()]);
            let statement = self.pools.sql.with_rows(BY_NAMES, Rows::exact(list));
            found.extend(channels(&self.pools.read(statement).await?)?);
        }
        Ok(found)
    }

    /// Active channels that can be refreshed and whose access token ends within
    /// this time or has ended, the first to end first (S2.3). `limit` `None` wants all.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn needing_refresh(
        &self,
        tenant: TenantUid,
        within: Duration,
        limit: Option<u64>,
    ) -> Result<Vec<Channel>, StoreError> {
        let limit = limit.map_or(i64::MAX, |limit| limit.try_into().unwrap_or(i64::MAX));
        let values: [Value; 3] = [tenant.0.into(), millis(within).into(), limit.into()];
        channels(&self.pools.select(NEEDING, values).await?)
    }

    /// What "refresh many" without ids takes: active channels that are due by
    /// policy, or end within 60 minutes (S2.2).
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn due_for_batch(&self, tenant: TenantUid) -> Result<Vec<Channel>, StoreError> {
        channels(&self.pools.select(FOR_BATCH, [tenant.0.into()]).await?)
    }
}

fn channels(rows: &[QueryResult]) -> Result<Vec<Channel>, StoreError> {
    rows.iter().map(Channel::from_row).collect()
}

/// At most half of all time, so that adding it to now does not overflow.
fn millis(duration: Duration) -> i64 {
    let millis = Timestamp::default().plus(duration).as_millis();
    millis.min(i64::MAX / 2)
}
