//! Every address of the API, as a table; one file per resource.

mod attempts;
mod audit;
mod auth;
mod batches;
mod channels;
mod expiring;
mod facturify;
mod figures;
pub(crate) mod imports;
mod invitations;
mod job_bulk;
mod job_list;
mod job_pages;
mod job_view;
mod jobs;
mod me;
mod one_time;
mod people;
mod probes;
mod queues;
mod refresh;
mod register;
mod schedules;
mod service_tokens;
mod tenants;
mod tokens;
mod users;
mod webhooks;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use http::Method;
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::Right;
use crate::limits::BODY_MAX;
use crate::table::Table;
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

/// Every address with what it needs, and with what the audit log calls its changes.
pub(crate) fn table() -> Table {
    of_everybody()
        .and(of_sessions("/auth"))
        .and(of_sessions("/api/auth"))
        .and(of_people())
        .and(of_service_tokens())
        .and(of_tenants())
        .and(of_channels())
        .and(of_tokens())
        .and(of_facturify())
        .and(of_jobs())
        .and(of_webhooks())
        .and(of_queues())
}

fn of_everybody() -> Table {
    Table::default()
        .open(Method::GET, "/", probes::home)
        .open(Method::GET, "/livez", probes::livez)
        .open(Method::GET, "/readyz", probes::readyz)
}

/// The seeds call them by two prefixes.
fn of_sessions(prefix: &'static str) -> Table {
    Table::under(prefix)
        .open(Method::POST, "/register", register::register)
        .strictly()
        .open(Method::POST, "/accept-invitation", register::accept)
        .strictly()
        .open(Method::POST, "/login", auth::login)
        .strictly()
        .open(Method::POST, "/refresh", auth::refresh)
        .strictly_if_failed()
        .open(Method::POST, "/logout", auth::logout)
        .open(Method::POST, "/service-token/refresh", auth::service_access)
        .strictly_if_failed()
}

fn of_people() -> Table {
    use Right::{Manage, Oneself, Person};
    const USERS: &str = "/tenants/{tenant}/users";
    const USER: &str = "/tenants/{tenant}/users/{user}";
    const INVITATIONS: &str = "/tenants/{tenant}/invitations";
    const INVITATION: &str = "/tenants/{tenant}/invitations/{invitation}";

    Table::under("/api/v1")
        .get("/me", Oneself, me::show)
        .post("/me/password", Person, None, me::password)
        .strictly()
        .get(USERS, Manage, users::list)
        .post(USERS, Manage, None, invitations::create)
        .patch(USER, Manage, None, users::patch)
        .delete(USER, Manage, None, users::delete)
        .get(INVITATIONS, Manage, invitations::list)
        .delete(INVITATION, Manage, None, invitations::withdraw)
        .get("/audit", Manage, audit::list)
}

fn of_service_tokens() -> Table {
    use Right::Manage;

    Table::under("/api/v1/service-tokens")
        .get("", Manage, service_tokens::list)
        .post("", Manage, None, service_tokens::create)
        .delete("/{service_token}", Manage, None, service_tokens::revoke)
}

fn of_tenants() -> Table {
    use Right::{Platform, ReadChannels, Refresh};
    const TENANT: &str = "/{tenant}";
    const SCHEDULE: &str = "/{tenant}/schedule";

    Table::under("/api/v1/tenants")
        .get("", Platform, tenants::list)
        .post("", Platform, Some("tenant.create"), tenants::create)
        .get(TENANT, ReadChannels, tenants::show)
        .delete(TENANT, Platform, Some("tenant.delete"), tenants::delete)
        .get(SCHEDULE, ReadChannels, schedules::show)
        .put(SCHEDULE, Refresh, Some("schedule.put"), schedules::put)
        .delete(
            SCHEDULE,
            Refresh,
            Some("schedule.delete"),
            schedules::delete,
        )
        .get(
            "/{tenant}/refresh/statistics",
            ReadChannels,
            figures::statistics,
        )
}

fn of_channels() -> Table {
    use Right::{EditChannels, ReadChannels, Refresh, WriteChannels};
    const CHANNEL: &str = "/{channel}";
    const REFRESH: Option<&str> = Some("channel.refresh");
    const LATER: Option<&str> = Some("channel.refresh_later");

    Table::under("/api/v1/tenants/{tenant}/channels")
        .get("", ReadChannels, channels::list)
        .post("", WriteChannels, Some("channel.import"), imports::import)
        .get("/needing-refresh", ReadChannels, expiring::list)
        .post("/refresh", Refresh, REFRESH, batches::refresh_many)
        .get(CHANNEL, ReadChannels, channels::show)
        .patch(
            CHANNEL,
            EditChannels,
            Some("channel.change"),
            channels::patch,
        )
        .delete(
            CHANNEL,
            WriteChannels,
            Some("channel.delete"),
            channels::delete,
        )
        .post("/{channel}/refresh", Refresh, REFRESH, refresh::refresh_now)
        .post(
            "/{channel}/refresh/schedule",
            Refresh,
            LATER,
            refresh::refresh_later,
        )
        .get("/{channel}/attempts", ReadChannels, attempts::list)
}

fn of_tokens() -> Table {
    use Right::{Oneself, ReadTokens};
    const REPORT: Option<&str> = Some("token.report");
    const CHANNELS: &str = "/api/v1/tenants/{tenant}/channels";

    Table::under("")
        .get(
            &format!("{CHANNELS}/{{channel}}/token"),
            ReadTokens,
            tokens::show,
        )
        .post(
            &format!("{CHANNELS}/tokens"),
            ReadTokens,
            None,
            tokens::show_many,
        )
        .post(
            &format!("{CHANNELS}/{{channel}}/token/report"),
            ReadTokens,
            REPORT,
            tokens::report,
        )
        .post("/token/create", Oneself, None, one_time::create)
        .post("/token/validate", Oneself, None, one_time::validate)
}

fn of_facturify() -> Table {
    use Right::Facturify;

    Table::under("/api/v1/facturify/auth/token")
        .get("", Facturify, facturify::show)
        .post("", Facturify, Some("facturify.obtain"), facturify::obtain)
        .post(
            "/refresh",
            Facturify,
            Some("facturify.refresh"),
            facturify::refresh,
        )
        .get("/status", Facturify, facturify::status)
}

fn of_jobs() -> Table {
    use Right::{Platform, ReadJobs, WriteJobs};

    Table::under("/api/v1")
        .get("/tenants/{tenant}/jobs", ReadJobs, job_list::of_tenant)
        .get(
            "/tenants/{tenant}/jobs/status",
            ReadJobs,
            figures::of_tenant,
        )
        .get("/jobs", Platform, job_list::of_platform)
        .get("/jobs/status", Platform, figures::of_platform)
        .get("/jobs/{job}", ReadJobs, jobs::show)
        .delete("/jobs/{job}", WriteJobs, Some("job.cancel"), jobs::cancel)
        .post(
            "/jobs/{job}/retry",
            WriteJobs,
            Some("job.retry"),
            jobs::retry,
        )
        .post(
            "/jobs/{job}/promote",
            WriteJobs,
            Some("job.promote"),
            job_bulk::promote,
        )
        .post(
            "/tenants/{tenant}/jobs/cancel",
            WriteJobs,
            Some("job.cancel_all"),
            job_bulk::cancel_all,
        )
        .post(
            "/tenants/{tenant}/jobs/retry",
            WriteJobs,
            Some("job.retry_all"),
            job_bulk::retry_all,
        )
        .post(
            "/tenants/{tenant}/jobs/promote",
            WriteJobs,
            Some("job.promote_all"),
            job_bulk::promote_all,
        )
        .get("/batches/{batch}", ReadJobs, batches::show)
}

fn of_webhooks() -> Table {
    use Right::Manage;
    const WEBHOOK: &str = "/{webhook}";

    Table::under("/api/v1/tenants/{tenant}/webhooks")
        .get("", Manage, webhooks::list)
        .post("", Manage, Some("webhook.create"), webhooks::create)
        .get(WEBHOOK, Manage, webhooks::show)
        .delete(WEBHOOK, Manage, Some("webhook.delete"), webhooks::delete)
        .post(
            "/{webhook}/replay",
            Manage,
            Some("webhook.replay"),
            webhooks::replay,
        )
}

fn of_queues() -> Table {
    use Right::Platform;
    const QUEUE: &str = "/{queue}";
    const OF_TENANT: &str = "/{queue}/tenants/{tenant}/limits";
    const LIMIT: Option<&str> = Some("queue.limit");

    Table::under("/api/v1/queues")
        .get("", Platform, queues::list)
        .get(QUEUE, Platform, queues::show)
        .patch("/{queue}/limits", Platform, LIMIT, queues::limit)
        .get(OF_TENANT, Platform, queues::limits_of_tenant)
        .patch(OF_TENANT, Platform, LIMIT, queues::limit_tenant)
        .post("/{queue}/heal", Platform, Some("queue.heal"), queues::heal)
}
