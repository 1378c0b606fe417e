//! One suite for both databases: every rule of the store holds on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

extern crate tokenfleet_store as store;

mod changes;
mod channels;
mod due;
mod escrow;
mod figures;
mod finish;
mod fleet;
mod history;
mod keys;
mod lease;
mod model;
mod outlook;
mod people;
mod plans;
mod schedules;
mod schema;
mod tenants;
mod upgrade;
mod webhooks;
