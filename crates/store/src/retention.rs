//! How long the history is kept.

use std::time::Duration;

use domain::Timestamp;
use sea_orm::Value;
use uuid::Uuid;

use crate::sql::Rows;
use crate::{Store, StoreError};

/// O(limit) on the key: uids of version 7 sort by age.
const OLD_ATTEMPTS: &str = "
    DELETE FROM attempts WHERE uid IN (
        SELECT uid FROM attempts WHERE uid < $1 ORDER BY uid LIMIT $2
    )";

/// O(limit) on the key. The most recent are left to the next bite: a uid is as
/// old as the attempt's beginning, and may come in later.
const NEXT_ATTEMPTS: &str = "
    SELECT uid, channel_uid FROM attempts WHERE uid > $1 AND uid < $2
    ORDER BY uid LIMIT $3";

/// O(channels · kept attempts) on `attempts_channel`.
const SURPLUS_ATTEMPTS: &str = "
    WITH v (channel_uid) AS (VALUES {rows})
    DELETE FROM attempts WHERE uid IN (
        SELECT old.uid FROM v
        JOIN attempts AS old ON old.channel_uid = v.channel_uid
        WHERE old.uid <= (
            SELECT kept.uid FROM attempts AS kept WHERE kept.channel_uid = v.channel_uid
            ORDER BY kept.uid DESC LIMIT 1 OFFSET {keep}
        )
    )";

/// O(limit) on the key. Before [`OLD_EVENTS`]: what waits needs its event.
const OLD_DELIVERIES: &str = "
    DELETE FROM webhook_deliveries WHERE (event_uid, endpoint_uid) IN (
        SELECT event_uid, endpoint_uid FROM webhook_deliveries WHERE event_uid < $1
        ORDER BY event_uid LIMIT $2
    )";

/// O(limit) on the key.
const OLD_EVENTS: &str = "
    DELETE FROM events WHERE uid IN (
        SELECT uid FROM events WHERE uid < $1 ORDER BY uid LIMIT $2
    )";

/// O(limit) on the key.
const OLD_BATCHES: &str = "
    DELETE FROM batches WHERE uid IN (
        SELECT uid FROM batches WHERE uid < $1 ORDER BY uid LIMIT $2
    )";

/// O(limit) on `counters_bucket`. Nothing asks for minutes of more than a day ago.
const OLD_MINUTES: &str = "
    DELETE FROM counters WHERE (tenant_uid, kind, bucket) IN (
        SELECT tenant_uid, kind, bucket FROM counters
        WHERE bucket > 0 AND bucket < {now} / 60000 - 2880
        ORDER BY bucket LIMIT $1
    )";

/// O(processes): what has been silent for a day will not come back.
const SILENT_PROCESSES: &str = "DELETE FROM processes WHERE seen_at < {now} - 86400000";

/// How far behind the newest attempts a bite stays.
const SETTLED: Duration = Duration::from_mins(5);

/// How much history is kept. Totals are not touched by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Attempts per channel.
    pub attempts_per_channel: u32,
    /// Age after which attempts, events and batches go.
    pub max_age: Duration,
    /// Age after which lines of the audit log go.
    pub audit_max_age: Duration,
}

impl Default for Retention {
    /// The last 100 attempts of a channel, for 90 days; changes for a year.
    fn default() -> Self {
        Self {
            attempts_per_channel: 100,
            max_age: Duration::from_hours(90 * 24),
            audit_max_age: Duration::from_hours(365 * 24),
        }
    }
}

/// What one sweep took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Attempts.
    pub attempts: u64,
    /// Events, deliveries, batches, minute figures and silent processes.
    pub others: u64,
}

impl Store {
    /// Takes away what is beyond the retention: a bounded bite, to be called again and again.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn prune_history(
        &self,
        retention: Retention,
        limit: u32,
    ) -> Result<Pruned, StoreError> {
        let now = self.now().await?;
        let oldest: Value = beginning(now.minus(retention.max_age)).into();
        let limit = i64::from(limit);
        let old = self
            .pools
            .write(OLD_ATTEMPTS, [oldest.clone(), limit.into()])
            .await?;
        let surplus = self.prune_surplus(retention, now, limit).await?;
        let mut others = self.pools.write(SILENT_PROCESSES, []).await?;
        for text in [OLD_DELIVERIES, OLD_EVENTS, OLD_BATCHES] {
            let values = [oldest.clone(), limit.into()];
            others += self.pools.write(text, values).await?;
        }
        others += self.pools.write(OLD_MINUTES, [limit.into()]).await?;
        Ok(Pruned {
            attempts: old + surplus,
            others,
        })
    }

    /// Visits the channels of the next attempts, each process at its own pace.
    async fn prune_surplus(
        &self,
        retention: Retention,
        now: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError> {
        let from = *self.pruned_to();
        let until = beginning(now.minus(SETTLED));
        let values = [from.into(), until.into(), limit.into()];
        let mut last = from;
        let mut channels: Vec<Uuid> = Vec::new();
        for row in self.pools.select(NEXT_ATTEMPTS, values).await? {
            last = row.try_get("", "uid")?;
            channels.push(row.try_get("", "channel_uid")?);
        }
        channels.sort_unstable();
        channels.dedup();
        if channels.is_empty() {
            return Ok(0);
        }
        let text = SURPLUS_ATTEMPTS.replace("{keep}", &retention.attempts_per_channel.to_string());
        let rows = Rows::padded(channels.into_iter().map(|uid| [uid.into()]));
        let statement = self.pools.sql.with_rows(&text, rows);
        let surplus = self.pools.execute(statement).await?;
        *self.pruned_to() = last;
        Ok(surplus)
    }

    fn pruned_to(&self) -> std::sync::MutexGuard<'_, Uuid> {
        let lock = self.pools.pruned_to.lock();
        lock.expect("nothing that panics is done under this lock")
    }
}

/// The smallest UUID of version 7 of an instant.
pub(crate) fn beginning(at: Timestamp) -> Uuid {
    let millis = u128::try_from(at.as_millis()).unwrap_or(0);
    Uuid::from_u128(millis << 80)
}
