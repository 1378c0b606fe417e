//! How fast a fleet goes: slowly after a rest, and below what a provider throttles.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::NamedDelay;
use super::window::Answers;
use crate::Timestamp;

/// Requests a second after a rest.
pub(super) const START: f64 = 10.0;
/// Where no budget is set, a pace beyond this is none.
const FAST: f64 = 10_000.0;
/// Doublings from [`START`] to [`FAST`].
const DOUBLINGS: u32 = 10;
/// The slowest pace: something must try.
pub(super) const SLOWEST: f64 = 1.0;
/// Throttled answers among others slow the fleet down from so many answers on.
const ANSWERS_MIN: u32 = 50;
/// Percent of the answers that are tolerated as throttled.
const TOLERATED: u32 = 5;
/// Share of what got through that is tried next.
const BELOW: f64 = 0.9;
/// Pause where the provider throttles everything and names no time.
const UNNAMED: NamedDelay = NamedDelay {
    delay: Duration::from_secs(5),
    grows: true,
};
/// A delay that grows does so up to this factor: at Meta from 5 to 60 minutes.
const GROWTH_MAX: u32 = 12;

/// A rate that doubles with time until it limits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    per_second: f64,
    since: Timestamp,
    doubling_ms: u64,
}

impl Pace {
    /// The return after a time without calls.
    pub(super) fn ramp(now: Timestamp, ramp: Duration) -> Self {
        Self::rise(START, now, ramp)
    }

    /// Half of what got through before, from the end of a hold on.
    pub(super) fn after_hold(got_through: f64, until: Timestamp, window: Duration) -> Self {
        Self::new((got_through / 2.0).max(START), until, window)
    }

    /// A little less than what gets through, where some of many calls are throttled.
    pub(super) fn below(
        pace: Option<Self>,
        met: Answers,
        elapsed: Duration,
        now: Timestamp,
        window: Duration,
    ) -> Option<Self> {
        let settled = pace.is_none_or(|pace| now.since(pace.since) >= window / 6);
        let throttled = met.all() >= ANSWERS_MIN && met.is_share(met.throttled, TOLERATED);
        let per_second = (met.per_second(elapsed) * BELOW).max(SLOWEST);
        (settled && throttled).then(|| Self::new(per_second, now, window))
    }

    /// From `per_second` on to full speed, as after a time without calls.
    pub(super) fn rise(per_second: f64, now: Timestamp, ramp: Duration) -> Self {
        Self::new(per_second, now, ramp / DOUBLINGS)
    }

    /// What the fleet may send a second: the slowest of all.
    pub(super) fn limit(
        paces: [Option<Self>; 2],
        budget: Option<f64>,
        now: Timestamp,
    ) -> Option<f64> {
        let rates = paces.into_iter().flatten().map(|pace| pace.at(now));
        let rates = rates.filter(|rate| *rate < FAST).chain(budget);
        rates.reduce(f64::min)
    }

    pub(super) fn new(per_second: f64, since: Timestamp, doubling: Duration) -> Self {
        Self {
            per_second,
            since,
            doubling_ms: u64::try_from(doubling.as_millis())
                .unwrap_or(u64::MAX)
                .max(1),
        }
    }

    pub(super) fn at(self, now: Timestamp) -> f64 {
        let doubling = Duration::from_millis(self.doubling_ms);
        let doublings = now.since(self.since).as_secs_f64() / doubling.as_secs_f64();
        self.per_second * doublings.min(64.0).exp2()
    }
}

/// A time in which nobody calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hold {
    pub(super) until: Timestamp,
    /// Holds without a success between them, this one included.
    in_a_row: u32,
}

impl Hold {
    /// The hold after `before`, if that was not followed by a success.
    pub(super) fn next(before: Option<Self>, named: Option<NamedDelay>, now: Timestamp) -> Self {
        let in_a_row = before.map_or(1, |hold| hold.in_a_row.saturating_add(1));
        let NamedDelay { delay, grows } = named.unwrap_or(UNNAMED);
        let factor = if grows {
            1_u32.checked_shl(in_a_row - 1).unwrap_or(GROWTH_MAX)
        } else {
            1
        };
        let until = now.plus(delay * factor.min(GROWTH_MAX));
        Self {
            until: before.map_or(until, |hold| hold.until.max(until)),
            in_a_row,
        }
    }
}
