//! Runs the jobs: refreshes channels, sweeps tenants and tells webhook endpoints, many at once.
//!
//! A process takes part with [`run`]; any number of processes on any number of
//! machines may. What keeps them from refreshing one channel twice is the lease
//! in the database, not the queue.

mod breaker;
mod copies;
mod escrow;
mod journal;
mod missing_keys;
mod monotonic;
mod poison;
mod process;
mod refresh;
mod sweep;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use apalis_core::error::WorkerError;
use cache::Cache;
use domain::Backoff;
use futures::future::BoxFuture;
use jobs::{RefreshChannel, SweepTenant, VisitEndpoint};
use providers::Providers;
use queue::{BoxDynError, ConsumerHealth, ConsumerOptions, QueueName, Queues};
use store::Store;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vault::Vault;

use self::breaker::Breakers;
use self::escrow::Keeper;
pub use breaker::BreakerSettings;
pub use copies::give_copies_again;
pub use journal::left_in;
pub use process::{Process, ProcessError};
use refresh::Calls;
pub use webhook::Webhooks;

use self::missing_keys::MissingKeys;

/// Time to store an answer after the provider's time-out.
const ANSWER_RESERVE: Duration = Duration::from_secs(10);

/// Time for the queue to hear of jobs that ended after the drain.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the jobs need; one per process.
#[derive(Debug)]
pub struct Deps {
    /// The truth.
    pub store: Store,
    /// The dispatcher.
    pub queues: Queues,
    /// Has the copies of answers that wait for the database.
    pub cache: Cache,
    /// Opens and seals credentials.
    pub vault: Arc<Vault>,
    /// Calls the providers.
    pub providers: Arc<Providers>,
    /// Tells tenants.
    pub webhooks: Webhooks,
    /// This process among the others.
    pub process: Arc<Process>,
    /// How long things take.
    pub settings: Settings,
}

/// The worker's settings; see the settings reference for their names outside.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests to a provider at once, and other jobs at once, per queue and process; 1 or more.
    pub concurrency: usize,
    /// How long a lease in the database lasts; longer than connecting, the
    /// provider's time-out and 10 s together.
    pub refresh_lease: Duration,
    /// How long a provider may take to answer.
    pub provider_timeout: Duration,
    /// How long a silent owner of a rotating grant is waited for.
    pub takeover_grace: Duration,
    /// How long running jobs may take to end after a shutdown was asked for.
    pub drain: Duration,
    /// Pauses between the attempts of a job.
    pub backoff: Backoff,
    /// Only these queues, or all of them.
    pub queues: Option<Vec<QueueName>>,
    /// When the fleet leaves a provider alone, and how fast it calls it.
    pub breaker: BreakerSettings,
}

/// A worker that could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A queue was named that no provider of the settings has.
    #[error("there is no queue '{name}'; the queues are {}", .known.join(", "))]
    UnknownQueue {
        /// The name given.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The queue's own worker gave up.
    #[error("the worker of a queue stopped")]
    Queue(#[source] BoxDynError),
}

/// What the running worker tells others: one entry per queue.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// When each queue was last polled.
    pub queues: Vec<(QueueName, ConsumerHealth)>,
}

/// What every job is given: the parts of the process and its way to stop.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) deps: Deps,
    /// Answers that the database has not confirmed.
    pub(crate) escrow: Keeper,
    /// Sent requests: they outlive their job, and the process waits for them.
    pub(crate) in_flight: TaskTracker,
    /// Whether the providers may be called.
    pub(crate) breakers: Breakers,
    /// Keys that channels wait for.
    pub(crate) missing_keys: MissingKeys,
    /// Set when no further request may start.
    pub(crate) stopping: CancellationToken,
}

/// The queues that a process with these dependencies works on.
///
/// # Errors
///
/// [`RunError::UnknownQueue`] if the settings name one that does not exist.
pub fn queue_names(deps: &Deps) -> Result<Vec<QueueName>, RunError> {
    let known: Vec<QueueName> = deps
        .providers
        .names()
        .map(jobs::refresh_queue)
        .chain([jobs::sweep_queue(), jobs::webhook_queue()])
        .collect();
    let Some(chosen) = &deps.settings.queues else {
        return Ok(known);
    };
    match chosen.iter().find(|name| !known.contains(name)) {
        None => Ok(chosen.clone()),
        Some(name) => Err(RunError::UnknownQueue {
            name: name.to_string(),
            known: known.iter().map(ToString::to_string).collect(),
        }),
    }
}

/// Works on the queues until `shutdown`, then until what was sent is answered and stored.
///
/// `started` is given the health of every queue before the first job runs.
///
/// # Errors
///
/// [`RunError`] if a queue does not exist or its worker could not start.
pub async fn run(
    deps: Deps,
    shutdown: CancellationToken,
    started: impl FnOnce(Health),
) -> Result<(), RunError> {
    let names = queue_names(&deps)?;
    let (process, cache) = (Arc::clone(&deps.process), deps.cache.clone());
    let escrow = Keeper::new(process, cache, deps.store.clone());
    // What an earlier run left is stored before anything is asked anew.
    escrow.round().await;
    let keeping = tokio::spawn({
        let (escrow, shutdown) = (escrow.clone(), shutdown.clone());
        async move { escrow.run(shutdown).await }
    });
    let shared = (&deps.cache, &deps.store);
    let breakers = Breakers::new(&deps.providers, &deps.settings.breaker, shared);
    let context = Arc::new(Context {
        deps,
        breakers,
        escrow,
        in_flight: TaskTracker::new(),
        missing_keys: MissingKeys::default(),
        stopping: shutdown,
    });
    let telling = tokio::spawn({
        let context = Arc::clone(&context);
        async move { context.breakers.run(context.stopping.clone()).await }
    });
    let mut health = Health::default();
    let mut workers = JoinSet::new();
    for name in names {
        let (one, running) = consume(&context, &name);
        health.queues.push((name, one));
        workers.spawn(running);
    }
    started(health);
    let ended = drain(&context, &mut workers).await;
    await_answers(&context).await;
    settle(workers).await;
    keeping.abort();
    telling.abort();
    context.breakers.tell().await;
    context.escrow.close();
    ended
}

/// Lets jobs whose answers have come after the drain tell the queue so.
async fn settle(mut workers: JoinSet<Result<(), WorkerError>>) {
    let all = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
        tracing::warn!("jobs still run; the queue hands them out again when their lease ends");
    }
}

/// Waits for the requests that have left, and for the storing of their answers.
async fn await_answers(context: &Context) {
    context.in_flight.close();
    let limit = context.deps.settings.provider_timeout + ANSWER_RESERVE;
    if tokio::time::timeout(limit, context.in_flight.wait())
        .await
        .is_err()
    {
        let unanswered = context.in_flight.len();
        tracing::error!(
            unanswered,
            "stopping although requests are not answered or answers not stored; those that came \
             are in escrow, and the next start stores them"
        );
    }
}

/// Waits for the workers; once a shutdown was asked for, no longer than the drain.
async fn drain(
    context: &Context,
    workers: &mut JoinSet<Result<(), WorkerError>>,
) -> Result<(), RunError> {
    let deadline = async {
        context.stopping.cancelled().await;
        tokio::time::sleep(context.deps.settings.drain).await;
    };
    let all = async {
        while let Some(ended) = workers.join_next().await {
            ended
                .map_err(|error| RunError::Queue(error.into()))?
                .map_err(|error| RunError::Queue(error.into()))?;
        }
        Ok(())
    };
    tokio::select! {
        ended = all => ended,
        () = deadline => {
            tracing::warn!("jobs still run after the drain; requests already sent are waited for");
            Ok(())
        }
    }
}

/// The worker of one queue, and how to see that it lives.
fn consume(
    context: &Arc<Context>,
    name: &QueueName,
) -> (ConsumerHealth, BoxFuture<'static, Result<(), WorkerError>>) {
    let deps = &context.deps;
    let mut options = ConsumerOptions::new("worker", deps.process.uid().0);
    options.concurrency = deps.settings.concurrency.into();
    options.shutdown = context.stopping.clone();
    let queue = deps.queues.queue(name);
    let context = Arc::clone(context);
    if *name == jobs::sweep_queue() {
        let consumer = queue.consumer::<SweepTenant>(options);
        let health = consumer.health();
        let handler = move |job, task| sweep::sweep_tenant(job, task, Arc::clone(&context));
        return (health, Box::pin(queue::run(consumer, handler)));
    }
    if *name == jobs::webhook_queue() {
        let consumer = queue.consumer::<VisitEndpoint>(options);
        let health = consumer.health();
        let handler = move |job, task| webhook::visit_endpoint(job, task, Arc::clone(&context));
        return (health, Box::pin(queue::run(consumer, handler)));
    }
    let calls = Calls::new(jobs::provider_of(name), deps.settings.concurrency);
    let calls = Arc::new(calls);
    options.concurrency = calls.refreshes();
    options.overlaps = false;
    options.on_poison = Some(poison::recorder(deps.store.clone()));
    let consumer = queue.consumer::<RefreshChannel>(options);
    let health = consumer.health();
    let handler = move |job, task| {
        // On the heap, for it is large, and each layer around it would move it again.
        Box::pin(refresh::refresh_channel(
            job,
            task,
            Arc::clone(&context),
            Arc::clone(&calls),
        ))
    };
    (health, Box::pin(queue::run(consumer, handler)))
}
