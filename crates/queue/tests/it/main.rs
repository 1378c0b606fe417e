//! The queue on a real Redis.

mod control;
mod faults;
mod listing;
mod model;
mod push;
mod regression;
mod retention;
#[path = "../../../testkit/src/redis.rs"]
mod server;
mod support;
mod turns;
mod waiting;
mod worker;
