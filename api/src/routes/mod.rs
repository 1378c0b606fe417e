//! Every address of the API, as a table; one file per resource.

mod attempts;
mod batches;
mod channels;
mod expiring;
mod figures;
mod imports;
mod job_list;
mod job_pages;
mod job_view;
mod jobs;
mod probes;
mod refresh;
mod schedules;
mod tenants;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::limits::BODY_MAX;
use crate::{App, caller, guard};

/// Channel ids that addresses of the table below would shadow.
pub(crate) const RESERVED_CHANNELS: [&str; 2] = ["refresh", "needing-refresh"];

/// The whole API. What a request passes first stands last.
pub(crate) fn all(app: App) -> Router {
    Router::new()
        .nest("/api/v1", guarded(&app))
        .route("/", get(probes::home))
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .fallback(guard::unknown_address)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(guard::bound_body))
        .layer(from_fn_with_state(app.clone(), guard::bound_time))
        .layer(CatchPanicLayer::custom(guard::panicked))
        .layer(from_fn(guard::log))
        .layer(from_fn(guard::harden))
        .with_state(app)
}

/// What needs a bearer token.
fn guarded(app: &App) -> Router<App> {
    Router::new()
        .merge(of_tenants())
        .merge(of_channels())
        .merge(of_jobs())
        .fallback(guard::unknown_address)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(from_fn_with_state(app.clone(), caller::authenticate))
}

fn of_tenants() -> Router<App> {
    Router::new()
        .route("/tenants", get(tenants::list).post(tenants::create))
        .route(
            "/tenants/{tenant}",
            get(tenants::show).delete(tenants::delete),
        )
        .route(
            "/tenants/{tenant}/schedule",
            get(schedules::show)
                .put(schedules::put)
                .delete(schedules::delete),
        )
        .route(
            "/tenants/{tenant}/refresh/statistics",
            get(figures::statistics),
        )
}

fn of_channels() -> Router<App> {
    Router::new()
        .route(
            "/tenants/{tenant}/channels",
            get(channels::list).post(imports::import),
        )
        .route(
            "/tenants/{tenant}/channels/needing-refresh",
            get(expiring::list),
        )
        .route(
            "/tenants/{tenant}/channels/refresh",
            post(batches::refresh_many),
        )
        .route(
            "/tenants/{tenant}/channels/{channel}",
            get(channels::show)
                .patch(channels::patch)
                .delete(channels::delete),
        )
        .route(
            "/tenants/{tenant}/channels/{channel}/refresh",
            post(refresh::refresh_now),
        )
        .route(
            "/tenants/{tenant}/channels/{channel}/refresh/schedule",
            post(refresh::refresh_later),
        )
        .route(
            "/tenants/{tenant}/channels/{channel}/attempts",
            get(attempts::list),
        )
}

fn of_jobs() -> Router<App> {
    Router::new()
        .route("/tenants/{tenant}/jobs", get(job_list::of_tenant))
        .route("/tenants/{tenant}/jobs/status", get(figures::of_tenant))
        .route("/jobs", get(job_list::of_platform))
        .route("/jobs/status", get(figures::of_platform))
        .route("/jobs/{job}", get(jobs::show).delete(jobs::cancel))
        .route("/jobs/{job}/retry", post(jobs::retry))
        .route("/batches/{batch}", get(batches::show))
}
