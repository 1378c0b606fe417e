//! The job of a request: live, retained, in the history, or promised.

use domain::{AttemptOutcome, AttemptRecord, ChannelUid, ErrorClass, TenantUid, Timestamp};
use queue::{JobId, JobState, JobView, QueueError};
use store::{Channel, Tenant};

use crate::App;
use crate::problem::Problem;

/// A job, wherever it was found.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Which.
    pub(crate) id: JobId,
    /// Whose.
    pub(crate) tenant: Tenant,
    /// Which channel it refreshes; `None` for a sweep, and once the channel is gone.
    pub(crate) channel: Option<Channel>,
    /// Where it was found.
    pub(crate) found: Found,
    /// Its tries, the first first.
    pub(crate) attempts: Vec<AttemptRecord>,
}

/// Where a job was found.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// In the queue, live or retained.
    InQueue(Box<JobView>),
    /// In the history alone: trimmed, or Redis was emptied.
    InHistory,
    /// On the channel's row: Redis does not know it, and the scheduler queues it at this time.
    Promised(Timestamp),
    /// In the tenant's schedule, whose next slot it is for.
    Slot(Timestamp),
}

impl Job {
    /// Where it stands.
    pub(crate) fn state(&self) -> JobState {
        match &self.found {
            Found::InQueue(view) => view.state,
            Found::InHistory => self.state_in_history(),
            Found::Promised(_) | Found::Slot(_) => JobState::Delayed,
        }
    }

    /// A job without an end in the history comes back: the scheduler hands it out again.
    fn state_in_history(&self) -> JobState {
        let end = self.attempts.iter().find(|attempt| attempt.ends_job);
        match end.map(|attempt| attempt.outcome) {
            None => JobState::Waiting,
            Some(AttemptOutcome::Refreshed | AttemptOutcome::NotNeeded) => JobState::Completed,
            Some(AttemptOutcome::Failed(ErrorClass::Cancelled)) => JobState::Cancelled,
            Some(AttemptOutcome::Failed(_)) => JobState::Failed,
        }
    }
}

/// The job with this id, wherever it is.
///
/// # Errors
///
/// A 404 if there is none; 503 if the database is away, or Redis where only it can know.
pub(crate) async fn load(app: &App, id: &str) -> Result<Job, Problem> {
    let missing = || Problem::not_found("job");
    let id: JobId = id.parse().map_err(|_| missing())?;
    let in_queue = app.queues.queue(&id.queue).job(&id).await;
    let attempts = app.store.attempts_of_job(&id.to_string()).await?;
    let channel = match id.key.parse::<ChannelUid>() {
        Ok(uid) => app.store.channel_by_uid(uid).await?,
        Err(_) => None,
    };
    let found = find(app, &id, in_queue, &attempts, channel.as_ref()).await?;
    let (owner, found) = found.ok_or_else(missing)?;
    let tenant = app.store.tenant_by_uid(owner).await?;
    Ok(Job {
        tenant: tenant.ok_or_else(missing)?,
        id,
        channel,
        found,
        attempts,
    })
}

/// Who owns the job and where it is: the queue knows best, then what is promised, then the history.
async fn find(
    app: &App,
    id: &JobId,
    in_queue: Result<Option<JobView>, QueueError>,
    attempts: &[AttemptRecord],
    channel: Option<&Channel>,
) -> Result<Option<(TenantUid, Found)>, Problem> {
    let (view, away) = match in_queue {
        Ok(view) => (view, None),
        Err(error) => (None, Some(error)),
    };
    if let Some(view) = view {
        let owner = view.tenant.parse::<TenantUid>().ok();
        return Ok(owner.map(|owner| (owner, Found::InQueue(Box::new(view)))));
    }
    if let Some(channel) = channel {
        let promise = app.store.promise(channel.uid).await?;
        if let Some(promise) = promise.filter(|it| it.job_id == id.to_string()) {
            return Ok(Some((channel.tenant, Found::Promised(promise.at))));
        }
    }
    if let Some(attempt) = attempts.first() {
        return Ok(Some((attempt.tenant, Found::InHistory)));
    }
    if let Some((schedule, slot)) = jobs::schedule_of(id) {
        let schedule = app.store.schedule_by_uid(schedule).await?;
        if let Some(schedule) = schedule.filter(|it| it.next_run_at == slot) {
            return Ok(Some((schedule.tenant, Found::Slot(slot))));
        }
    }
    // Only now does it matter that the queue could not be asked.
    match away {
        Some(error) => Err(error.into()),
        None => Ok(None),
    }
}
