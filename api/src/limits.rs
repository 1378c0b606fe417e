//! The sizes and times that bound a request.

use std::time::Duration;

/// The largest body, in bytes: 1 MiB.
pub(crate) const BODY_MAX: usize = 1 << 20;

/// Largest page of a list.
pub(crate) const PAGE_MAX: i64 = 200;

/// Size of a page when none is asked for.
pub(crate) const PAGE_DEFAULT: u32 = 50;

/// Longest `wait`, in seconds.
pub(crate) const WAIT_MAX_SECS: i64 = 60;

/// `wait` when none is given, in seconds.
pub(crate) const WAIT_DEFAULT_SECS: i64 = 30;

/// Most channels named in one batch.
pub(crate) const BATCH_MAX: usize = 1000;

/// Longest delay of "refresh later" and largest window of S2.3, in minutes: a year.
pub(crate) const MINUTES_MAX: i64 = 525_600;

/// Largest window of the freshness figures, in hours.
pub(crate) const HOURS_MAX: i64 = 24;

/// Longest margin of a token that counts as valid, in minutes: a day.
pub(crate) const MARGIN_MAX_MINUTES: i64 = 1440;

/// How far a forecast looks ahead at most, in days.
pub(crate) const DAYS_MAX: i64 = 90;

/// How long a token that is asked for must live when the caller does not say, in seconds.
pub(crate) const MIN_TTL_DEFAULT_SECS: i64 = 60;

/// Longest life that a caller may ask for, in seconds: a day.
pub(crate) const MIN_TTL_MAX_SECS: i64 = 86_400;

/// Most tokens of one batch.
pub(crate) const TOKENS_MAX: usize = 200;

/// How long the end of the process waits for answers that are under way.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
