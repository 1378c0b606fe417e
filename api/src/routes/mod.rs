//! Every address of the API, as a table; one file per resource.

mod attempts;
mod audit;
mod auth;
mod batches;
mod breakers;
mod channels;
mod connect;
mod connect_links;
mod credentials;
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
mod tenants;
mod tokens;
mod users;
mod webhooks;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use domain::RefreshResult;
use http::{Method, StatusCode};
use tower_http::catch_panic::CatchPanicLayer;

use self::people::PersonView;
use crate::access::Right;
use crate::limits::BODY_MAX;
use crate::table::Table;
use crate::tokens::TokenView;
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
        .and(of_connecting())
        .and(of_browsers())
        .and(of_facturify())
        .and(of_jobs())
        .and(of_webhooks())
        .and(of_queues())
        .and(of_breakers())
}

fn of_everybody() -> Table {
    Table::default()
        .open(Method::GET, "/", probes::home)
        .says("Says what this is, and where to look.")
        .shows(StatusCode::OK, Some("text/plain"))
        .open(Method::GET, "/livez", probes::livez)
        .says("Answers as long as the process runs.")
        .open(Method::GET, "/readyz", probes::readyz)
        .says("Tells whether the process can do its work, part by part.")
        .answers::<probes::Readiness>(StatusCode::OK)
        .answers::<probes::Readiness>(StatusCode::SERVICE_UNAVAILABLE)
        .open(Method::GET, "/openapi.json", docs::document)
        .says("Shows this document.")
        .shows(StatusCode::OK, Some("application/json"))
        .open(Method::GET, "/docs", docs::page)
        .says("Shows this document to people, who can try it out.")
        .shows(StatusCode::OK, Some("text/html"))
        .open(Method::GET, "/docs/start.js", docs::start)
        .says("Starts that page.")
        .shows(StatusCode::OK, Some("text/javascript"))
        .open(Method::GET, "/docs/swagger-ui-bundle.js", docs::script)
        .says("The script of that page.")
        .shows(StatusCode::OK, Some("text/javascript"))
        .open(Method::GET, "/docs/swagger-ui.css", docs::style)
        .says("The style sheet of that page.")
        .shows(StatusCode::OK, Some("text/css"))
}

/// The seeds call them by two prefixes.
fn of_sessions(prefix: &'static str) -> Table {
    Table::under(prefix)
        .open(Method::POST, "/register", register::register)
        .strictly()
        .says("Registers a person with a tenant of its own; the first one is platform admin.")
        .answers::<PersonView>(StatusCode::CREATED)
        .refuses(StatusCode::FORBIDDEN, "Registration is closed.")
        .refuses(StatusCode::CONFLICT, "Somebody has registered with it.")
        .open(Method::POST, "/accept-invitation", register::accept)
        .strictly()
        .says("Makes the person that an invitation is for.")
        .answers::<PersonView>(StatusCode::CREATED)
        .refuses(StatusCode::NOT_FOUND, "It is unknown, expired or accepted.")
        .refuses(StatusCode::CONFLICT, "Somebody has registered with it.")
        .open(Method::POST, "/login", auth::login)
        .strictly()
        .says("Logs a person in.")
        .refuses(StatusCode::UNAUTHORIZED, "Address or password is wrong.")
        .refuses(StatusCode::FORBIDDEN, "The account is disabled.")
        .open(Method::POST, "/refresh", auth::refresh)
        .strictly_if_failed()
        .says("Spends a refresh token, in the query or the body, for a new pair.")
        .refuses(StatusCode::UNAUTHORIZED, "Log in again.")
        .open(Method::POST, "/logout", auth::logout)
        .reads_bearer()
        .says("Ends the log-in of the refresh token, else of the bearer token.")
        .refuses(StatusCode::UNAUTHORIZED, "Neither token is valid.")
        .refuses(
            StatusCode::FORBIDDEN,
            "Only a person's log-in can be ended.",
        )
        .open(Method::POST, "/service-token/refresh", auth::service_access)
        .strictly_if_failed()
        .reads_bearer()
        .says("Makes an access token from the service token that is the bearer token.")
        .refuses(StatusCode::UNAUTHORIZED, "The service token is not valid.")
}

fn of_people() -> Table {
    use Right::{Manage, Oneself, Person};
    const USERS: &str = "/tenants/{tenant}/users";
    const USER: &str = "/tenants/{tenant}/users/{user}";
    const INVITATIONS: &str = "/tenants/{tenant}/invitations";
    const OWN_RIGHTS: &str = "Nobody changes his own rights.";
    const INVITATION: &str = "/tenants/{tenant}/invitations/{invitation}";

    Table::under("/api/v1")
        .get("/me", Oneself, me::show)
        .says("Says who you are.")
        .post("/me/password", Person, None, me::password)
        .strictly()
        .says("Changes your password and ends all other log-ins.")
        .get(USERS, Manage, users::list)
        .says("Lists the people of a tenant.")
        .post(USERS, Manage, None, invitations::create)
        .says("Invites somebody; the token is shown this once.")
        .answers::<invitations::Invited>(StatusCode::CREATED)
        .refuses(StatusCode::CONFLICT, "Somebody has registered with it.")
        .patch(USER, Manage, None, users::patch)
        .says("Changes a person's name or rights.")
        .refuses(StatusCode::CONFLICT, OWN_RIGHTS)
        .delete(USER, Manage, None, users::delete)
        .says("Takes a person away, with all log-ins.")
        .refuses(StatusCode::CONFLICT, OWN_RIGHTS)
        .get(INVITATIONS, Manage, invitations::list)
        .says("Lists the invitations that can be accepted.")
        .delete(INVITATION, Manage, None, invitations::withdraw)
        .says("Takes an invitation back.")
        .get("/audit", Manage, audit::list)
        .says("Lists who changed what, the newest first.")
        .refuses(StatusCode::NOT_FOUND, "There is no such tenant.")
}

fn of_service_tokens() -> Table {
    use Right::Manage;

    Table::under("/api/v1/service-tokens")
        .get("", Manage, service_tokens::list)
        .says("Lists the service tokens of a tenant, without their texts.")
        .refuses(StatusCode::NOT_FOUND, "There is no such tenant.")
        .post("", Manage, None, service_tokens::create)
        .says("Makes a service token; its text is shown this once.")
        .answers::<service_tokens::Created>(StatusCode::CREATED)
        .refuses(StatusCode::NOT_FOUND, "There is no such tenant.")
        .delete("/{service_token}", Manage, None, service_tokens::revoke)
        .says("Revokes a service token, and the access tokens made from it.")
}

fn of_tenants() -> Table {
    use Right::{Platform, ReadChannels, Refresh};
    const TENANT: &str = "/{tenant}";
    const SCHEDULE: &str = "/{tenant}/schedule";
    const DELETE_SCHEDULE: Option<&str> = Some("schedule.delete");
    const STATISTICS: &str = "/{tenant}/refresh/statistics";

    Table::under("/api/v1/tenants")
        .get("", Platform, tenants::list)
        .says("Lists tenants.")
        .post("", Platform, Some("tenant.create"), tenants::create)
        .says("Makes a tenant.")
        .refuses(StatusCode::CONFLICT, "The id is taken.")
        .get(TENANT, ReadChannels, tenants::show)
        .says("Shows a tenant.")
        .delete(TENANT, Platform, Some("tenant.delete"), tenants::delete)
        .refuses(StatusCode::CONFLICT, "It is the built-in one, or your own.")
        .says("Deletes a tenant with all its channels.")
        .get(SCHEDULE, ReadChannels, schedules::show)
        .says("Shows the recurring refresh of a tenant.")
        .put(SCHEDULE, Refresh, Some("schedule.put"), schedules::put)
        .says("Makes or changes the recurring refresh; the same twice changes nothing.")
        .delete(SCHEDULE, Refresh, DELETE_SCHEDULE, schedules::delete)
        .says("Cancels the recurring refresh.")
        .get(STATISTICS, ReadChannels, figures::statistics)
        .says("Shows a tenant's channels in figures.")
}

fn of_channels() -> Table {
    use Right::{EditChannels, ReadChannels, Refresh, WriteChannels};
    const CHANNEL: &str = "/{channel}";
    const NOW: &str = "/{channel}/refresh";
    const LATER: &str = "/{channel}/refresh/schedule";
    const CHANGED: Option<&str> = Some("channel.change");
    const DELETED: Option<&str> = Some("channel.delete");
    const REFRESHED: Option<&str> = Some("channel.refresh");
    const POSTPONED: Option<&str> = Some("channel.refresh_later");
    const NOT_REFRESHED: &str = "The channel is paused, or only a person can fix it.";

    Table::under("/api/v1/tenants/{tenant}/channels")
        .get("", ReadChannels, channels::list)
        .says("Lists the channels of a tenant.")
        .post("", WriteChannels, Some("channel.import"), imports::import)
        .says("Imports a channel with its credentials, which no answer ever shows.")
        .refuses(StatusCode::CONFLICT, "The id is taken.")
        .get("/needing-refresh", ReadChannels, expiring::list)
        .says("Lists the channels that need a refresh, those that end first in front.")
        .post("/refresh", Refresh, REFRESHED, batches::refresh_many)
        .says("Refreshes many channels, or all that need it, and waits for them.")
        .answers::<batches::BatchView>(StatusCode::OK)
        .answers::<batches::Accepted>(StatusCode::ACCEPTED)
        .get(CHANNEL, ReadChannels, channels::show)
        .says("Shows a channel.")
        .patch(CHANNEL, EditChannels, CHANGED, channels::patch)
        .says("Renames, pauses or resumes a channel.")
        .delete(CHANNEL, WriteChannels, DELETED, channels::delete)
        .says("Deletes a channel.")
        .post(NOW, Refresh, REFRESHED, refresh::refresh_now)
        .says("Refreshes a channel now and waits for it.")
        .answers::<RefreshResult>(StatusCode::OK)
        .answers::<refresh::Accepted>(StatusCode::ACCEPTED)
        .refuses(StatusCode::CONFLICT, NOT_REFRESHED)
        .post(LATER, Refresh, POSTPONED, refresh::refresh_later)
        .says("Refreshes a channel later.")
        .refuses(StatusCode::CONFLICT, NOT_REFRESHED)
        .get("/{channel}/attempts", ReadChannels, attempts::list)
        .says("Lists what was tried for a channel, newest first.")
}

fn of_tokens() -> Table {
    use Right::{Oneself, ReadTokens};
    const TOKEN: &str = "/api/v1/tenants/{tenant}/channels/{channel}/token";
    const MANY: &str = "/api/v1/tenants/{tenant}/channels/tokens";
    const REPORT: &str = "/api/v1/tenants/{tenant}/channels/{channel}/token/report";
    const REPORTED: Option<&str> = Some("token.report");
    const NO_TOKEN: &str = "No token lives, and only a person can help.";

    Table::under("")
        .get(TOKEN, ReadTokens, tokens::show)
        .says("Gives a valid token of a channel, refreshed first if needed.")
        .answers::<TokenView>(StatusCode::OK)
        .shows(StatusCode::NOT_MODIFIED, None)
        .refuses(StatusCode::CONFLICT, NO_TOKEN)
        .post(MANY, ReadTokens, None, tokens::show_many)
        .says("Gives valid tokens of many channels.")
        .post(REPORT, ReadTokens, REPORTED, tokens::report)
        .says("Takes your word that a token does not work, and refreshes it once.")
        .answers::<tokens::Reported>(StatusCode::OK)
        .answers::<tokens::Reported>(StatusCode::ACCEPTED)
        .refuses(StatusCode::CONFLICT, NO_TOKEN)
        .post("/token/create", Oneself, None, one_time::create)
        .says("Makes a token that is good once, within seconds.")
        .post("/token/validate", Oneself, None, one_time::validate)
        .says("Uses such a token up.")
        .refuses(StatusCode::NOT_FOUND, "It is unknown, used or expired.")
}

fn of_connecting() -> Table {
    use Right::{Connect, ReadChannels, WriteChannels};
    const LINKS: &str = "/connect-links";
    const ACCOUNT: &str = "/channels/{channel}/new-account";
    const CONFIRM: &str = "/channels/{channel}/new-account/confirm";
    const MADE: Option<&str> = Some("connect_link.create");
    const CONFIRMED: Option<&str> = Some("channel.confirm_account");
    const REFUSED: Option<&str> = Some("channel.refuse_account");

    Table::under("/api/v1/tenants/{tenant}")
        .post(LINKS, Connect, MADE, connect_links::create)
        .says("Makes a link with which one person connects an account, or a channel again.")
        .answers::<connect_links::LinkView>(StatusCode::CREATED)
        .refuses(
            StatusCode::CONFLICT,
            "The id is taken, or the provider or this server is not set up for it.",
        )
        .get(ACCOUNT, ReadChannels, new_accounts::show)
        .says("Shows an account that was connected again and waits for an owner's word.")
        .post(CONFIRM, WriteChannels, CONFIRMED, new_accounts::confirm)
        .says("Says that it is the account of the channel, which gets its credentials.")
        .refuses(StatusCode::CONFLICT, "It is another one by now.")
        .delete(ACCOUNT, WriteChannels, REFUSED, new_accounts::refuse)
        .says("Says that it is not, and forgets it.")
}

/// Pages for the people who connect accounts.
fn of_browsers() -> Table {
    const HTML: Option<&str> = Some("text/html");
    const START: &str = "/connect/{provider}";
    const TOO_MANY: &str = "Too many links that do not work were opened from this address.";
    const AWAY: &str = "Redis or the database is away for the moment.";

    Table::default()
        .open(Method::GET, START, connect::ask)
        .strictly_if_failed()
        .says("Shows who asks for an account to be connected; nothing is used up.")
        .shows(StatusCode::OK, HTML)
        .shows(StatusCode::NOT_FOUND, HTML)
        .refuses(StatusCode::TOO_MANY_REQUESTS, TOO_MANY)
        .refuses(StatusCode::SERVICE_UNAVAILABLE, AWAY)
        .open(Method::POST, START, connect::go)
        .strictly_if_failed()
        .says("Uses the link up and sends the browser to the provider.")
        .shows(StatusCode::SEE_OTHER, None)
        .shows(StatusCode::FORBIDDEN, HTML)
        .shows(StatusCode::NOT_FOUND, HTML)
        .shows(StatusCode::BAD_GATEWAY, HTML)
        .open(Method::GET, "/connect/callback", connect::back)
        .strictly_if_failed()
        .says("Takes the browser back from the provider, and stores what it brings.")
        .shows(StatusCode::OK, HTML)
        .shows(StatusCode::ACCEPTED, HTML)
        .shows(StatusCode::FORBIDDEN, HTML)
        .shows(StatusCode::NOT_FOUND, HTML)
        .shows(StatusCode::CONFLICT, HTML)
        .shows(StatusCode::BAD_GATEWAY, HTML)
        .refuses(StatusCode::TOO_MANY_REQUESTS, TOO_MANY)
        .refuses(StatusCode::SERVICE_UNAVAILABLE, AWAY)
}

fn of_facturify() -> Table {
    use Right::Facturify;
    const OBTAINED: Option<&str> = Some("facturify.obtain");
    const REFRESHED: Option<&str> = Some("facturify.refresh");
    const NO_ACCOUNT: &str = "The platform has no Facturify account.";
    const REFUSED: &str = "Facturify refused; `provider_status` is its status.";

    Table::under("/api/v1/facturify/auth/token")
        .get("", Facturify, facturify::show)
        .says("Gives a valid token of the platform's Facturify account.")
        .refuses(StatusCode::CONFLICT, NO_ACCOUNT)
        .refuses(StatusCode::BAD_GATEWAY, REFUSED)
        .post("", Facturify, OBTAINED, facturify::obtain)
        .says("Obtains a new token of the platform's Facturify account.")
        .refuses(StatusCode::CONFLICT, NO_ACCOUNT)
        .refuses(StatusCode::BAD_GATEWAY, REFUSED)
        .post("/refresh", Facturify, REFRESHED, facturify::refresh)
        .says("Refreshes the token of the platform's Facturify account.")
        .refuses(StatusCode::CONFLICT, NO_ACCOUNT)
        .refuses(StatusCode::BAD_GATEWAY, REFUSED)
        .get("/status", Facturify, facturify::status)
        .says("Tells the state of that token without asking Facturify.")
        .refuses(StatusCode::CONFLICT, NO_ACCOUNT)
}

fn of_jobs() -> Table {
    use Right::{Platform, ReadJobs, WriteJobs};
    const OF_TENANT: &str = "/tenants/{tenant}/jobs";
    const STATUS_OF_TENANT: &str = "/tenants/{tenant}/jobs/status";
    const RETRY: &str = "/jobs/{job}/retry";
    const PROMOTE: &str = "/jobs/{job}/promote";
    const CANCEL_ALL: &str = "/tenants/{tenant}/jobs/cancel";
    const RETRY_ALL: &str = "/tenants/{tenant}/jobs/retry";
    const PROMOTE_ALL: &str = "/tenants/{tenant}/jobs/promote";
    const EVENTS_OF_TENANT: &str = "/tenants/{tenant}/jobs/events";
    const NO_QUEUE: &str = "There is no such queue.";
    const CANCELLED: Option<&str> = Some("job.cancel");
    const CANCELLED_ALL: Option<&str> = Some("job.cancel_all");
    const RETRIED: Option<&str> = Some("job.retry");
    const RETRIED_ALL: Option<&str> = Some("job.retry_all");
    const PROMOTED: Option<&str> = Some("job.promote");
    const PROMOTED_ALL: Option<&str> = Some("job.promote_all");

    Table::under("/api/v1")
        .get(OF_TENANT, ReadJobs, job_list::of_tenant)
        .says("Lists the jobs of a tenant: live ones, then the last that ended.")
        .get(STATUS_OF_TENANT, ReadJobs, figures::of_tenant)
        .says("Counts the refresh jobs of a tenant by state.")
        .get("/jobs", Platform, job_list::of_platform)
        .says("Lists the jobs of all tenants.")
        .refuses(StatusCode::NOT_FOUND, NO_QUEUE)
        .get("/jobs/status", Platform, figures::of_platform)
        .says("Counts the refresh jobs of all tenants by state.")
        .get(EVENTS_OF_TENANT, ReadJobs, job_events::of_tenant)
        .says("Tells what happens to the jobs of a tenant, as it happens (Server-Sent Events).")
        .streams(job_events::EXAMPLE)
        .get("/jobs/events", Platform, job_events::of_platform)
        .says("Tells what happens to the jobs of all tenants, as it happens (Server-Sent Events).")
        .refuses(StatusCode::NOT_FOUND, NO_QUEUE)
        .streams(job_events::EXAMPLE)
        .get("/jobs/{job}", ReadJobs, jobs::show)
        .says("Shows a job with its attempts.")
        .delete("/jobs/{job}", WriteJobs, CANCELLED, jobs::cancel)
        .says("Cancels a job: at once, or when the worker that runs it can.")
        .answers::<jobs::Cancelled>(StatusCode::OK)
        .answers::<jobs::Cancelled>(StatusCode::ACCEPTED)
        .refuses(
            StatusCode::CONFLICT,
            "It has ended, or belongs to a schedule.",
        )
        .post(RETRY, WriteJobs, RETRIED, jobs::retry)
        .says("Does the work of a failed or cancelled job again.")
        .answers::<jobs::Retried>(StatusCode::ACCEPTED)
        .refuses(StatusCode::CONFLICT, "It lives, or did not fail.")
        .post(PROMOTE, WriteJobs, PROMOTED, job_bulk::promote)
        .says("Moves a delayed job to now, but never before a time that its provider set.")
        .refuses(StatusCode::CONFLICT, "It is not delayed.")
        .post(CANCEL_ALL, WriteJobs, CANCELLED_ALL, job_bulk::cancel_all)
        .says("Cancels all jobs of a tenant that match.")
        .post(RETRY_ALL, WriteJobs, RETRIED_ALL, job_bulk::retry_all)
        .says("Does the work of all failed jobs of a tenant that match again.")
        .post(PROMOTE_ALL, WriteJobs, PROMOTED_ALL, job_bulk::promote_all)
        .says("Moves all delayed jobs of a tenant that match to now.")
        .get("/batches/{batch}", ReadJobs, batches::show)
        .says("Shows a batch as far as it has come.")
}

fn of_webhooks() -> Table {
    use Right::Manage;
    const WEBHOOK: &str = "/{webhook}";
    const REPLAY: &str = "/{webhook}/replay";
    const CREATED: Option<&str> = Some("webhook.create");
    const DELETED: Option<&str> = Some("webhook.delete");
    const REPLAYED: Option<&str> = Some("webhook.replay");

    Table::under("/api/v1/tenants/{tenant}/webhooks")
        .get("", Manage, webhooks::list)
        .says("Lists the webhooks of a tenant.")
        .post("", Manage, CREATED, webhooks::create)
        .says("Makes a webhook; its secret is shown this once.")
        .answers::<webhooks::CreatedView>(StatusCode::CREATED)
        .refuses(StatusCode::CONFLICT, "The tenant has as many as it may.")
        .get(WEBHOOK, Manage, webhooks::show)
        .says("Shows a webhook.")
        .delete(WEBHOOK, Manage, DELETED, webhooks::delete)
        .says("Deletes a webhook with what waits for it.")
        .post(REPLAY, Manage, REPLAYED, webhooks::replay)
        .says("Tells again what happened since then.")
        .answers::<webhooks::ReplayView>(StatusCode::ACCEPTED)
}

fn of_breakers() -> Table {
    use Right::Platform;
    const RESET: Option<&str> = Some("breaker.reset");

    Table::under("/api/v1/breakers")
        .get("", Platform, breakers::list)
        .says("Lists the apps that the fleet calls, and which of them it leaves alone.")
        .delete("/{fingerprint}", Platform, RESET, breakers::reset)
        .says("Forgets what is known of an app: its breaker closes at once.")
}

fn of_queues() -> Table {
    use Right::Platform;
    const QUEUE: &str = "/{queue}";
    const OF_TENANT: &str = "/{queue}/tenants/{tenant}/limits";
    const LIMIT: Option<&str> = Some("queue.limit");

    Table::under("/api/v1/queues")
        .get("", Platform, queues::list)
        .says("Lists all queues with their limits.")
        .get(QUEUE, Platform, queues::show)
        .says("Shows a queue.")
        .patch("/{queue}/limits", Platform, LIMIT, queues::limit)
        .says("Changes the limits of a queue.")
        .get(OF_TENANT, Platform, queues::limits_of_tenant)
        .says("Shows the limits of a tenant in a queue.")
        .patch(OF_TENANT, Platform, LIMIT, queues::limit_tenant)
        .says("Changes the limits of a tenant in a queue.")
        .post("/{queue}/heal", Platform, Some("queue.heal"), queues::heal)
        .says("Looks a queue over for damage, and mends it.")
        .post("/{queue}/purge", Platform, None, queue_purge::purge)
        .says("Removes jobs of a queue without a trace; what is due comes back.")
}
