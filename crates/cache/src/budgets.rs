//! Budgets of requests that the whole fleet shares, given out in handfuls.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use crate::{Cache, CacheError};

static DRAW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/draw.lua")));

/// What a draw on a budget brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// So many requests may be sent; 0 to what was wanted.
    pub granted: u32,
    /// Time until the next one is there; zero if any was granted.
    pub wait: Duration,
}

impl Cache {
    /// Takes up to `want` requests out of the budget of this name (GCRA). One script, O(1).
    ///
    /// `per_second` may change from call to call; `at_once` is how many there are
    /// after a rest, at least 1.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn draw(
        &self,
        name: &str,
        per_second: f64,
        at_once: u32,
        want: u32,
    ) -> Result<Drawn, CacheError> {
        let mut call = DRAW.key(self.key("budget", "requests", &[name]));
        call.arg(micros_each(per_second));
        call.arg(at_once.max(1)).arg(want.max(1));
        let (granted, wait_us): (u32, u64) = self.link.call(&call).await?;
        Ok(Drawn {
            granted,
            wait: Duration::from_micros(wait_us),
        })
    }
}

/// Microseconds per request, rounded up: a second never holds more than it may. From
/// a request a day to a million a second.
fn micros_each(per_second: f64) -> u64 {
    let slowest = Duration::from_hours(24);
    let each = Duration::try_from_secs_f64(per_second.recip()).unwrap_or(slowest);
    let micros = each.min(slowest).as_nanos().div_ceil(1000).max(1);
    u64::try_from(micros).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_never_rounded_up() {
        let rates = [0.0, f64::NAN, 1e-9, 0.5, 1.0, 3.0, 4000.0, 1e9];

        let micros = rates.map(micros_each);

        let day = 86_400_000_000;
        assert_eq!(
            micros,
            [day, day, day, 2_000_000, 1_000_000, 333_334, 250, 1]
        );
    }
}
