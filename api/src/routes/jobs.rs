//! One job (S2.17): `GET`, `DELETE /api/v1/jobs/{job}`, `POST /api/v1/jobs/{job}/retry`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{AttemptOutcome, AttemptRecord, Details, ErrorClass};
use http::StatusCode;
use queue::{CancelOutcome, JobId, JobState, RetryOutcome};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::job_view::JobJson;
use crate::App;
use crate::dispatch::{self, Wish};
use crate::extract::{Found, Job, OnJob};
use crate::problem::Problem;

/// Shows a job with its attempts.
pub(super) async fn show(OnJob(job): OnJob) -> Result<Json<JobJson>, Problem> {
    Ok(Json(JobJson::whole(job)))
}

/// What became of a cancellation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CancelledJob")]
pub(super) struct Cancelled {
    job_id: String,
    state: &'static str,
}

/// Cancels a job: 200 if it had not begun; 202 if it runs, whose worker decides:
/// once its request has left, the answer is stored and the job completes.
pub(super) async fn cancel(State(app): State<App>, OnJob(job): OnJob) -> Result<Response, Problem> {
    let status = cancel_one(&app, &job).await?;
    Ok(cancelled(&job, status))
}

/// Cancels a job, and writes the end down if it has ended by that.
pub(super) async fn cancel_one(app: &App, job: &Job) -> Result<StatusCode, Problem> {
    match app.queues.queue(&job.id.queue).cancel(&job.id).await? {
        CancelOutcome::Removed(_) => {}
        CancelOutcome::Signalled => return Ok(StatusCode::ACCEPTED),
        CancelOutcome::AlreadyEnded => return Err(has_ended(job.state())),
        CancelOutcome::Unknown => not_in_queue(job)?,
    }
    write_down(app, job).await?;
    Ok(StatusCode::OK)
}

fn cancelled(job: &Job, status: StatusCode) -> Response {
    let state = match status {
        StatusCode::OK => JobState::Cancelled,
        _ => JobState::Active,
    };
    let view = Cancelled {
        job_id: job.id.to_string(),
        state: state.as_str(),
    };
    (status, Json(view)).into_response()
}

/// Whether a job that the queue does not know can be cancelled all the same.
fn not_in_queue(job: &Job) -> Result<(), Problem> {
    match job.found {
        Found::Slot(_) => Err(Problem::conflict(
            "job_scheduled",
            "This job belongs to the tenant's schedule; delete the schedule instead.",
        )),
        Found::InHistory if job.state().has_ended() => Err(has_ended(job.state())),
        Found::InQueue(_) => Err(Problem::not_found("job")),
        Found::InHistory | Found::Promised(_) => Ok(()),
    }
}

fn has_ended(state: JobState) -> Problem {
    Problem::conflict("job_ended", format!("This job is {state} already."))
}

/// Puts the end into the history, which also takes the wish off the row.
async fn write_down(app: &App, job: &Job) -> Result<(), Problem> {
    let Some(channel) = &job.channel else {
        return Ok(());
    };
    let job_id = job.id.to_string();
    let record = AttemptRecord {
        uid: Uuid::now_v7(),
        tenant: job.tenant.uid,
        channel: channel.uid,
        job_id,
        attempt: 0,
        started_at: app.store.now().await?,
        duration: Duration::ZERO,
        outcome: AttemptOutcome::Failed(ErrorClass::Cancelled),
        ends_job: true,
        generation: Some(channel.generation),
        new_expires_at: channel.access_expires_at,
        replaced: None,
        details: Details::default(),
    };
    Ok(app.store.record(record).await?)
}

/// A job that does the work of a failed one.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Retried {
    job_id: String,
}

/// Does the work of a failed or cancelled job again: 202 with a new job, or with
/// the channel's live one. The old one stays in the history as it ended.
pub(super) async fn retry(State(app): State<App>, OnJob(job): OnJob) -> Result<Response, Problem> {
    let id = retry_one(&app, &job).await?;
    let view = Json(Retried {
        job_id: id.to_string(),
    });
    Ok((StatusCode::ACCEPTED, view).into_response())
}

/// Has the work of a job done again, by the job with this id.
pub(super) async fn retry_one(app: &App, job: &Job) -> Result<JobId, Problem> {
    let state = job.state();
    if !matches!(state, JobState::Failed | JobState::Cancelled) {
        let code = if state.has_ended() {
            "job_not_failed"
        } else {
            "job_live"
        };
        let detail = format!("Only a failed or cancelled job can be retried; this one is {state}.");
        return Err(Problem::conflict(code, detail));
    }
    if [jobs::sweep_queue(), jobs::webhook_queue()].contains(&job.id.queue) {
        return run_again(app, job).await;
    }
    let channel = job.channel.as_ref();
    let channel = channel.ok_or_else(|| Problem::not_found("channel"))?;
    dispatch::admit(channel)?;
    dispatch::one(app, channel, Wish::Now).await
}

/// A sweep, like a visit to a webhook, has no history of its own, so the same job runs again.
async fn run_again(app: &App, job: &Job) -> Result<JobId, Problem> {
    match app.queues.queue(&job.id.queue).retry(&job.id).await? {
        RetryOutcome::Requeued(id) | RetryOutcome::Merged(id) => Ok(id),
        RetryOutcome::NotFailed(state) => Err(has_ended(state)),
        RetryOutcome::Unknown => Err(Problem::not_found("job")),
    }
}
