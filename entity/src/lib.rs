//! The tables as `SeaORM` models, one file per table: no queries, no logic.
//!
//! Instants are milliseconds since the Unix epoch in UTC (`_at`, `_until`),
//! ids are UUIDs, structured text is JSON. What a column means is said here;
//! what may stand in it is decided by `store`, the only crate that writes.

pub mod attempts;
pub mod audit_log;
pub mod batches;
pub mod channels;
pub mod counters;
pub mod events;
pub mod expiry_notices;
pub mod invitations;
pub mod master_keys;
pub mod processes;
pub mod refresh_tokens;
pub mod schedules;
pub mod service_tokens;
pub mod sessions;
pub mod tenants;
pub mod users;
pub mod webhook_deliveries;
pub mod webhook_endpoints;
