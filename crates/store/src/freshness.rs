//! How fresh the credentials are, and how late they were refreshed (S5.7).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use domain::{Name, TenantUid};
use sea_orm::{QueryResult, Value};

use crate::retention::beginning;
use crate::sql::{Rows, at};
use crate::statistics::count;
use crate::{Dialect, Store, StoreError};

/// O(channels), or O(channels of the tenant) on `channels_expiry`. A token that had ended when
/// its channel was imported is dead since the import.
const CHANNELS: &str = "
    SELECT tenant_uid, provider, COUNT(*) AS channels,
        SUM(CASE WHEN access_expires_at > $2 THEN 1 ELSE 0 END) AS valid,
        SUM(CASE WHEN access_expires_at <= $1 THEN 1 ELSE 0 END) AS dead_now,
        CAST(SUM(CASE WHEN access_expires_at <= $1
            THEN $1 - {greatest}(access_expires_at, created_at, $3) ELSE 0 END) AS bigint) AS dead
    FROM channels {scan}
    WHERE state IN ('active', 'error', 'needs_reauth')
        AND access_expires_at IS NOT NULL {whose}
    GROUP BY tenant_uid, provider";

/// O(attempts of the window) on the key, or of the tenant's channels on `attempts_channel`. A refresh
/// that came before its channel was due has no lag, and one whose new token was dead ended nothing.
const REFRESHES: &str = "
    SELECT tenant_uid, provider, CASE
            WHEN lag <= 1000 THEN 1000
            WHEN lag <= 2000 THEN 2000
            WHEN lag <= 5000 THEN 5000
            WHEN lag <= 10000 THEN 10000
            WHEN lag <= 30000 THEN 30000
            WHEN lag <= 60000 THEN 60000
            WHEN lag <= 120000 THEN 120000
            WHEN lag <= 300000 THEN 300000
            WHEN lag <= 600000 THEN 600000
            WHEN lag <= 1800000 THEN 1800000
            WHEN lag <= 3600000 THEN 3600000
            WHEN lag > 3600000 THEN 9223372036854775807
        END AS bound,
        COUNT(*) AS refreshed, MAX(lag) AS max_lag, CAST(SUM(dead) AS bigint) AS dead
    FROM (
        SELECT tenant_uid, provider,
            CASE WHEN due_at <= done_at THEN done_at - due_at END AS lag,
            CASE WHEN old_expires_at < done_at AND COALESCE(new_expires_at > done_at, TRUE)
                THEN done_at - {greatest}(old_expires_at, $2) ELSE 0 END AS dead
        FROM (
            SELECT attempts.tenant_uid, attempts.provider, due_at, old_expires_at, new_expires_at,
                started_at + duration_ms AS done_at
            FROM {attempts}
            WHERE attempts.uid >= $1 AND attempts.provider IS NOT NULL {whose}
        ) AS refreshes
        WHERE done_at > $2
    ) AS measured
    GROUP BY 1, 2, 3";

/// Whose attempts these are: their index goes by channel.
const OF_TENANT: &str = "channels JOIN attempts ON attempts.channel_uid = channels.uid";

/// O(uids) on the key.
const NAMES: &str = "SELECT uid, id FROM tenants WHERE uid IN ({rows}) AND NOT deleting";

/// An attempt's uid is as old as its worker's clock says: that may be behind.
const SKEW: Duration = Duration::from_mins(5);

/// The figures of everything that was asked for, and of its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Of all of it.
    pub all: FreshnessFigures,
    /// By provider, those that occur.
    pub by_provider: BTreeMap<String, FreshnessFigures>,
    /// By tenant, those that occur.
    pub by_tenant: BTreeMap<TenantUid, FreshnessFigures>,
}

/// How fresh some channels are, and what kept them fresh within the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreshnessFigures {
    /// Channels that are to be kept alive: `active`, `error` or `needs_reauth`, with an expiry.
    pub channels: u64,
    /// Those whose access token lives for longer than the margin.
    pub valid: u64,
    /// Those whose access token has ended.
    pub dead_now: u64,
    /// For how long tokens were dead within the window, added up: those that are, and those
    /// that a refresh of the window replaced.
    pub dead: Duration,
    /// Refreshes of the window that brought new credentials.
    pub refreshed: u64,
    /// How late those of them came that were due.
    pub lags: Lags,
}

/// Times from due to done, counted by size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lags {
    /// How many were at most so many milliseconds, and more than those of the bound before.
    by_bound: BTreeMap<u64, u64>,
    max_ms: Option<u64>,
}

impl Lags {
    /// The longest; `None` if there is none.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        self.max_ms.map(Duration::from_millis)
    }

    /// What `percent` of 100 were within, as an upper bound: 1, 2, 5, 10 or 30 s, 1, 2, 5, 10 or
    /// 30 min, 1 h, or the longest of all. `None` if there is none.
    #[must_use]
    pub fn within(&self, percent: u64) -> Option<Duration> {
        let longest = self.max_ms?;
        let wanted = (self.by_bound.values().sum::<u64>() * percent).div_ceil(100);
        let mut counted = 0;
        let bound = self.by_bound.iter().find_map(|(bound, count)| {
            counted += count;
            (counted >= wanted).then_some(*bound)
        });
        Some(Duration::from_millis(bound?.min(longest)))
    }

    fn add(&mut self, other: &Self) {
        for (bound, count) in &other.by_bound {
            *self.by_bound.entry(*bound).or_default() += count;
        }
        self.max_ms = self.max_ms.max(other.max_ms);
    }
}

impl FreshnessFigures {
    /// The share of the channels that is valid, from 0 to 1; `None` without channels.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "nobody has more than 2^53 channels"
    )]
    pub fn valid_share(&self) -> Option<f64> {
        (self.channels > 0).then(|| self.valid as f64 / self.channels as f64)
    }

    fn add(&mut self, other: &Self) {
        self.channels += other.channels;
        self.valid += other.valid;
        self.dead_now += other.dead_now;
        self.dead += other.dead;
        self.refreshed += other.refreshed;
        self.lags.add(&other.lags);
    }
}

impl Store {
    /// How fresh the channels of a tenant are, or of all: which tokens live for more than
    /// `margin`, and what the refreshes of the last `window` came to.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn freshness(
        &self,
        tenant: Option<TenantUid>,
        window: Duration,
        margin: Duration,
    ) -> Result<Freshness, StoreError> {
        let now = self.now().await?;
        let start = now.minus(window);
        let mut freshness = Freshness::default();
        let values = vec![at(now), at(now.plus(margin)), at(start)];
        for row in self.whose(CHANNELS, tenant, values).await? {
            freshness.add(&row, &of_channels(&row)?)?;
        }
        let attempts = if tenant.is_some() {
            OF_TENANT
        } else {
            "attempts"
        };
        let refreshes = REFRESHES.replace("{attempts}", attempts);
        let values = vec![beginning(start.minus(SKEW)).into(), at(start)];
        for row in self.whose(&refreshes, tenant, values).await? {
            freshness.add(&row, &of_refreshes(&row)?)?;
        }
        Ok(freshness)
    }

    /// What these tenants are called; those on their way out are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn tenant_names(
        &self,
        uids: &[TenantUid],
    ) -> Result<HashMap<TenantUid, Name>, StoreError> {
        if uids.is_empty() {
            return Ok(HashMap::new());
        }
        let list = Rows::padded(uids.iter().map(|uid| [uid.0.into()]));
        let rows = self.pools.read(self.pools.sql.with_rows(NAMES, list));
        rows.await?.iter().map(name).collect()
    }

    /// The rows of a text whose `{whose}` is nothing, or this tenant as its last parameter. Without
    /// a tenant SQLite is told by `{scan}` to read the table as it lies, and not by an index that has
    /// the order it wants: a tenth of the time.
    pub(crate) async fn whose(
        &self,
        text: &str,
        tenant: Option<TenantUid>,
        mut values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let (whose, scan) = match (tenant, self.pools.sql.dialect) {
            (Some(tenant), _) => {
                values.push(tenant.0.into());
                (format!("AND channels.tenant_uid = ${}", values.len()), "")
            }
            (None, Dialect::Sqlite) => (String::new(), "NOT INDEXED"),
            (None, Dialect::Postgres) => (String::new(), ""),
        };
        let text = text.replace("{whose}", &whose).replace("{scan}", scan);
        self.pools.select(&text, values).await
    }
}

impl Freshness {
    fn add(&mut self, row: &QueryResult, figures: &FreshnessFigures) -> Result<(), StoreError> {
        let tenant = TenantUid(row.try_get("", "tenant_uid")?);
        let provider = row.try_get("", "provider")?;
        self.all.add(figures);
        self.by_provider.entry(provider).or_default().add(figures);
        self.by_tenant.entry(tenant).or_default().add(figures);
        Ok(())
    }
}

fn of_channels(row: &QueryResult) -> Result<FreshnessFigures, StoreError> {
    Ok(FreshnessFigures {
        channels: count(row, "channels")?,
        valid: count(row, "valid")?,
        dead_now: count(row, "dead_now")?,
        dead: Duration::from_millis(count(row, "dead")?),
        ..FreshnessFigures::default()
    })
}

fn of_refreshes(row: &QueryResult) -> Result<FreshnessFigures, StoreError> {
    let refreshed = count(row, "refreshed")?;
    let number = |column: &str| -> Result<Option<u64>, StoreError> {
        let number: Option<i64> = row.try_get("", column)?;
        Ok(number.map(i64::unsigned_abs))
    };
    Ok(FreshnessFigures {
        dead: Duration::from_millis(count(row, "dead")?),
        refreshed,
        lags: Lags {
            by_bound: number("bound")?
                .map(|bound| (bound, refreshed))
                .into_iter()
                .collect(),
            max_ms: number("max_lag")?,
        },
        ..FreshnessFigures::default()
    })
}

fn name(row: &QueryResult) -> Result<(TenantUid, Name), StoreError> {
    let id: String = row.try_get("", "id")?;
    let id = id.parse();
    let id = id.map_err(|_| StoreError::unreadable("tenants", "id"))?;
    Ok((TenantUid(row.try_get("", "uid")?), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: u64 = i64::MAX.unsigned_abs();

    fn lags(by_bound: &[(u64, u64)], max_ms: u64) -> Lags {
        Lags {
            by_bound: by_bound.iter().copied().collect(),
            max_ms: Some(max_ms),
        }
    }

    #[test]
    fn so_many_percent_are_within_the_bound_that_is_told() {
        let lags = lags(&[(1000, 50), (2000, 48), (5000, 1), (FAR, 1)], 7_200_000);

        let within = [50, 51, 98, 99, 100].map(|percent| lags.within(percent));

        let told = [1, 2, 2, 5, 7200].map(|secs| Some(Duration::from_secs(secs)));
        assert_eq!(within, told);
    }

    #[test]
    fn no_bound_is_longer_than_the_longest() {
        let lags = lags(&[(1000, 1)], 40);

        assert_eq!(lags.within(99), Some(Duration::from_millis(40)));
    }

    #[test]
    fn without_refreshes_there_is_no_lag() {
        assert_eq!(Lags::default().within(50), None);
        assert_eq!(Lags::default().longest(), None);
        assert_eq!(FreshnessFigures::default().valid_share(), None);
    }
}
