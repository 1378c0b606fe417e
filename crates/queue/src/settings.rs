//! What can be set, and what it is if nobody sets it.

use std::collections::HashMap;
use std::time::Duration;

use rand::RngExt as _;
use secrecy::SecretString;

use crate::name::QueueName;

/// Where Redis is, and what the queues on it are like.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// `redis://`, `rediss://` (TLS) or `unix://`; may contain a password. Of Sentinels,
    /// `redis+sentinel://[USER:PASSWORD@]HOST[:26379],HOST…/SERVICE[/DB]` (the log-in is the
    /// master's); of a cluster, `redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT…`, each queue
    /// being on one shard; `rediss+…` with TLS. `redis-sentinel://` and `redis-cluster://` are the same.
    pub url: SecretString,
    /// First part of every key; `tokenfleet` by default. Without `{`, `}` and `:`.
    pub prefix: String,
    /// How our connections are named in `CLIENT LIST`; without spaces.
    pub client_name: String,
    /// How long an answer may take before the connection is given up; 5 s by default.
    pub response_timeout: Duration,
    /// For queues that [`ConnectOptions::queues`] does not name.
    pub defaults: QueueSettings,
    /// For single queues.
    pub queues: HashMap<QueueName, QueueSettings>,
}

impl ConnectOptions {
    /// All defaults, on this Redis.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: SecretString::from(url.into()),
            prefix: "tokenfleet".to_owned(),
            client_name: "tokenfleet".to_owned(),
            response_timeout: Duration::from_secs(5),
            defaults: QueueSettings::default(),
            queues: HashMap::new(),
        }
    }

    /// Another first part of every key.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Other settings for queues that have none of their own.
    #[must_use]
    pub fn defaults(mut self, settings: QueueSettings) -> Self {
        self.defaults = settings;
        self
    }
}

/// What one queue is like. All processes that use a queue must agree on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// After how long without a sign of life another worker takes a running job over; 30 s.
    pub lease: Duration,
    /// Ended jobs kept per tenant; 10.
    pub keep_completed: u32,
    /// Failed and cancelled jobs kept per tenant; 50.
    pub keep_failed: u32,
    /// Entries kept of the stream that [`Queue::watch`](crate::Queue::watch) reads, each of which
    /// tells of all that one call did; 0 forbids it; 256. Nothing is written while nobody watches.
    pub keep_events: u32,
    /// Ended jobs older than this are dropped even if few; 7 days.
    pub keep_for: Duration,
    /// Tries of a job that does not say itself, 1–255; 3.
    pub max_attempts: u32,
    /// Upper end of the pause after the first try; doubles with each; 2 s.
    pub backoff_base: Duration,
    /// Upper end of every pause; 5 min.
    pub backoff_cap: Duration,
    /// A job that cost its worker the lease this often is poison; 3.
    pub poison_after: u32,
    /// Largest payload, in bytes; 4 KiB.
    pub payload_cap: usize,
    /// An idle worker looks after this long even if nothing woke it; 4 s.
    pub safety_poll: Duration,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            keep_completed: 10,
            keep_failed: 50,
            keep_events: 256,
            keep_for: Duration::from_hours(7 * 24),
            max_attempts: 3,
            backoff_base: Duration::from_secs(2),
            backoff_cap: Duration::from_mins(5),
            poison_after: 3,
            payload_cap: 4096,
            safety_poll: Duration::from_secs(4),
        }
    }
}

impl QueueSettings {
    /// What all workers of a queue must agree on, for people.
    pub(crate) fn common(&self) -> String {
        format!(
            "lease {:?}, kept {} completed and {} failed for {:?}, {} events, poison after {}",
            self.lease,
            self.keep_completed,
            self.keep_failed,
            self.keep_for,
            self.keep_events,
            self.poison_after
        )
    }

    /// A random pause after a try, the first being 1: exponential with full jitter.
    pub(crate) fn pause_after(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let ceiling = self
            .backoff_base
            .saturating_mul(1 << doublings)
            .min(self.backoff_cap);
        let millis = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(rand::rng().random_range(0..=millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_never_exceeds_its_ceiling() {
        let settings = QueueSettings::default();

        for _ in 0..200 {
            assert!(settings.pause_after(1) <= Duration::from_secs(2));
            assert!(settings.pause_after(3) <= Duration::from_secs(8));
            assert!(settings.pause_after(u32::MAX) <= Duration::from_mins(5));
        }
    }

    #[test]
    fn the_address_with_its_password_is_not_shown() {
        let options = ConnectOptions::new("redis://:hunter2@localhost");

        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
