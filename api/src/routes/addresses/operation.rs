//! Addresses of jobs, webhooks, queues, breakers, and of all tenants' channels.

use http::StatusCode;

use super::super::job_bulk::everywhere;
use super::super::{
    batches, breakers, channels, figures, job_bulk, job_events, job_list, jobs, queue_purge,
    queues, stats, webhooks,
};
use crate::access::Right;
use crate::table::Table;

pub(super) fn of_jobs() -> Table {
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
        .post("/jobs/cancel", Platform, CANCELLED_ALL, everywhere::cancel)
        .says("Cancels all jobs of all tenants that match.")
        .refuses(StatusCode::NOT_FOUND, NO_QUEUE)
        .post("/jobs/retry", Platform, RETRIED_ALL, everywhere::retry)
        .says("Does the work of all failed jobs of all tenants that match again.")
        .refuses(StatusCode::NOT_FOUND, NO_QUEUE)
        .post("/jobs/promote", Platform, PROMOTED_ALL, everywhere::promote)
        .says("Moves all delayed jobs of all tenants that match to now.")
        .refuses(StatusCode::NOT_FOUND, NO_QUEUE)
        .get("/batches/{batch}", ReadJobs, batches::show)
        .says("Shows a batch as far as it has come.")
}

pub(super) fn of_webhooks() -> Table {
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

pub(super) fn of_queues() -> Table {
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

pub(super) fn of_all_channels() -> Table {
    use Right::Platform;

    Table::under("/api/v1")
        .get("/channels", Platform, channels::of_platform)
        .says("Lists the channels of all tenants in one state.")
        .get(
            "/refresh/statistics",
            Platform,
            figures::statistics_of_platform,
        )
        .says("Shows the channels of all tenants in figures.")
}

pub(super) fn of_breakers() -> Table {
    use Right::Platform;
    const RESET: Option<&str> = Some("breaker.reset");

    Table::under("/api/v1/breakers")
        .get("", Platform, breakers::list)
        .says("Lists the apps that the fleet calls, and which of them it leaves alone.")
        .delete("/{fingerprint}", Platform, RESET, breakers::reset)
        .says("Forgets what is known of an app: its breaker closes at once.")
}

pub(super) fn of_stats() -> Table {
    use Right::{Platform, ReadChannels};
    const FRESHNESS_OF_TENANT: &str = "/tenants/{tenant}/stats/freshness";
    const FORECAST_OF_TENANT: &str = "/tenants/{tenant}/stats/forecast";

    Table::under("/api/v1")
        .get(
            FRESHNESS_OF_TENANT,
            ReadChannels,
            stats::freshness_of_tenant,
        )
        .says("Shows how fresh a tenant's channels are, and how late they were refreshed.")
        .get("/stats/freshness", Platform, stats::freshness_of_platform)
        .says("Shows how fresh the channels of all tenants are, the worst 50 tenants by name.")
        .get(FORECAST_OF_TENANT, ReadChannels, stats::forecast_of_tenant)
        .says("Shows the refreshes of the next 24 hours, and the grants that need a person soon.")
        .get("/stats/forecast", Platform, stats::forecast_of_platform)
        .says("Shows what comes for the channels of all tenants.")
}
