//! What comes: calls of the next day, and grants that end for good (S5.8).

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Name, ProviderName, TenantUid, Timestamp};
use sea_orm::QueryResult;

use crate::sql::at;
use crate::statistics::count;
use crate::{Store, StoreError};

/// O(channels), or O(channels of the tenant) on `channels_expiry`; few rows come of it, for those
/// that are due within the same ten minutes and refreshed about as often are one. What is only
/// looked at has a look a day.
const CALLS: &str = "
    SELECT provider, COUNT(*) AS channels,
        CAST(SUM(due_in) AS bigint) / COUNT(*) AS due_in,
        CAST(SUM(every) AS bigint) / COUNT(*) AS every
    FROM (
        SELECT provider, CASE WHEN due_at > $1 THEN due_at - $1 ELSE 0 END AS due_in, every
        FROM (
            SELECT provider, COALESCE(
                    CASE WHEN state = 'active' THEN refresh_due_at END, next_handout_at, $1
                ) AS due_at,
                CASE
                    WHEN state <> 'active' OR refresh_due_at IS NULL THEN 86400000
                    WHEN refresh_due_at < last_refreshed_at + 60000 THEN 60000
                    WHEN refresh_due_at > last_refreshed_at + 86400000 THEN 86400000
                    ELSE refresh_due_at - last_refreshed_at
                END AS every
            FROM channels {scan}
            WHERE state IN ('active', 'error', 'never_expires') {whose}
        ) AS looks
        WHERE due_at <= $1 + 86400000
    ) AS calls
    GROUP BY provider, due_in / 600000,
        CASE WHEN every < 3600000 THEN every / 300000 ELSE 12 + every / 3600000 END";

/// O(channels), or O(channels of the tenant).
const ENDING: &str = "
    SELECT provider, COUNT(*) AS channels FROM channels {scan}
    WHERE refresh_expires_at > $1 AND refresh_expires_at <= $2
        AND state IN ('active', 'never_expires', 'error') {whose}
    GROUP BY provider";

/// O(channels), or O(channels of the tenant).
const FIRST: &str = "
    SELECT tenants.id AS tenant_id, channels.id, channels.provider, channels.display_name,
        channels.refresh_expires_at
    FROM channels {scan} JOIN tenants ON tenants.uid = channels.tenant_uid
    WHERE channels.refresh_expires_at > $1 AND channels.refresh_expires_at <= $2
        AND channels.state IN ('active', 'never_expires', 'error') {whose}
    ORDER BY channels.refresh_expires_at, channels.uid LIMIT $3";

/// O(channels found) on `channels_due` or `channels_expiry`.
const WAITING: &str = "
    SELECT COUNT(*) AS channels FROM channels WHERE state = 'needs_reauth' {whose}";

/// The hours of a day.
const HOURS: usize = 24;

const HOUR_MS: u64 = 3_600_000;

const DAY_MS: u64 = 24 * HOUR_MS;

/// Refresh calls of the next 24 hours: those within an hour from now, in the hour after that, ….
pub type CallsByHour = [u64; HOURS];

/// What comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Calls by provider, those that occur.
    pub calls: BTreeMap<String, CallsByHour>,
    /// How many grants end for good within the days that were asked for, by provider.
    pub ending: BTreeMap<String, u64>,
    /// The first of these.
    pub first: Vec<EndingGrant>,
    /// How many channels need a person already.
    pub waiting: u64,
}

/// A channel whose refresh token comes to its own end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndingGrant {
    /// Whose it is.
    pub tenant: Name,
    /// The name by which callers know it.
    pub channel: Name,
    /// The kind of provider.
    pub provider: ProviderName,
    /// What people call it.
    pub display_name: String,
    /// When its refresh token ends.
    pub ends_at: Timestamp,
}

/// Channels of one provider that are due at about the same time, and refreshed about as often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alike {
    channels: u64,
    /// Until they are due, in milliseconds.
    due_in: u64,
    /// Between two refreshes, in milliseconds; `None` if they have had none.
    every: Option<u64>,
}

impl Store {
    /// What comes for the channels of a tenant, or for all: calls of the next 24 hours, and the
    /// grants that end within `window`, of which the first `limit` are named.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn forecast(
        &self,
        tenant: Option<TenantUid>,
        window: Duration,
        limit: u32,
    ) -> Result<Forecast, StoreError> {
        let now = self.now().await?;
        let ending = || vec![at(now), at(now.plus(window))];
        let mut alike: BTreeMap<String, Vec<Alike>> = BTreeMap::new();
        for row in self.whose(CALLS, tenant, vec![at(now)]).await? {
            let provider = row.try_get("", "provider")?;
            alike.entry(provider).or_default().push(calls(&row)?);
        }
        let by_provider = self.whose(ENDING, tenant, ending()).await?;
        let mut values = ending();
        values.push(i64::from(limit).into());
        let first = self.whose(FIRST, tenant, values).await?;
        let waiting = self.whose(WAITING, tenant, Vec::new()).await?;
        Ok(Forecast {
            calls: by_hour(alike),
            ending: by_provider
                .iter()
                .map(|row| Ok((row.try_get("", "provider")?, count(row, "channels")?)))
                .collect::<Result<_, StoreError>>()?,
            first: first.iter().map(grant).collect::<Result<_, _>>()?,
            waiting: waiting
                .iter()
                .map(|row| count(row, "channels"))
                .sum::<Result<_, _>>()?,
        })
    }
}

fn by_hour(alike: BTreeMap<String, Vec<Alike>>) -> BTreeMap<String, CallsByHour> {
    let calls = alike.into_iter();
    calls
        .map(|(provider, alike)| (provider, spread(&alike)))
        .collect()
}

/// Each channel's calls: when it is due, and then once per interval until a day from now. What
/// was imported and not refreshed yet is taken to come as often as the provider's others, or
/// once if there are none.
fn spread(alike: &[Alike]) -> CallsByHour {
    let usual = usual(alike);
    let mut hours = CallsByHour::default();
    for group in alike {
        let every = group.every.unwrap_or(usual).max(60_000);
        let mut at = group.due_in;
        loop {
            let hour = usize::try_from(at / HOUR_MS).unwrap_or(usize::MAX);
            hours[hour.min(HOURS - 1)] += group.channels;
            at += every;
            if at >= DAY_MS {
                break;
            }
        }
    }
    hours
}

/// The mean interval of those that have been refreshed; a day if there are none.
fn usual(alike: &[Alike]) -> u64 {
    let known = alike
        .iter()
        .filter_map(|group| Some((group.channels, group.every?)));
    let (channels, sum): (u64, u64) = known.fold((0, 0), |(channels, sum), (count, every)| {
        (channels + count, sum + count * every)
    });
    sum.checked_div(channels).unwrap_or(DAY_MS)
}

fn calls(row: &QueryResult) -> Result<Alike, StoreError> {
    let every: Option<i64> = row.try_get("", "every")?;
    Ok(Alike {
        channels: count(row, "channels")?,
        due_in: count(row, "due_in")?,
        every: every.map(i64::unsigned_abs),
    })
}

fn grant(row: &QueryResult) -> Result<EndingGrant, StoreError> {
    let name = |column: &str| -> Result<Name, StoreError> {
        let name: String = row.try_get("", column)?;
        let name = name.parse();
        name.map_err(|_| StoreError::unreadable("channels", "id"))
    };
    let provider: String = row.try_get("", "provider")?;
    Ok(EndingGrant {
        tenant: name("tenant_id")?,
        channel: name("id")?,
        provider: ProviderName::from(provider),
        display_name: row.try_get("", "display_name")?,
        ends_at: Timestamp::from_millis(row.try_get("", "refresh_expires_at")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(channels: u64, due_in_mins: u64, every_mins: Option<u64>) -> Alike {
        Alike {
            channels,
            due_in: due_in_mins * 60_000,
            every: every_mins.map(|mins| mins * 60_000),
        }
    }

    #[test]
    fn each_channel_is_called_when_it_is_due_and_then_once_per_interval() {
        let hours = spread(&[alike(10, 30, Some(480)), alike(1, 1380, Some(60))]);

        let mut expected = CallsByHour::default();
        expected[0] = 10;
        expected[8] = 10;
        expected[16] = 10;
        expected[23] = 1;
        assert_eq!(hours, expected);
    }

    #[test]
    fn what_comes_once_a_day_comes_once() {
        let hours = spread(&[alike(3, 0, Some(1440)), alike(1, 1440, Some(1440))]);

        assert_eq!((hours[0], hours[23]), (3, 1));
        assert_eq!(hours.iter().sum::<u64>(), 4);
    }

    #[test]
    fn no_interval_is_shorter_than_a_minute() {
        let hours = spread(&[alike(1, 0, Some(0))]);

        assert_eq!(hours, [60; HOURS]);
    }

    #[test]
    fn what_was_never_refreshed_comes_as_often_as_the_others() {
        let with_others = spread(&[
            alike(1, 0, None),
            alike(2, 60, Some(300)),
            alike(1, 60, Some(900)),
        ]);
        let alone = spread(&[alike(1, 0, None)]);

        // The mean of 300, 300 and 900 minutes is 500: calls at 0:00, 8:20 and 16:40.
        assert_eq!((with_others[0], with_others[8]), (1, 1));
        assert_eq!(alone.iter().sum::<u64>(), 1);
    }
}
