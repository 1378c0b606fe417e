//! Rate limits that the whole fleet shares.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use crate::{Cache, CacheError};

static SPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/spend.lua")));

/// How many calls are allowed in which time: so many at once, then one whenever
/// that share of the time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Calls per window; at least 1.
    pub calls: u32,
    /// The window.
    pub window: Duration,
}

impl Quota {
    /// So many calls a minute.
    #[must_use]
    pub const fn per_minute(calls: u32) -> Self {
        Self {
            calls,
            window: Duration::from_mins(1),
        }
    }

    /// Microseconds per call, rounded up: a window never holds more than its calls.
    fn micros_per_call(self) -> u64 {
        let window = u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX);
        window.div_ceil(u64::from(self.calls.max(1))).max(1)
    }
}

/// What a quota says to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Whether the call may go on.
    pub allowed: bool,
    /// Calls that are left after it.
    pub remaining: u32,
    /// Time until a call is allowed; zero if this one is.
    pub retry_after: Duration,
    /// Time until all calls of the quota are there again.
    pub reset: Duration,
}

impl Cache {
    /// Spends one call of the subject's quota in a bucket, if one is left.
    ///
    /// `bucket` is part of the key: lower-case letters. The subject, an address or
    /// an account, is hashed. One script, O(1), by Redis' clock.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer. Who asks decides whether that
    /// closes the door or opens it.
    pub async fn spend(
        &self,
        bucket: &'static str,
        subject: &str,
        quota: Quota,
    ) -> Result<Allowance, CacheError> {
        self.ask(bucket, subject, quota, true).await
    }

    /// What [`Cache::spend`] would say, without spending: for calls that only count
    /// if they fail.
    ///
    /// # Errors
    ///
    /// As [`Cache::spend`].
    pub async fn look(
        &self,
        bucket: &'static str,
        subject: &str,
        quota: Quota,
    ) -> Result<Allowance, CacheError> {
        self.ask(bucket, subject, quota, false).await
    }

    async fn ask(
        &self,
        bucket: &'static str,
        subject: &str,
        quota: Quota,
        spend: bool,
    ) -> Result<Allowance, CacheError> {
        let mut call = SPEND.key(self.key("rate", bucket, &[subject]));
        call.arg(quota.micros_per_call());
        call.arg(quota.calls.max(1)).arg(u8::from(spend));
        let (allowed, remaining, wait_us, reset_us): (bool, u32, u64, u64) =
            self.link.call(&call).await?;
        Ok(Allowance {
            allowed,
            remaining,
            retry_after: Duration::from_micros(wait_us),
            reset: Duration::from_micros(reset_us),
        })
    }
}
