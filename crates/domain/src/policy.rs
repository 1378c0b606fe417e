//! When a credential is due: contracts §8.2, the windows of each class of token.

use std::time::Duration;

use crate::{ChannelUid, Timestamp, full_jitter};

/// How long a token lives, as far as the provider told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// So long from the moment the request left.
    For(Duration),
    /// Until this instant.
    Until(Timestamp),
    /// For ever.
    Never,
    /// Nobody knows.
    Unknown,
}

impl Lifetime {
    /// The end, counted from when the request left; `None` if there is none or it is not known.
    #[must_use]
    pub fn ends_at(self, sent_at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::For(duration) => Some(sent_at.plus(duration)),
            Self::Until(at) => Some(at),
            Self::Never | Self::Unknown => None,
        }
    }
}

/// How far before its end a token is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Margin {
    /// A fixed time before the end.
    Fixed(Duration),
    /// A share of the lifetime before the end, but at least `at_least`.
    Share {
        /// Percent of the lifetime, 1–50.
        percent: u32,
        /// The smallest margin.
        at_least: Duration,
    },
    /// So long after the token was issued, whatever its end.
    AfterIssue(Duration),
}

/// The window in which a class of token is refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The provider refuses tokens younger than this; zero if it has no such rule.
    pub min_age: Duration,
    /// When a token is due.
    pub target: Margin,
    /// Time before the end after which a refresh is late.
    pub latest: Duration,
}

/// When one token is due, and when that becomes urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When it should be refreshed.
    pub due_at: Timestamp,
    /// The latest useful moment.
    pub latest_at: Timestamp,
}

impl Window {
    /// Meta's 60-day tokens: 24 hours old at least, due at 10 days left, late at 3.
    pub const SIXTY_DAYS: Self = Self {
        min_age: Duration::from_hours(24),
        target: Margin::Fixed(Duration::from_hours(240)),
        latest: Duration::from_hours(72),
    };

    /// Any provider without a rule of its own: a tenth of the lifetime, at least 5 minutes.
    pub const GENERIC: Self = Self {
        min_age: Duration::ZERO,
        target: Margin::Share {
            percent: 10,
            at_least: Duration::from_mins(5),
        },
        latest: Duration::from_mins(1),
    };

    /// A window that targets a fixed margin and has no minimal age.
    #[must_use]
    pub const fn margin(target: Duration, latest: Duration) -> Self {
        Self {
            min_age: Duration::ZERO,
            target: Margin::Fixed(target),
            latest,
        }
    }

    /// When a token with this issue and end is due.
    ///
    /// Up to half of the margin is added as jitter, earlier only, the same for
    /// the same channel. Margin and jitter together never exceed half of the
    /// lifetime, so that a short-lived token is not refreshed all the time.
    #[must_use]
    pub fn plan(&self, uid: ChannelUid, issued_at: Timestamp, expires_at: Timestamp) -> Plan {
        let lifetime = expires_at.since(issued_at);
        let latest_at = self.latest_at(issued_at, expires_at);
        let due_at = match self.target {
            Margin::AfterIssue(pause) => issued_at.plus(pause.min(lifetime / 2)),
            Margin::Fixed(margin) => before_end(uid, expires_at, lifetime, margin),
            Margin::Share { percent, at_least } => {
                let margin = (lifetime * percent / 100).max(at_least);
                before_end(uid, expires_at, lifetime, margin)
            }
        };
        Plan {
            due_at: due_at.max(self.old_enough_at(issued_at, latest_at)),
            latest_at,
        }
    }

    /// Whether the provider would refuse this token for its youth.
    ///
    /// A token that does not live as long as the rule asks is not bound by it.
    #[must_use]
    pub fn too_young(&self, issued_at: Timestamp, expires_at: Timestamp, now: Timestamp) -> bool {
        now < self.old_enough_at(issued_at, self.latest_at(issued_at, expires_at))
    }

    fn latest_at(&self, issued_at: Timestamp, expires_at: Timestamp) -> Timestamp {
        let lifetime = expires_at.since(issued_at);
        expires_at.minus(self.latest.min(lifetime / 4))
    }

    fn old_enough_at(&self, issued_at: Timestamp, before: Timestamp) -> Timestamp {
        let at = issued_at.plus(self.min_age);
        if at < before { at } else { issued_at }
    }
}

fn before_end(
    uid: ChannelUid,
    expires_at: Timestamp,
    lifetime: Duration,
    margin: Duration,
) -> Timestamp {
    let margin = margin.min(lifetime / 3);
    expires_at.minus(margin + spread(uid, margin / 2))
}

/// A share of `up_to` that is fixed for a channel and uniform over channels.
fn spread(uid: ChannelUid, up_to: Duration) -> Duration {
    let millis = u64::try_from(up_to.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(hash(uid.0.as_bytes()) % millis.saturating_add(1).max(1))
}

impl ChannelUid {
    /// A short number that tells a few channels apart, where more would be kept than is needed.
    #[must_use]
    pub fn tag(self) -> u32 {
        u32::try_from(hash(self.0.as_bytes()) >> 32).unwrap_or_default()
    }
}

/// FNV-1a with a final mix; it must give the same value in every release.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

/// How long a channel that was handed out is left alone: a quarter of the time
/// left to its token, 15 s to 10 min. A lost job comes back after it.
#[must_use]
pub fn rehandout_after(now: Timestamp, expires_at: Option<Timestamp>) -> Duration {
    let left = expires_at.map_or(Duration::from_hours(1), |at| at.since(now));
    (left / 4).clamp(Duration::from_secs(15), Duration::from_mins(10))
}

/// When a channel is handed out again after `failures` failed jobs in a row.
///
/// A minute doubling up to an hour, with full jitter on its upper half; not
/// after the latest useful moment, as long as that is more than a minute ahead.
#[must_use]
pub fn next_attempt_after_failure(
    now: Timestamp,
    failures: u32,
    latest_at: Option<Timestamp>,
) -> Timestamp {
    let ceiling = Duration::from_mins(1)
        .saturating_mul(1 << failures.min(10))
        .min(Duration::from_hours(1));
    let at = now.plus(ceiling / 2 + full_jitter(ceiling / 2));
    match latest_at {
        Some(latest) if latest > now.plus(Duration::from_mins(1)) => at.min(latest),
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIKTOK: Window = Window::margin(Duration::from_mins(30), Duration::from_mins(5));

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn a_two_hour_token_is_due_thirty_to_forty_five_minutes_before_its_end() {
        for _ in 0..200 {
            let plan = TIKTOK.plan(ChannelUid::generate(), at(0), at(7200));

            let left = at(7200).since(plan.due_at).as_secs();
            assert!((1800..=2700).contains(&left), "{left} s left");
            assert_eq!(plan.latest_at, at(6900));
        }
    }

    #[test]
    fn margin_and_jitter_never_exceed_half_of_the_lifetime() {
        for lifetime in [1, 10, 60, 600, 7200] {
            let plan = TIKTOK.plan(ChannelUid::generate(), at(0), at(lifetime));

            assert!(
                plan.due_at.as_millis() >= lifetime * 500,
                "{lifetime} s: {plan:?}"
            );
        }
    }

    #[test]
    fn a_sixty_day_token_waits_until_it_is_a_day_old() {
        let day = 86_400;
        let uid = ChannelUid::generate();

        let fresh = Window::SIXTY_DAYS.plan(uid, at(0), at(60 * day));
        let nearly_spent = Window::SIXTY_DAYS.plan(uid, at(0), at(5 * day));

        let left = at(60 * day).since(fresh.due_at).as_secs();
        assert!((864_000..=1_296_000).contains(&left), "{left} s left");
        assert!(nearly_spent.due_at >= at(day));
    }

    #[test]
    fn a_token_that_lives_no_day_is_not_held_back_by_the_24_hour_rule() {
        let plan = Window::SIXTY_DAYS.plan(ChannelUid::generate(), at(0), at(3600));

        assert!(plan.due_at < at(3600));
        assert!(!Window::SIXTY_DAYS.too_young(at(0), at(3600), at(10)));
        assert!(Window::SIXTY_DAYS.too_young(at(0), at(5_184_000), at(86_399)));
    }

    #[test]
    fn a_token_that_is_due_is_never_too_young() {
        for hours in 1..100 {
            let end = at(hours * 3600);
            let plan = Window::SIXTY_DAYS.plan(ChannelUid::generate(), at(0), end);

            assert!(
                !Window::SIXTY_DAYS.too_young(at(0), end, plan.due_at),
                "{hours} h"
            );
        }
    }

    #[test]
    fn the_first_facturify_token_is_due_five_seconds_after_its_issue() {
        let window = Window {
            target: Margin::AfterIssue(Duration::from_secs(5)),
            ..TIKTOK
        };

        assert_eq!(
            window.plan(ChannelUid::generate(), at(100), at(340)).due_at,
            at(105)
        );
    }

    #[test]
    fn the_jitter_of_a_channel_is_always_the_same() {
        let uid = ChannelUid::generate();

        assert_eq!(
            TIKTOK.plan(uid, at(0), at(7200)),
            TIKTOK.plan(uid, at(0), at(7200))
        );
    }

    #[test]
    fn a_handed_out_channel_rests_for_a_quarter_of_the_time_left() {
        let rest = |left| rehandout_after(at(0), Some(at(left))).as_secs();

        assert_eq!(
            [rest(-5), rest(20), rest(120), rest(86_400)],
            [15, 15, 30, 600]
        );
    }

    #[test]
    fn after_a_failure_the_due_time_always_moves_on() {
        for failures in 0..40 {
            let next = next_attempt_after_failure(at(0), failures, None);

            assert!(next >= at(30) && next <= at(3600), "{failures}: {next}");
        }
        assert!(next_attempt_after_failure(at(0), 9, Some(at(120))) <= at(120));
        assert!(next_attempt_after_failure(at(0), 9, Some(at(59))) > at(59));
    }
}
