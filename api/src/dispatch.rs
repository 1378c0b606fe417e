//! Asks for refreshes: first on the row, so that a flushed Redis does not forget
//! it, then in the queue.

use std::collections::BTreeMap;

use domain::{ChannelState, Timestamp};
use futures::future::try_join_all;
use queue::{
    JobId, JobState, JobView, NewJob, PushError, Pushed, QueueError, QueueName, Refused, When,
};
use store::{Channel, RefreshRequest};

use crate::App;
use crate::problem::Problem;

/// Channels whose live jobs the queue is asked for at the same time.
const ASKED_AT_ONCE: usize = 100;

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
///
/// # Errors
///
/// The 409 of [`admit`] if the channel has changed meanwhile; 503 if the database is away.
pub(crate) async fn one(app: &App, channel: &Channel, wish: Wish) -> Result<JobId, Problem> {
    let id = promise(app, channel)
        .await
        .unwrap_or_else(|_| next_id(channel));
    // The row comes first: a job that is done before the wish is written would be wished for again.
    let text = id.to_string();
    let at = wish.on_the_row();
    if !app.store.request_refresh(channel.uid, at, &text).await? {
        return Err(changed(app, channel).await?);
    }
    let queue = app.queues.queue(&id.queue);
    match queue.push(job(channel, wish, &text)).await {
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

/// The job that a wish is promised: the live one if there is one, so that the row
/// does not promise a job that never comes to be.
async fn promise(app: &App, channel: &Channel) -> Result<JobId, QueueError> {
    let queue = app.queues.queue(&jobs::refresh_queue(&channel.provider));
    let live = queue.find(&jobs::refresh_key(channel.uid)).await?;
    Ok(live.map_or_else(|| next_id(channel), |job| job.id))
}

fn next_id(channel: &Channel) -> JobId {
    let queue = jobs::refresh_queue(&channel.provider);
    JobId::next(&queue, &jobs::refresh_key(channel.uid))
}

/// What to tell about a channel that takes no wish although it did a moment ago.
async fn changed(app: &App, channel: &Channel) -> Result<Problem, Problem> {
    let found = app.store.channel_by_uid(channel.uid).await?;
    let refusal = found.and_then(|channel| admit(&channel).err());
    Ok(refusal.unwrap_or_else(|| Problem::not_found("channel")))
}

/// Asks for refreshes of many channels now; the answers are the jobs' ids in the order given.
///
/// # Errors
///
/// 503 if the database is away.
pub(crate) async fn many(app: &App, channels: &[&Channel]) -> Result<Vec<JobId>, Problem> {
    let mut ids = promises(app, channels).await;
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

/// What [`promise`] says of each; once Redis does not answer it is not asked again.
async fn promises(app: &App, channels: &[&Channel]) -> Vec<JobId> {
    let mut ids: Vec<JobId> = Vec::with_capacity(channels.len());
    for some in channels.chunks(ASKED_AT_ONCE) {
        match try_join_all(some.iter().map(|channel| promise(app, channel))).await {
            Ok(found) => ids.extend(found),
            Err(_) => break,
        }
    }
    ids.extend(channels[ids.len()..].iter().map(|channel| next_id(channel)));
    ids
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
