//! Asks for refreshes: first on the row, so that a flushed Redis does not forget
//! it, then in the queue.

use std::collections::BTreeMap;

use domain::{ChannelState, Timestamp};
use futures::future::try_join_all;
use queue::{JobId, JobState, JobView, NewJob, PushError, Pushed, QueueName, Refused, When};
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
    let promised = promise(app, channel)
        .await
        .unwrap_or_else(|_| Promised::new(channel));
    // The row comes first: a job that is done before the wish is written would be wished for again.
    write(app, channel, wish, &promised.id).await?;
    let queue = app.queues.queue(&promised.id.queue);
    let pushed = match queue
        .push(job(channel, wish, &promised.hint(channel)))
        .await
    {
        Ok(pushed) => pushed.id().clone(),
        Err(PushError::Queue(error)) if error.is_transient() => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a refresh was asked for and waits on its row: Redis is away"
            );
            return Ok(promised.id);
        }
        Err(error) => return Err(Problem::internal(&error)),
    };
    if pushed != promised.id {
        write(app, channel, wish, &pushed).await?;
    }
    Ok(pushed)
}

async fn write(app: &App, channel: &Channel, wish: Wish, id: &JobId) -> Result<(), Problem> {
    let (at, text) = (wish.on_the_row(), id.to_string());
    if app.store.request_refresh(channel.uid, at, &text).await? {
        return Ok(());
    }
    Err(changed(app, channel).await?)
}

/// The job that a wish is promised before it is queued.
struct Promised {
    id: JobId,
    /// It was in the queue a moment ago.
    live: bool,
}

impl Promised {
    fn new(channel: &Channel) -> Self {
        let id = next_id(channel);
        Self { id, live: false }
    }

    /// The id for a job that the push makes. Where a live job should take the push
    /// over and has ended meanwhile, its id is spent: a new job must not have it.
    fn hint(&self, channel: &Channel) -> JobId {
        if self.live {
            next_id(channel)
        } else {
            self.id.clone()
        }
    }
}

/// The live job if there is one, else what the row still promises: a flushed Redis
/// forgets jobs, not promises.
async fn promise(app: &App, channel: &Channel) -> Result<Promised, Problem> {
    let queue = app.queues.queue(&jobs::refresh_queue(&channel.provider));
    if let Some(job) = queue.find(&jobs::refresh_key(channel.uid)).await? {
        return Ok(Promised {
            id: job.id,
            live: true,
        });
    }
    let on_the_row = app.store.promise(channel.uid).await?;
    let id = on_the_row.and_then(|promise| promise.job_id.parse().ok());
    Ok(id.map_or_else(|| Promised::new(channel), |id| Promised { id, live: false }))
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
    let promised = promises(app, channels).await;
    let mut ids: Vec<JobId> = promised.iter().map(|it| it.id.clone()).collect();
    let all: Vec<usize> = (0..ids.len()).collect();
    write_many(app, channels, &ids, &all).await?;
    let mut by_queue: BTreeMap<QueueName, Vec<usize>> = BTreeMap::new();
    for (place, id) in ids.iter().enumerate() {
        by_queue.entry(id.queue.clone()).or_default().push(place);
    }
    let mut other = Vec::new();
    for (name, places) in by_queue {
        let new_job = |place: &usize| {
            let channel = channels[*place];
            job(channel, Wish::Now, &promised[*place].hint(channel))
        };
        let jobs: Vec<NewJob> = places.iter().map(new_job).collect();
        for (place, pushed) in places.into_iter().zip(push(app, &name, jobs).await?) {
            if let Some(id) = pushed.filter(|id| *id != ids[place]) {
                ids[place] = id;
                other.push(place);
            }
        }
    }
    write_many(app, channels, &ids, &other).await?;
    Ok(ids)
}

/// Writes the wishes at these places on their rows.
async fn write_many(
    app: &App,
    channels: &[&Channel],
    ids: &[JobId],
    places: &[usize],
) -> Result<(), Problem> {
    let request = |place: &usize| RefreshRequest {
        channel: channels[*place].uid,
        at: None,
        job_id: ids[*place].to_string(),
    };
    let requests: Vec<RefreshRequest> = places.iter().map(request).collect();
    Ok(app.store.request_many(&requests).await?)
}

/// What [`promise`] says of each; once Redis does not answer it is not asked again.
async fn promises(app: &App, channels: &[&Channel]) -> Vec<Promised> {
    let mut all: Vec<Promised> = Vec::with_capacity(channels.len());
    for some in channels.chunks(ASKED_AT_ONCE) {
        match try_join_all(some.iter().map(|channel| promise(app, channel))).await {
            Ok(found) => all.extend(found),
            Err(_) => break,
        }
    }
    let rest = &channels[all.len()..];
    all.extend(rest.iter().map(|channel| Promised::new(channel)));
    all
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

fn job(channel: &Channel, wish: Wish, id: &JobId) -> NewJob {
    let last_error = channel.last_error.as_ref();
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
        not_before: jobs::held_until(last_error.map(|error| (error.class, &error.details))),
        id: Some(&id.to_string()),
    })
}

/// When a live job runs at the earliest, if that is not at once.
pub(crate) fn retry_at(job: &JobView) -> Option<Timestamp> {
    (job.state == JobState::Delayed).then(|| Timestamp::from_millis(job.run_at_ms))
}
