//! The database's time, carried on by a clock that no one sets and that counts
//! suspended time.

use std::time::Duration;

use domain::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Tells the database's time without asking again.
///
/// The wall clock of this machine may be wrong or jump; `CLOCK_BOOTTIME` only
/// counts, and goes on while the machine sleeps, so a lease that ended during a
/// suspend is seen to have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Monotonic {
    database_time: Timestamp,
    read_at: Duration,
}

impl Monotonic {
    /// Starts from a time that the database told for a request sent at `asked_at`.
    ///
    /// The whole round trip counts as passed, so the result is never behind.
    pub(crate) const fn since(database_time: Timestamp, asked_at: Duration) -> Self {
        Self {
            database_time,
            read_at: asked_at,
        }
    }

    /// The database's time.
    pub(crate) fn now(&self) -> Timestamp {
        self.database_time
            .plus(uptime().saturating_sub(self.read_at))
    }
}

/// Time since this machine booted, suspended time included.
pub(crate) fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_trip_to_the_database_counts_as_passed() {
        let asked_at = uptime().saturating_sub(Duration::from_secs(3));

        let clock = Monotonic::since(Timestamp::from_secs(100), asked_at);

        assert!(clock.now() >= Timestamp::from_secs(103));
    }
}
