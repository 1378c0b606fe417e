//! The API over HTTP, on both databases.

mod bad_input;
mod batches;
mod channels;
mod figures;
mod jobs;
mod probes;
mod refresh;
mod schedules;
mod stub_worker;
mod tenants;
mod world;
