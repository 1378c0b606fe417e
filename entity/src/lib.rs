//! The tables as `SeaORM` models, one file per table: no queries, no logic.
//!
//! Instants are milliseconds since the Unix epoch in UTC (`_at`, `_until`),
//! ids are UUIDs, structured text is JSON. What a column means is said here;
//! what may stand in it is decided by `store`, the only crate that writes.

pub mod attempts;
pub mod batches;
pub mod channels;
pub mod counters;
pub mod events;
pub mod master_keys;
pub mod processes;
pub mod schedules;
pub mod tenants;
