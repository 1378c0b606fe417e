//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{Clock, Timestamp};

/// Noon of the first of January 2026.
const START: i64 = 1_767_268_800;

/// A clock that stands still until it is moved; clones show the same time.
#[derive(Clone, Debug)]
pub struct TestClock {
    millis: Arc<AtomicI64>,
}

impl TestClock {
    /// A clock at noon of the first of January 2026, UTC.
    #[must_use]
    pub fn start() -> Self {
        Self::at(Timestamp::from_secs(START))
    }

    /// A clock at this instant.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self {
            millis: Arc::new(AtomicI64::new(at.as_millis())),
        }
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }

    /// Moves it there, also back.
    pub fn set(&self, at: Timestamp) {
        self.millis.store(at.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_clock_move_together() {
        let clock = TestClock::start();
        let clone = clock.clone();

        clock.advance(Duration::from_secs(1));

        assert_eq!(clone.now(), Timestamp::from_secs(START + 1));
    }
}
