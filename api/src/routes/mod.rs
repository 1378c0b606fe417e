//! The handlers, one file per resource; `addresses` has the table of them all.

mod addresses;
mod attempts;
mod audit;
mod auth;
mod batches;
mod breakers;
mod channels;
mod connect;
mod connect_links;
mod credentials;
mod dashboard;
mod docs;
mod expiring;
mod facturify;
mod figures;
pub(crate) mod imports;
mod invitations;
mod job_bulk;
mod job_events;
mod job_list;
mod job_pages;
mod job_view;
mod jobs;
mod me;
mod metrics;
mod new_accounts;
mod one_time;
mod people;
mod probes;
mod queue_purge;
mod queues;
mod refresh;
mod register;
mod schedules;
mod service_tokens;
mod stats;
mod tenants;
mod tokens;
mod users;
mod webhooks;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::addresses::table;
use crate::limits::BODY_MAX;
use crate::{App, cors, guard, origin};

/// Channel ids that addresses of the table below would shadow.
pub(crate) const RESERVED_CHANNELS: [&str; 3] = ["refresh", "needing-refresh", "tokens"];

/// The whole API. What a request passes first stands last.
pub(crate) fn all(app: App) -> Router {
    let router = table()
        .into_router(&app)
        .fallback(guard::unknown_address)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(guard::bound_body))
        .layer(from_fn_with_state(app.clone(), guard::bound_time))
        .layer(CatchPanicLayer::custom(guard::panicked))
        .layer(from_fn(guard::log));
    cors::open_to(&app.settings.cors_origins, router)
        .layer(from_fn(guard::harden))
        .layer(from_fn_with_state(app.clone(), origin::note))
        .with_state(app)
}
