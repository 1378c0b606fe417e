//! The figures of a tenant (S2.7, S2.8).

use std::collections::BTreeMap;

use domain::{ChannelState, TenantUid, Timestamp};
use schemars::JsonSchema;
use sea_orm::QueryResult;
use serde::Serialize;

use crate::{Store, StoreError};

/// "Urgent" is less than this before the end (S2.8).
const URGENT_MINUTES: u32 = 60;

/// O(channels of the tenant).
const GROUPS: &str = "
    SELECT state, provider,
        COUNT(*) AS channels,
        SUM(CASE WHEN has_refresh_material THEN 1 ELSE 0 END) AS with_material
    FROM channels WHERE tenant_uid = $1 AND state <> 'deleting'
    GROUP BY state, provider";

/// O(channels that end within the longer window) on `channels_expiry`.
const ENDING: &str = "
    SELECT
        COALESCE(SUM(CASE WHEN access_expires_at <= {now} + $2 THEN 1 ELSE 0 END), 0) AS needing,
        COALESCE(SUM(CASE WHEN access_expires_at <= {now} + $3 THEN 1 ELSE 0 END), 0) AS urgent
    FROM channels
    WHERE tenant_uid = $1 AND state = 'active' AND has_refresh_material
        AND access_expires_at <= {now} + CASE WHEN $2 > $3 THEN $2 ELSE $3 END";

/// O(1) on `channels_expiry`.
const NEXT_EXPIRY: &str = "
    SELECT MIN(access_expires_at) AS next_expiry FROM channels
    WHERE tenant_uid = $1 AND state = 'active'";

/// A tenant's channels in figures. Channels on their way out never count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Statistics {
    /// All channels.
    pub total_channels: u64,
    /// Those that [`Store::needing_refresh`] finds in the tenant's own window.
    pub channels_needing_refresh: u64,
    /// Those that have what a refresh needs.
    pub channels_with_refresh_token: u64,
    /// Those that [`Store::needing_refresh`] finds within 60 minutes.
    pub urgent_channels: u64,
    /// By state, zeros too.
    pub by_state: BTreeMap<ChannelState, u64>,
    /// By provider, those that occur.
    pub by_provider: BTreeMap<String, u64>,
    /// Jobs of the last 24 hours that ended with fresh credentials.
    pub refreshed_24h: u64,
    /// Jobs of the last 24 hours that failed.
    pub failed_24h: u64,
    /// The earliest end of an access token of an active channel.
    pub next_expiry: Option<Timestamp>,
}

impl Store {
    /// A tenant's figures.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn statistics(&self, tenant: TenantUid) -> Result<Statistics, StoreError> {
        let mut statistics = self.grouped(tenant).await?;
        let schedule = self.schedule(tenant).await?;
        let window = schedule
            .and_then(|schedule| schedule.refresh_before_minutes)
            .unwrap_or(URGENT_MINUTES);
        let ending = self.ending(tenant, window).await?;
        (
            statistics.channels_needing_refresh,
            statistics.urgent_channels,
        ) = ending;
        let day = self.last_day(tenant).await?;
        (statistics.refreshed_24h, statistics.failed_24h) = day;
        statistics.next_expiry = self.next_expiry(tenant).await?;
        Ok(statistics)
    }

    async fn grouped(&self, tenant: TenantUid) -> Result<Statistics, StoreError> {
        let mut statistics = Statistics {
            by_state: ChannelState::VISIBLE.map(|state| (state, 0)).into(),
            ..Statistics::default()
        };
        for group in self.pools.select(GROUPS, [tenant.0.into()]).await? {
            let state: String = group.try_get("", "state")?;
            let state: ChannelState = state
                .parse()
                .map_err(|_| StoreError::unreadable("channels", "state"))?;
            let channels = count(&group, "channels")?;
            statistics.total_channels += channels;
            statistics.channels_with_refresh_token += count(&group, "with_material")?;
            *statistics.by_state.entry(state).or_default() += channels;
            let provider = group.try_get("", "provider")?;
            *statistics.by_provider.entry(provider).or_default() += channels;
        }
        Ok(statistics)
    }

    async fn ending(&self, tenant: TenantUid, window: u32) -> Result<(u64, u64), StoreError> {
        let millis = |minutes: u32| i64::from(minutes) * 60_000;
        let windows = [
            tenant.0.into(),
            millis(window).into(),
            millis(URGENT_MINUTES).into(),
        ];
        match self.pools.select_one(ENDING, windows).await? {
            Some(row) => Ok((count(&row, "needing")?, count(&row, "urgent")?)),
            None => Ok((0, 0)),
        }
    }

    async fn next_expiry(&self, tenant: TenantUid) -> Result<Option<Timestamp>, StoreError> {
        let row = self
            .pools
            .select_one(NEXT_EXPIRY, [tenant.0.into()])
            .await?;
        let millis: Option<i64> = match row {
            Some(row) => row.try_get("", "next_expiry")?,
            None => None,
        };
        Ok(millis.map(Timestamp::from_millis))
    }
}

pub(crate) fn count(row: &QueryResult, column: &str) -> Result<u64, StoreError> {
    let count: i64 = row.try_get("", column)?;
    u64::try_from(count).map_err(|_| StoreError::unreadable("channels", "a negative count"))
}
