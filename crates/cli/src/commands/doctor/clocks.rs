//! Do the clocks of database, Redis and this machine agree?

use std::time::Duration;

use domain::{Clock as _, SystemClock, Timestamp};
use redis::aio::MultiplexedConnection;
use store::Store;

use super::Finding;

const PART: &str = "clocks";
/// Short-lived tokens are due minutes before their end; seconds do not matter.
const TOLERATED: Duration = Duration::from_secs(5);

/// What was found.
pub(super) async fn examine(
    store: Option<&Store>,
    redis: Option<MultiplexedConnection>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(store) = store {
        let before = SystemClock.now();
        if let Ok(theirs) = store.now().await {
            findings.push(compare("database", theirs, before, SystemClock.now()));
        }
    }
    if let Some(mut redis) = redis {
        let before = SystemClock.now();
        let time: redis::RedisResult<(i64, i64)> = redis::cmd("TIME").query_async(&mut redis).await;
        if let Ok((secs, micros)) = time {
            let theirs = Timestamp::from_millis(secs * 1000 + micros / 1000);
            findings.push(compare("redis", theirs, before, SystemClock.now()));
        }
    }
    findings
}

/// Their time was read between `before` and `after`.
fn compare(whose: &str, theirs: Timestamp, before: Timestamp, after: Timestamp) -> Finding {
    let off = theirs.since(after).max(before.since(theirs));
    let found = format!("{whose} and this machine differ by {} ms", off.as_millis());
    if off > TOLERATED {
        Finding::bad(
            PART,
            found,
            "synchronise the clocks (chrony, systemd-timesyncd)",
        )
    } else {
        Finding::good(PART, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_by_more_than_seconds_is_found() {
        let at = Timestamp::from_secs;

        assert!(compare("redis", at(100), at(99), at(101)).ok);
        assert!(compare("redis", at(104), at(99), at(100)).ok);
        assert!(!compare("redis", at(110), at(99), at(100)).ok);
        assert!(!compare("redis", at(80), at(99), at(100)).ok);
    }
}
