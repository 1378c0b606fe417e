//! The client against a real API, on both databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

extern crate tokenfleet_client as client;

mod front;
mod resources;
mod session;
mod token_source;
mod world;
