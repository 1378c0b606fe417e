//! Exponential backoff with full jitter.

use std::time::Duration;

use rand::RngExt as _;

/// Pauses between attempts: `base · 2^(attempt − 1)`, at most `cap`, then full jitter.
///
/// Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Upper end of the first pause.
    pub base: Duration,
    /// Upper end of every pause.
    pub cap: Duration,
}

impl Backoff {
    /// What a refresh uses: 2 s doubling, up to 5 minutes (contracts §8).
    pub const REFRESH: Self = Self {
        base: Duration::from_secs(2),
        cap: Duration::from_mins(5),
    };

    /// The upper end of the pause after the given attempt, the first being 1.
    #[must_use]
    pub fn ceiling(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// A random pause after the given attempt, from zero to [`Backoff::ceiling`].
    #[must_use]
    pub fn pause(self, attempt: u32) -> Duration {
        full_jitter(self.ceiling(attempt))
    }
}

/// A random duration from zero to `ceiling`, in whole milliseconds.
#[must_use]
pub fn full_jitter(ceiling: Duration) -> Duration {
    let millis = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rand::rng().random_range(0..=millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let backoff = Backoff::REFRESH;

        let seconds: Vec<u64> = [1, 2, 3, 8, 9, u32::MAX]
            .map(|attempt| backoff.ceiling(attempt).as_secs())
            .to_vec();

        assert_eq!(seconds, [2, 4, 8, 256, 300, 300]);
    }

    #[test]
    fn a_pause_never_exceeds_its_ceiling() {
        for attempt in 1..20 {
            assert!(Backoff::REFRESH.pause(attempt) <= Backoff::REFRESH.ceiling(attempt));
        }
    }
}
