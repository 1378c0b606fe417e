//! The scheduler on real databases and a real Redis.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers of tests unwrap is the test's failure"
)]

mod schedules;
