//! A worker that calls no provider: its test says how every refresh ends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{
    AttemptOutcome, AttemptRecord, ChannelState, Details, ErrorClass, ProcessUid, ProviderName,
    Sealed, Timestamp, reason,
};
use jobs::RefreshChannel;
use queue::{BoxDynError, ConsumerOptions, JobContext, Outcome};
use store::{
    Change, Facts, Failure, Finish, Finished, LastError, Lease, LeaseOutcome, LeaseRequest, Store,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::world::World;

/// How refreshes end.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// With fresh tokens for two hours.
    Fresh,
    /// With a grant that is revoked.
    Revoked,
    /// Not at all for now: the provider says when to come back.
    Throttled(Duration),
    /// Too young to be refreshed.
    TooYoung,
    /// Not before somebody cancels it.
    Cancelled,
}

/// A worker on the queue of TikTok; it stops when this is dropped.
pub(crate) struct StubWorker {
    ending: Arc<Mutex<Ending>>,
    _stop: DropGuard,
}

impl StubWorker {
    pub(crate) fn start(world: &World, ending: Ending) -> Self {
        let stop = CancellationToken::new();
        let ending = Arc::new(Mutex::new(ending));
        let (store, endings) = (world.store.clone(), Arc::clone(&ending));
        let handler = move |job: RefreshChannel, context: JobContext| {
            let (store, endings) = (store.clone(), Arc::clone(&endings));
            async move {
                let ending = endings.lock().unwrap().clone();
                refresh(&store, job, &context, ending).await
            }
        };
        let queue = jobs::refresh_queue(&ProviderName::from_static("tiktok"));
        let options = ConsumerOptions::new("stub", Uuid::now_v7()).shutdown(stop.clone());
        let consumer = world.queues.queue(&queue).consumer(options);
        tokio::spawn(queue::run(consumer, handler));
        Self {
            ending,
            _stop: stop.drop_guard(),
        }
    }

    /// From here on refreshes end like this.
    pub(crate) fn set(&self, ending: Ending) {
        *self.ending.lock().unwrap() = ending;
    }
}

async fn refresh(
    store: &Store,
    job: RefreshChannel,
    context: &JobContext,
    ending: Ending,
) -> Result<Outcome, BoxDynError> {
    if let Ending::Throttled(pause) = ending {
        let until_ms = store.now().await?.plus(pause).as_millis();
        return Ok(Outcome::Snooze {
            until_ms,
            not_before: true,
        });
    }
    if matches!(ending, Ending::Cancelled) {
        context.stop_token().cancelled().await;
        store.record(cancelled(store, job, context).await?).await?;
        return Ok(Outcome::Cancelled);
    }
    let request = LeaseRequest {
        channel: job.channel,
        generation: domain::Generation(i64::try_from(context.version())?),
        job_id: context.id().to_string(),
        attempt: context.attempt(),
        owner: ProcessUid::generate(),
        ttl: Duration::from_mins(1),
        rotating: false,
        takeover_grace: Duration::from_mins(10),
        provider_timeout: Duration::from_secs(30),
        dead_owner: None,
    };
    let lease = match store.lease(request).await? {
        LeaseOutcome::Leased(lease) => lease,
        other => panic!("no lease: {other:?}"),
    };
    let (finish, outcome) = finish(&lease, context, &ending);
    assert_eq!(store.finish(finish).await?, Finished::Stored);
    Ok(outcome)
}

async fn cancelled(
    store: &Store,
    job: RefreshChannel,
    context: &JobContext,
) -> Result<AttemptRecord, BoxDynError> {
    let channel = store.channel_by_uid(job.channel).await?;
    let channel = channel.ok_or("the channel is gone")?;
    Ok(AttemptRecord {
        outcome: AttemptOutcome::Failed(ErrorClass::Cancelled),
        ..testkit::attempt(&channel, &context.id().to_string())
    })
}

fn finish(lease: &Lease, context: &JobContext, ending: &Ending) -> (Finish, Outcome) {
    let now = lease.leased_at;
    let (change, outcome, details, settled) = match ending {
        Ending::Fresh => {
            let change = Change::Stored {
                sealed: Sealed {
                    fingerprint: [7; 16],
                    ..lease.sealed.clone()
                },
                facts: facts(now.plus(Duration::from_hours(2))),
            };
            (
                change,
                AttemptOutcome::Refreshed,
                Details::default(),
                Outcome::Done,
            )
        }
        Ending::TooYoung => {
            let change = Change::Confirmed {
                facts: facts(now.plus(Duration::from_hours(2))),
            };
            let details = Details::because(reason::NOT_NEEDED);
            (change, AttemptOutcome::NotNeeded, details, Outcome::Done)
        }
        Ending::Revoked | Ending::Throttled(_) | Ending::Cancelled => {
            let details = Details {
                provider_code: Some("invalid_grant".to_owned()),
                ..Details::because(reason::REVOKED)
            };
            let class = ErrorClass::ReauthRequired;
            let change = Change::Failed(Failure {
                state: Some((ChannelState::NeedsReauth, details.reason.clone())),
                next_handout_at: None,
                error: LastError {
                    class,
                    in_a_row: 1,
                    at: now,
                    details: details.clone(),
                },
                counts_as_failure: true,
                no_answer: false,
            });
            let why = class.as_str().to_owned();
            (
                change,
                AttemptOutcome::Failed(class),
                details,
                Outcome::Failed { why },
            )
        }
    };
    let attempt = AttemptRecord {
        uid: Uuid::now_v7(),
        tenant: lease.channel.tenant,
        channel: lease.channel.uid,
        job_id: context.id().to_string(),
        attempt: context.attempt(),
        started_at: now,
        duration: Duration::from_millis(5),
        outcome,
        ends_job: true,
        generation: None,
        new_expires_at: None,
        replaced: Some(lease.replaced()),
        details,
    };
    let finish = Finish {
        epoch: lease.epoch,
        tells_refreshes: lease.tells_refreshes,
        generation: lease.channel.generation,
        change,
        attempt,
    };
    (finish, settled)
}

fn facts(end: Timestamp) -> Facts {
    Facts {
        state: ChannelState::Active,
        reason: None,
        access_expires_at: Some(end),
        refresh_expires_at: None,
        refresh_due_at: Some(end.minus(Duration::from_mins(30))),
        external_id: None,
        has_refresh_material: true,
    }
}
