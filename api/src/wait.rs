//! Waits for the end of a job, as long as a caller likes to.

use std::time::Duration;

use domain::{AttemptOutcome, AttemptRecord, Details, RefreshResult, reason};
use queue::{JobId, JobState, JobView, Waited};
use tokio::time::{Instant, sleep_until};

use crate::App;
use crate::extract::within;
use crate::limits::{WAIT_DEFAULT_SECS, WAIT_MAX_SECS};
use crate::problem::Problem;

/// How often the database is asked when the queue does not know the job.
const ASK_AGAIN: Duration = Duration::from_millis(300);
/// Looks in a row at which the queue may not know a job that is waited for.
const UNKNOWN_MAX: u32 = 3;

/// How waiting ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The job ended; its last record.
    Record(Box<AttemptRecord>),
    /// A run of another job served this one as well; that job's last record.
    ServedBy(Box<AttemptRecord>),
    /// The time is over, or the process stops. The job, if the queue knows it.
    Live(Option<Box<JobView>>),
}

/// Until when a caller with this `wait` parameter waits; `None` does not wait at all.
///
/// # Errors
///
/// A 422 that names `wait`, outside of 0–60.
pub(crate) fn deadline(wait: Option<i64>) -> Result<Option<Instant>, Problem> {
    let secs = within("wait", wait.unwrap_or(WAIT_DEFAULT_SECS), 0..=WAIT_MAX_SECS)
        .map_err(|error| Problem::invalid(vec![error]))?;
    Ok((secs > 0).then(|| Instant::now() + Duration::from_secs(secs.unsigned_abs())))
}

/// Waits for one job.
///
/// The result is the database's; the queue only says when to look. So a job that
/// Redis forgot is still waited for: the scheduler hands it out again under its id.
///
/// # Errors
///
/// 503 if the database is away.
pub(crate) async fn for_job(app: &App, id: &JobId, deadline: Instant) -> Result<End, Problem> {
    let text = id.to_string();
    let queue = app.queues.queue(&id.queue);
    loop {
        if let Some(record) = app.store.job_result(&text).await? {
            return Ok(End::Record(Box::new(record)));
        }
        if Instant::now() >= deadline || app.stopping().is_cancelled() {
            return Ok(End::Live(look(app, id).await.map(Box::new)));
        }
        let waited = tokio::select! {
            waited = queue.wait(id, deadline) => waited,
            () = app.stopping().cancelled() => continue,
        };
        match waited {
            Ok(Waited::Live(_)) => {}
            Ok(Waited::Ended(Some(job))) if job.served_by.is_some() => {
                if let Some(record) = served_by(app, &job).await? {
                    return Ok(End::ServedBy(Box::new(record)));
                }
                pause(app, deadline, ASK_AGAIN).await;
            }
            // The record is written before the job ends; without one the job was
            // not run: cancelled or purged, or Redis was emptied or is away.
            Ok(Waited::Ended(_) | Waited::Gone) | Err(_) => {
                if let Some(record) = app.store.job_result(&text).await? {
                    return Ok(End::Record(Box::new(record)));
                }
                pause(app, deadline, ASK_AGAIN).await;
            }
        }
    }
}

/// Waits for one job, but not through its pauses: ends as well when the next attempt is a
/// while away (a retry, a rate limit, a breaker), or when the queue does not know the job,
/// because Redis is away or was emptied.
///
/// # Errors
///
/// 503 if the database is away.
pub(crate) async fn for_attempt(app: &App, id: &JobId, deadline: Instant) -> Result<End, Problem> {
    let mut unknown = 0;
    loop {
        let look_at = deadline.min(Instant::now() + ASK_AGAIN);
        let end = for_job(app, id, look_at).await?;
        let job = match &end {
            End::Live(job) => job.as_deref(),
            End::Record(_) | End::ServedBy(_) => return Ok(end),
        };
        unknown = if job.is_none() { unknown + 1 } else { 0 };
        let pauses = job.is_some_and(|job| job.state == JobState::Delayed);
        let over = Instant::now() >= deadline || app.stopping().is_cancelled();
        if pauses || over || unknown == UNKNOWN_MAX {
            return Ok(end);
        }
    }
}

/// The job as the queue knows it; `None` also while Redis is away.
pub(crate) async fn look(app: &App, id: &JobId) -> Option<JobView> {
    app.queues.queue(&id.queue).job(id).await.ok().flatten()
}

/// The last record of the job whose run served this one.
///
/// # Errors
///
/// 503 if the database is away.
pub(crate) async fn served_by(app: &App, job: &JobView) -> Result<Option<AttemptRecord>, Problem> {
    let Some(other) = &job.served_by else {
        return Ok(None);
    };
    Ok(app.store.job_result(&other.to_string()).await?)
}

/// A rest that the deadline and the end of the process cut.
pub(crate) async fn pause(app: &App, deadline: Instant, rest: Duration) {
    let until = (Instant::now() + rest).min(deadline);
    tokio::select! {
        () = sleep_until(until) => {}
        () = app.stopping().cancelled() => {}
    }
}

/// What a caller who asked for `id` is told when a run of another job served it.
pub(crate) fn shared_result(channel_id: &str, id: &JobId, record: &AttemptRecord) -> RefreshResult {
    let mut result = RefreshResult::of(channel_id, record);
    result.job_id = Some(id.to_string());
    if record.outcome == AttemptOutcome::Refreshed {
        result.refreshed = false;
        result.details = Some(Details::because(reason::ALREADY_REFRESHED));
    }
    result
}
