//! The table of all addresses, put together.

mod channels;
mod operation;
mod people;

use crate::table::Table;

/// Every address with what it needs, and with what the audit log calls its changes.
pub(crate) fn table() -> Table {
    people::of_everybody()
        .and(people::of_sessions("/auth"))
        .and(people::of_sessions("/api/auth"))
        .and(people::of_people())
        .and(people::of_service_tokens())
        .and(channels::of_tenants())
        .and(channels::of_channels())
        .and(channels::of_tokens())
        .and(channels::of_connecting())
        .and(channels::of_browsers())
        .and(channels::of_facturify())
        .and(operation::of_jobs())
        .and(operation::of_webhooks())
        .and(operation::of_queues())
        .and(operation::of_breakers())
        .and(operation::of_all_channels())
        .and(operation::of_stats())
}
