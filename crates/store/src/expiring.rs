//! Refresh tokens that come to their own end: told 14, 3 and 1 days before.
//!
//! A walk over all channels, a bounded bite at a time: an index on this end would
//! have to be kept by every refresh, for a look that can wait an hour.

use std::time::Duration;

use domain::{ChannelState, ChannelUid, TenantUid, Timestamp};
use sea_orm::{ConnectionTrait as _, QueryResult};
use uuid::Uuid;

use crate::sql::at;
use crate::{Store, StoreError, events};

/// O(limit) on the key.
const BOUND: &str = "
    SELECT uid FROM channels WHERE uid > $1
    ORDER BY uid LIMIT 1 OFFSET $2";

/// O(limit) on the key.
const ENDING: &str = "
    SELECT channels.uid, channels.tenant_uid, channels.id, channels.provider, channels.state,
        channels.refresh_expires_at, notice.refresh_expires_at AS told_at, notice.days AS told_days
    FROM channels LEFT JOIN expiry_notices AS notice ON notice.channel_uid = channels.uid
    WHERE channels.uid > $1 AND channels.uid <= $2
        AND channels.refresh_expires_at > {now} AND channels.refresh_expires_at <= {now} + $3
        AND channels.state IN ('active', 'never_expires', 'error')
    ORDER BY channels.uid";

/// O(1) on the key. One of several schedulers writes it.
const FIRST_NOTICE: &str = "
    INSERT INTO expiry_notices (channel_uid, refresh_expires_at, days) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING";

/// O(1) on the key. One of several schedulers finds the last one as it read it.
const NEXT_NOTICE: &str = "
    UPDATE expiry_notices SET refresh_expires_at = $2, days = $3
    WHERE channel_uid = $1 AND refresh_expires_at = $4 AND days = $5";

/// How near an end is told, in days; the nearest first.
const DAYS: [i32; 3] = [1, 3, 14];

/// Providers tell seconds that are left: the same end differs by this much.
const SAME: Duration = Duration::from_hours(1);

/// How far a walk has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpiryWalk {
    /// The last channel that was looked at; `None` before the first.
    pub after: Option<ChannelUid>,
    /// Tenants told so far in this round.
    pub told: u64,
}

/// A channel whose refresh token ends soon.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) channel: ChannelUid,
    pub(crate) tenant: TenantUid,
    pub(crate) id: String,
    pub(crate) provider: String,
    pub(crate) state: ChannelState,
    pub(crate) ends_at: Timestamp,
    /// The end that was told last, and how near it was.
    told: Option<(Timestamp, i32)>,
}

/// What to do about an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    /// Tell it.
    Tell,
    /// Remember it: it was moved on within sight, by a refresh or by a person.
    Remember,
    /// It was told.
    Nothing,
}

impl Store {
    /// Looks at the next `limit` channels, and tells of those whose refresh token ends
    /// within 14, 3 or 1 days, each of the three once; answers where to go on. After
    /// the last channel the walk begins anew.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; go on from where the walk was.
    pub async fn tell_expiring(
        &self,
        walk: ExpiryWalk,
        limit: u32,
    ) -> Result<ExpiryWalk, StoreError> {
        let from = walk.after.map_or(Uuid::nil(), |uid| uid.0);
        let bound = [from.into(), (i64::from(limit) - 1).max(0).into()];
        let bound = self.pools.select_one(BOUND, bound).await?;
        let last: Option<Uuid> = bound.map(|row| row.try_get("", "uid")).transpose()?;
        let within = i64::from(DAYS[2]) * 86_400_000;
        let until = last.unwrap_or(Uuid::max());
        let values = [from.into(), until.into(), within.into()];
        let mut told = walk.told;
        for row in self.pools.select(ENDING, values).await? {
            told += u64::from(self.notice(&ending(&row)?).await?);
        }
        Ok(match last {
            Some(uid) => ExpiryWalk {
                after: Some(ChannelUid(uid)),
                told,
            },
            None => ExpiryWalk::default(),
        })
    }

    /// Tells of one end if it has to be told; whether it was.
    async fn notice(&self, ending: &Ending) -> Result<bool, StoreError> {
        let sql = &self.pools.sql;
        let now = self.now().await?;
        let days = nearness(ending.ends_at.since(now));
        let notice = decide(ending, days, now);
        if notice == Notice::Nothing {
            return Ok(false);
        }
        let mut values = vec![ending.channel.0.into(), at(ending.ends_at), days.into()];
        let text = match ending.told {
            None => FIRST_NOTICE,
            Some((told_at, told_days)) => {
                values.extend([at(told_at), told_days.into()]);
                NEXT_NOTICE
            }
        };
        let transaction = self.pools.begin().await?;
        let written = transaction.execute_raw(sql.statement(text, values)).await?;
        let tells = notice == Notice::Tell && written.rows_affected() > 0;
        if tells {
            let event = events::expiring(ending, days, now);
            events::insert(&transaction, sql, vec![event]).await?;
        }
        transaction.commit().await?;
        Ok(tells)
    }
}

fn decide(ending: &Ending, days: i32, now: Timestamp) -> Notice {
    match ending.told {
        Some((told_at, _)) if told_at < now => Notice::Tell,
        Some((told_at, _)) if ending.ends_at > told_at.plus(SAME) => Notice::Remember,
        Some((_, told_days)) if days >= told_days => Notice::Nothing,
        _ => Notice::Tell,
    }
}

/// The nearest of the three that it is within.
fn nearness(left: Duration) -> i32 {
    let within = |days: &&i32| left <= Duration::from_hours(24) * days.unsigned_abs();
    DAYS.iter().find(within).copied().unwrap_or(DAYS[2])
}

fn ending(row: &QueryResult) -> Result<Ending, StoreError> {
    let bad = |why: &str| StoreError::unreadable("channels", why);
    let state: String = row.try_get("", "state")?;
    let told_at: Option<i64> = row.try_get("", "told_at")?;
    let told_days: Option<i32> = row.try_get("", "told_days")?;
    Ok(Ending {
        channel: ChannelUid(row.try_get("", "uid")?),
        tenant: TenantUid(row.try_get("", "tenant_uid")?),
        id: row.try_get("", "id")?,
        provider: row.try_get("", "provider")?,
        state: state.parse().map_err(|_| bad("state"))?,
        ends_at: Timestamp::from_millis(row.try_get("", "refresh_expires_at")?),
        told: told_at.map(Timestamp::from_millis).zip(told_days),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    /// What is done about an end `left` days away, `told` days away when it was told as `days`.
    fn decided(left: u32, told: Option<(i32, i32)>) -> Notice {
        let now = Timestamp::from_secs(1_800_000_000);
        let ends_at = now.plus(DAY * left);
        let told = told.map(|(away, days)| {
            let away_from_now = DAY * away.unsigned_abs();
            let at = if away < 0 {
                now.minus(away_from_now)
            } else {
                now.plus(away_from_now)
            };
            (at, days)
        });
        let ending = Ending {
            channel: ChannelUid::generate(),
            tenant: TenantUid::generate(),
            id: "channel".to_owned(),
            provider: "tiktok".to_owned(),
            state: ChannelState::Active,
            ends_at,
            told,
        };
        decide(&ending, nearness(ends_at.since(now)), now)
    }

    #[test]
    fn an_end_is_told_when_it_comes_within_14_3_and_1_days() {
        assert_eq!(decided(14, None), Notice::Tell);
        assert_eq!(decided(10, Some((10, 14))), Notice::Nothing);
        assert_eq!(decided(3, Some((3, 14))), Notice::Tell);
        assert_eq!(decided(2, Some((2, 3))), Notice::Nothing);
        assert_eq!(decided(1, Some((1, 3))), Notice::Tell);
        assert_eq!(decided(1, Some((1, 1))), Notice::Nothing);
    }

    #[test]
    fn an_end_that_every_refresh_moves_on_is_not_told_again() {
        assert_eq!(decided(7, Some((6, 14))), Notice::Remember);
    }

    #[test]
    fn an_end_long_after_the_one_that_was_told_is_a_new_one() {
        assert_eq!(decided(14, Some((-351, 1))), Notice::Tell);
    }
}
