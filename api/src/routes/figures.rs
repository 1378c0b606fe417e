//! S2.7 and S2.8: how many jobs stand where, and channels in figures.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use domain::{ChannelState, TenantUid};
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::Serialize;
use store::Statistics;

use crate::App;
use crate::extract::InTenant;
use crate::problem::Problem;

/// Refresh jobs by state: the live ones as Redis has them, the totals of ended
/// ones since the beginning.
#[expect(clippy::struct_field_names, reason = "the names of the API")]
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct JobStatus {
    jobs_active: u64,
    jobs_waiting: u64,
    jobs_delayed: u64,
    jobs_completed: u64,
    jobs_failed: u64,
    jobs_cancelled: u64,
}

/// The figures of S2.8, under the name that the seed gives them.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StatisticsView {
    statistics: Statistics,
}

/// Jobs of a tenant by state.
pub(super) async fn of_tenant(
    State(app): State<App>,
    InTenant(tenant): InTenant,
) -> Result<Json<JobStatus>, Problem> {
    Ok(Json(status(&app, Some(tenant.uid)).await?))
}

/// Jobs of the whole platform by state.
pub(super) async fn of_platform(State(app): State<App>) -> Result<Json<JobStatus>, Problem> {
    Ok(Json(status(&app, None).await?))
}

async fn status(app: &App, tenant: Option<TenantUid>) -> Result<JobStatus, Problem> {
    let totals = app.store.job_totals(tenant).await?;
    let tenant = tenant.map(|uid| uid.to_string());
    let counts = app.refresh_queue_names().map(|name| {
        let (queue, tenant) = (app.queues.queue(&name), tenant.as_deref());
        async move { queue.counts(tenant).await }
    });
    let mut status = JobStatus {
        jobs_completed: totals.completed,
        jobs_failed: totals.failed,
        jobs_cancelled: totals.cancelled,
        ..JobStatus::default()
    };
    for counts in try_join_all(counts).await? {
        status.jobs_active += counts.active;
        status.jobs_waiting += counts.waiting;
        status.jobs_delayed += counts.delayed;
    }
    Ok(status)
}

/// A tenant's channels in figures.
pub(super) async fn statistics(
    State(app): State<App>,
    InTenant(tenant): InTenant,
) -> Result<Json<StatisticsView>, Problem> {
    let statistics = app.store.statistics(tenant.uid).await?;
    Ok(Json(StatisticsView { statistics }))
}

/// The channels of the whole platform.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PlatformStatisticsView {
    statistics: PlatformStatistics,
}

/// Channels of all tenants in figures.
#[derive(Debug, Serialize, JsonSchema)]
struct PlatformStatistics {
    /// All channels, at most 15 seconds ago.
    total_channels: u64,
    /// By state, zeros too.
    by_state: BTreeMap<ChannelState, u64>,
    /// For how many seconds an active channel has been due that no scheduler has handed out; 0 if
    /// there is none. More than a few: no scheduler works.
    longest_due_secs: u64,
}

/// The channels of the whole platform in figures.
pub(super) async fn statistics_of_platform(
    State(app): State<App>,
) -> Result<Json<PlatformStatisticsView>, Problem> {
    let (states, longest_due) =
        tokio::try_join!(app.census().channels(&app.store), app.store.longest_due())?;
    let states = states.into_iter().map(|(state, it)| (state, it.channels));
    let by_state: BTreeMap<ChannelState, u64> = states.collect();
    let statistics = PlatformStatistics {
        total_channels: by_state.values().sum(),
        by_state,
        longest_due_secs: longest_due.as_secs(),
    };
    Ok(Json(PlatformStatisticsView { statistics }))
}
