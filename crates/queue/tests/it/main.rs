//! The queue on a real Redis.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers of tests unwrap is the test's failure"
)]

mod control;
mod faults;
mod limits;
mod listing;
mod model;
mod processes;
mod push;
mod reference;
mod regression;
mod retention;
mod shapes;
mod slots;
mod stopping;
mod support;
mod topology;
mod turns;
mod waiting;
mod watching;
mod worker;
