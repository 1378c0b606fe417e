//! All jobs of a tenant that match: `POST /api/v1/tenants/{tenant}/jobs/{cancel,retry,promote}`.

use axum::Json;
use axum::extract::State;
use queue::{JobState, PromoteOutcome};
use serde::{Deserialize, Serialize};
use store::Tenant;

use super::job_list::{find_channel, known_state};
use super::job_pages::{self, Listing};
use super::jobs;
use crate::App;
use crate::extract::{InTenant, Job, OnJob, OptionalInput, load_job, present};
use crate::problem::Problem;

/// Jobs of one call; who has more calls again.
const MOST: usize = 200;

/// Which jobs, and whether to change them at all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Selection {
    #[serde(default, deserialize_with = "present")]
    state: Option<String>,
    #[serde(default, deserialize_with = "present")]
    channel: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// What a change of many jobs came to.
#[derive(Debug, Serialize)]
pub(super) struct BulkView {
    /// Jobs that match, at most 200.
    matched: usize,
    /// Those that were changed.
    changed: usize,
    /// Those that were in no state for it by then.
    refused: usize,
    /// There are more than these.
    more: bool,
    dry_run: bool,
}

/// What is done to each.
#[derive(Clone, Copy)]
enum Change {
    Cancel,
    Retry,
    Promote,
}

/// Where a job stands after it was moved to now.
#[derive(Debug, Serialize)]
pub(super) struct Promoted {
    job_id: String,
    state: &'static str,
}

/// Moves a delayed job to now, past our own backoff, but never before a time that its
/// provider set.
pub(super) async fn promote(
    State(app): State<App>,
    OnJob(job): OnJob,
) -> Result<Json<Promoted>, Problem> {
    let state = promote_one(&app, &job).await?;
    Ok(Json(Promoted {
        job_id: job.id.to_string(),
        state: state.as_str(),
    }))
}

/// Cancels those that wait, are delayed, or run.
pub(super) async fn cancel_all(
    app: State<App>,
    tenant: InTenant,
    selection: OptionalInput<Selection>,
) -> Result<Json<BulkView>, Problem> {
    let states = [JobState::Waiting, JobState::Delayed, JobState::Active];
    change_all(Change::Cancel, &states, app, tenant, selection).await
}

/// Does the work of those that failed again.
pub(super) async fn retry_all(
    app: State<App>,
    tenant: InTenant,
    selection: OptionalInput<Selection>,
) -> Result<Json<BulkView>, Problem> {
    change_all(Change::Retry, &[JobState::Failed], app, tenant, selection).await
}

/// Moves those that are delayed to now.
pub(super) async fn promote_all(
    app: State<App>,
    tenant: InTenant,
    selection: OptionalInput<Selection>,
) -> Result<Json<BulkView>, Problem> {
    change_all(
        Change::Promote,
        &[JobState::Delayed],
        app,
        tenant,
        selection,
    )
    .await
}

async fn change_all(
    change: Change,
    states: &[JobState],
    State(app): State<App>,
    InTenant(tenant): InTenant,
    OptionalInput(selection): OptionalInput<Selection>,
) -> Result<Json<BulkView>, Problem> {
    let states = match &selection.state {
        None => states.to_vec(),
        Some(word) => {
            let state = known_state(word)?;
            if !states.contains(&state) {
                let words = states.iter().map(|it| it.as_str()).collect::<Vec<_>>();
                let message = format!("must be one of {}", words.join(", "));
                return Err(Problem::invalid_field("state", message));
            }
            vec![state]
        }
    };
    let (ids, more) = select(&app, &tenant, &states, selection.channel.as_deref()).await?;
    let mut answer = BulkView {
        matched: ids.len(),
        changed: 0,
        refused: 0,
        more,
        dry_run: selection.dry_run,
    };
    if selection.dry_run {
        return Ok(Json(answer));
    }
    for id in ids {
        // Each as if it were asked for alone: with its end in the history.
        let outcome = match load_job(&app, &id).await {
            Ok(job) => change_one(&app, change, job).await,
            Err(problem) => Err(problem),
        };
        match outcome {
            Ok(()) => answer.changed += 1,
            Err(problem) if problem.status().is_client_error() => answer.refused += 1,
            Err(problem) => return Err(problem),
        }
    }
    Ok(Json(answer))
}

async fn select(
    app: &App,
    tenant: &Tenant,
    states: &[JobState],
    channel: Option<&str>,
) -> Result<(Vec<String>, bool), Problem> {
    let channel = match channel {
        Some(id) => Some(find_channel(app, tenant.uid, id).await?),
        None => None,
    };
    let (mut ids, mut more) = (Vec::new(), false);
    for state in states {
        let listing = Listing {
            tenant: Some(tenant.uid.to_string()),
            state: Some(*state),
            key: channel.as_ref().map(|it| ::jobs::refresh_key(it.uid)),
            queues: match &channel {
                Some(channel) => vec![::jobs::refresh_queue(&channel.provider)],
                None => app.queue_names().collect(),
            },
            limit: MOST,
        };
        let page = job_pages::fill(app, &listing, None).await?;
        more |= page.next_cursor().is_some();
        ids.extend(page.jobs.iter().map(|job| job.id.to_string()));
    }
    more |= ids.len() > MOST;
    ids.truncate(MOST);
    Ok((ids, more))
}

async fn change_one(app: &App, change: Change, job: Job) -> Result<(), Problem> {
    match change {
        Change::Cancel => jobs::cancel_one(app, &job).await.map(drop),
        Change::Retry => jobs::retry_one(app, &job).await.map(drop),
        Change::Promote => promote_one(app, &job).await.map(drop),
    }
}

async fn promote_one(app: &App, job: &Job) -> Result<JobState, Problem> {
    match app.queues.queue(&job.id.queue).promote(&job.id).await? {
        PromoteOutcome::Promoted(view) => Ok(view.state),
        PromoteOutcome::AlreadyDue(state) => Ok(state),
        PromoteOutcome::Unknown => Err(Problem::conflict(
            "job_not_delayed",
            format!(
                "Only a delayed job can be promoted; this one is {}.",
                job.state()
            ),
        )),
    }
}
