//! Shared values on a real Redis.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers of tests unwrap is the test's failure"
)]

mod answers;
mod away;
mod budgets;
mod deposits;
mod limits;
mod marks;
mod one_time;
mod slips;
mod support;
mod topology;
