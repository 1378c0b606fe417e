//! An app that has nearly spent what its provider allows it in an hour: the fleet goes slower
//! before it is refused (contracts §1.8).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pace::{Hold, Pace, SLOWEST, START};
use super::{Breaker, BreakerRules, NamedDelay, Tally};
use crate::Timestamp;

/// From so many percent on the fleet goes slower.
const FROM: u8 = 80;
/// Nothing is left.
const SPENT: u8 = 100;
/// The provider names no time: from 5 to 60 minutes while nothing is left.
const PAUSE: NamedDelay = NamedDelay {
    delay: Duration::from_mins(5),
    grows: true,
};

/// What a good answer says of the app's own budget at its provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AppUsage {
    /// Percent that is spent; 100 and more is all.
    pub percent: u8,
    /// Requests a second that the operator allows; `None` is no limit.
    pub budget: Option<f64>,
}

/// How much slower the fleet goes, and since when.
///
/// Without another word of the provider it doubles once a window until it is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Strain {
    percent: u8,
    /// Requests a second without strain.
    full: f64,
    pub(super) pace: Pace,
}

impl Strain {
    /// What `usage` asks for: in proportion to what is left of the last fifth; `None` below that.
    ///
    /// Without a budget full speed is what got through when the strain began: measured
    /// under it, it would sink further with each answer.
    fn next(
        before: Option<Self>,
        usage: AppUsage,
        got_through: f64,
        (from, window): (Timestamp, Duration),
    ) -> Option<Self> {
        if usage.percent < FROM {
            return None;
        }
        let known = usage.budget.or(before.map(|it| it.full));
        let full = known.unwrap_or(got_through.max(START));
        let left = SPENT.saturating_sub(usage.percent);
        let share = f64::from(left) / f64::from(SPENT - FROM);
        Some(Self {
            percent: usage.percent,
            full,
            pace: Pace::new((full * share).max(SLOWEST), from, window),
        })
    }

    /// Whether nothing is left.
    const fn is_spent(self) -> bool {
        self.percent >= SPENT
    }

    /// Whether it limits anything.
    fn lasts(self, now: Timestamp) -> bool {
        self.pace.at(now) < self.full
    }
}

impl Breaker {
    /// Percent of the app's budget at its provider that are spent, while that slows the fleet.
    #[must_use]
    pub fn usage(&self, now: Timestamp) -> Option<u8> {
        self.strain(now).map(|strain| strain.percent)
    }

    pub(super) fn strain(&self, now: Timestamp) -> Option<Strain> {
        self.strain.filter(|strain| strain.lasts(now))
    }

    /// Goes slower while the app has little left, pauses when nothing is left, and returns when
    /// the provider says that there is more.
    pub(super) fn heed_usage(&mut self, tally: &Tally, now: Timestamp, rules: &BreakerRules) {
        let is_held = self.hold.is_some_and(|hold| hold.until > now);
        // What comes in during a hold was under way before.
        let Some(usage) = tally.usage.filter(|_| !is_held) else {
            return;
        };
        let before = self.strain(now);
        let (met, elapsed) = self.window.recent(now, rules.window);
        let at = |from| {
            let got_through = met.per_second(elapsed);
            Strain::next(before, usage, got_through, (from, rules.window))
        };
        self.strain = at(now);
        // A refusal beside it names the time itself.
        if self.strain.is_some_and(Strain::is_spent) && tally.throttled == 0 {
            let hold = Hold::next(self.hold, Some(PAUSE), now);
            self.hold = Some(hold);
            self.strain = at(hold.until);
        }
        if let (Some(before), None) = (before, self.strain) {
            let paces = [self.pace, Some(before.pace)];
            let limit = Pace::limit(paces, None, now);
            self.pace = limit.map(|limit| Pace::rise(limit, now, rules.ramp));
        }
    }
}
