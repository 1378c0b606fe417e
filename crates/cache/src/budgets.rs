//! Budgets of requests that the whole fleet shares, given out as turns.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use crate::{Cache, CacheError};

static DRAW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/draw.lua")));

/// How far ahead a turn may lie: a rate that falls is heeded after so long at the latest.
const HORIZON: Duration = Duration::from_millis(500);

/// What a draw on a budget brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// So many turns for one request each; 0 to what was wanted.
    pub turns: u32,
    /// Time until the first of them; until one can be had, if there are none.
    pub wait: Duration,
    /// Time from each turn to the next.
    pub each: Duration,
}

impl Cache {
    /// Takes the next turns, up to `want` of them, out of the budget of this name. One script, O(1).
    ///
    /// Turns are evenly spaced, whoever draws, and none is kept for later: after a rest there are
    /// no more at once than before it. `per_second` may change from call to call.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn draw(&self, name: &str, per_second: f64, want: u32) -> Result<Drawn, CacheError> {
        let each = micros_each(per_second);
        let mut call = DRAW.key(self.key("budget", "requests", &[name]));
        call.arg(each).arg(want.max(1)).arg(HORIZON.as_micros());
        let (turns, wait_us): (u32, u64) = self.link.call(&call).await?;
        Ok(Drawn {
            turns,
            wait: Duration::from_micros(wait_us),
            each: Duration::from_micros(each),
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
