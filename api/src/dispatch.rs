//! Asks for refreshes: first on the row, so that a flushed Redis does not forget
//! it, then in the queue.

use std::collections::BTreeMap;

use domain::{ChannelState, Timestamp};
use queue::{JobId, JobState, JobView, NewJob, PushError, Pushed, QueueName, Refused, When};
use store::{Channel, RefreshRequest};

use crate::App;
use crate::problem::Problem;

/// When a person wants a refresh.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// As soon as the provider allows.
    Now,
    /// Not before this; a job that is due earlier stays where it is.
    At(Timestamp),
}

impl Wish {
    const fn on_the_row(self) -> Option<Timestamp> {
        match self {
            Self::Now => None,
            Self::At(at) => Some(at),
        }
    }

    const fn in_the_queue(self) -> When {
        match self {
            Self::Now => When::Now,
            Self::At(at) => When::At(at.as_millis()),
        }
    }
}

/// Why a channel in this state is not refreshed on demand.
///
/// `error` is: the refresh is its probe. `never_expires` is not refused either;
/// there it is for the caller to say that nothing is needed.
///
/// # Errors
///
/// A 409 that names the state.
pub(crate) fn admit(channel: &Channel) -> Result<(), Problem> {
    match channel.state {
        ChannelState::NeedsReauth => {
            let reason = channel.reason.as_deref().unwrap_or("not known");
            Err(Problem::conflict(
                "channel_needs_reauth",
                format!("Only a person can fix this channel; the reason is {reason}."),
            ))
        }
        ChannelState::Paused => Err(Problem::conflict(
            "channel_paused",
            "This channel is paused; resume it first.",
        )),
        ChannelState::Deleting => Err(Problem::not_found("channel")),
        ChannelState::Active | ChannelState::Error | ChannelState::NeverExpires => Ok(()),
    }
}

/// Asks for a refresh of one channel and says which job serves it.
///
/// With Redis away the wish stands on the row, and the scheduler queues a job of
/// this id once Redis is back.
pub(crate) async fn one(app: &App, channel: &Channel, wish: Wish) -> Result<JobId, Problem> {
    let queue = app.queues.queue(&jobs::refresh_queue(&channel.provider));
    let key = jobs::refresh_key(channel.uid);
    // The row should promise the job that is there already, not one that never comes to be.
    let live = queue.find(&key).await.ok().flatten();
    let id = live.map_or_else(|| JobId::next(queue.name(), &key), |job: JobView| job.id);
    // The row comes first: a job that is done before the wish is written would be wished for again.
    let promised = id.to_string();
    let written = app
        .store
        .request_refresh(channel.uid, wish.on_the_row(), &promised)
        .await?;
    if !written {
        return Err(Problem::not_found("channel"));
    }
    match queue.push(job(channel, wish, &promised)).await {
        Ok(pushed) => Ok(pushed.id().clone()),
        Err(PushError::Queue(error)) if error.is_transient() => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a refresh was asked for and waits on its row: Redis is away"
            );
            Ok(id)
        }
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// Asks for refreshes of many channels now; the answers are the jobs' ids in the order given.
pub(crate) async fn many(app: &App, channels: &[&Channel]) -> Result<Vec<JobId>, Problem> {
    let mut ids: Vec<JobId> = channels
        .iter()
        .map(|it| {
            JobId::next(
                &jobs::refresh_queue(&it.provider),
                &jobs::refresh_key(it.uid),
            )
        })
        .collect();
    let requests: Vec<RefreshRequest> = channels
        .iter()
        .zip(&ids)
        .map(|(channel, id)| RefreshRequest {
            channel: channel.uid,
            at: None,
            job_id: id.to_string(),
        })
        .collect();
    app.store.request_many(&requests).await?;
    let mut by_queue: BTreeMap<QueueName, Vec<usize>> = BTreeMap::new();
    for (place, id) in ids.iter().enumerate() {
        by_queue.entry(id.queue.clone()).or_default().push(place);
    }
    for (name, places) in by_queue {
        let jobs: Vec<NewJob> = places
            .iter()
            .map(|place| job(channels[*place], Wish::Now, &requests[*place].job_id))
            .collect();
        for (place, pushed) in places.into_iter().zip(push(app, &name, jobs).await?) {
            if let Some(id) = pushed {
                ids[place] = id;
            }
        }
    }
    Ok(ids)
}

/// Pushes to one queue; `None` where the wish waits on its row, because Redis is away.
async fn push(
    app: &App,
    name: &QueueName,
    jobs: Vec<NewJob>,
) -> Result<Vec<Option<JobId>>, Problem> {
    let count = jobs.len();
    match app.queues.queue(name).push_many(jobs).await {
        Ok(answers) => answers.into_iter().map(id_of).collect(),
        Err(error) if error.is_transient() => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                count,
                "refreshes were asked for and wait on their rows: Redis is away"
            );
            Ok(vec![None; count])
        }
        Err(error) => Err(error.into()),
    }
}

fn id_of(answer: Result<Pushed, Refused>) -> Result<Option<JobId>, Problem> {
    match answer {
        Ok(pushed) => Ok(Some(pushed.id().clone())),
        Err(Refused::Unanswered) => Ok(None),
        Err(refused) => Err(Problem::internal(&refused)),
    }
}

fn job(channel: &Channel, wish: Wish, id: &str) -> NewJob {
    let end = channel.access_expires_at;
    let deadline = match wish {
        // Who waits goes first among the jobs of the tenant.
        Wish::Now => Timestamp::from_millis(0),
        Wish::At(at) => end.unwrap_or(at),
    };
    jobs::refresh(jobs::RefreshRequest {
        tenant: channel.tenant,
        channel: channel.uid,
        provider: &channel.provider,
        generation: channel.generation,
        when: wish.in_the_queue(),
        deadline,
        id: Some(id),
    })
}

/// When a live job runs at the earliest, if that is not at once.
pub(crate) fn retry_at(job: &JobView) -> Option<Timestamp> {
    (job.state == JobState::Delayed).then(|| Timestamp::from_millis(job.run_at_ms))
}
