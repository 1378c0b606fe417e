//! The API over HTTP, on both databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

extern crate tokenfleet_api as api;

mod bad_input;
mod batches;
mod channels;
mod figures;
mod fleet;
mod jobs;
mod probes;
mod refresh;
mod schedules;
mod stub_worker;
mod tenants;
mod world;
