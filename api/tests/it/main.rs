//! The API over HTTP, on both databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

extern crate tokenfleet_api as api;

mod audit;
mod auth;
mod bad_input;
mod batches;
mod bounds;
mod breakers;
mod channels;
mod connect;
mod connect_again;
mod contract;
mod dashboard;
mod document;
mod facturify;
mod figures;
mod fleet;
mod guards;
mod jobs;
mod metrics;
mod one_time;
mod people;
mod probes;
mod queues;
mod refresh;
mod rights;
mod schedules;
mod service_tokens;
mod stats;
mod stub_worker;
mod tenants;
mod tokens;
mod users;
mod visitor;
mod watching;
mod webhooks;
mod world;
