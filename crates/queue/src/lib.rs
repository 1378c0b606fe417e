//! Jobs on Redis, as an [apalis](https://docs.rs/apalis) backend.
//!
//! A [`Queue`] holds jobs: a key, a tenant, a deadline, and a small JSON payload.
//! Workers run them with plain apalis task functions, many at a time and on any
//! number of machines. Redis 6.2 or newer (or Valkey), alone, under Sentinels or as a
//! cluster, with `maxmemory-policy noeviction`; nothing else is needed.
//!
//! ```no_run
//! use queue::{BoxDynError, ConnectOptions, ConsumerOptions, JobContext, NewJob, Outcome, Queues, When};
//! # use tokenfleet_queue as queue;
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let queues = Queues::connect(ConnectOptions::new("redis://127.0.0.1:6379")).await?;
//! let mails = queues.queue(&"mail".parse()?);
//!
//! // A worker: three jobs at once, until `shutdown` fires.
//! async fn send(address: String, job: JobContext) -> Result<Outcome, BoxDynError> {
//!     println!("{}: {address}, try {}", job.id(), job.attempt());
//!     Ok(Outcome::Done)
//! }
//! let options = ConsumerOptions::new("mailer", uuid::Uuid::now_v7());
//! let shutdown = options.shutdown.clone();
//! let worker = tokio::spawn(queue::run(mails.consumer::<String>(options), send));
//!
//! // A pusher, here or anywhere else.
//! let pushed = mails
//!     .push(NewJob {
//!         key: "user-17".to_owned(),
//!         tenant: "acme".to_owned(),
//!         payload: serde_json::to_vec("ann@example.org")?,
//!         when: When::Now,
//!         deadline_ms: 1_795_000_000_000,
//!         not_before_ms: 0,
//!         version: 1,
//!         id_hint: None,
//!         max_attempts: None,
//!     })
//!     .await?;
//! let in_a_while = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
//! println!("{:?}", mails.wait(pushed.id(), in_a_while).await?);
//!
//! shutdown.cancel();
//! worker.await??;
//! # Ok(())
//! # }
//! ```
//!
//! For several queues under the `Monitor` of apalis, with its extractors and layers, see
//! `examples/two_queues.rs`.
//!
//! # Model
//!
//! **One live job per key.** A push whose key has a waiting or delayed job is
//! merged into it: the newer version and payload, the earlier deadline, the more
//! urgent time. A push that meets a running job shares its result, unless its
//! version is newer: then the running job is marked, and the marked one runs next
//! under its own id. If the running handler says that it worked on the newer
//! version after all ([`JobContext::work_is_based_on`]), the mark shares the
//! result too. See [`Pushed`].
//!
//! **Order.** Within a tenant the earliest deadline is first, equal ones in the
//! order of their pushes. Between tenants a ring by virtual time gives every
//! tenant with waiting jobs the same share, however many it has, or a share by its
//! weight. [`Limits`] pause a tenant or the queue, and bound how many jobs run at
//! once and how many begin in a time, for the whole fleet; whoever has used up
//! his own is parked, and costs nothing until he may go on.
//!
//! **States.** Waiting, delayed (a later time, a retry, a snooze), active; then
//! completed, failed or cancelled, retained for a while per tenant. Two times
//! hold a job back: its own (which [`When::Now`] overrides) and `not_before`,
//! which others set and nobody undercuts.
//!
//! **Outcomes.** A handler ends its job with an [`Outcome`]: done, retried (after a backoff, or
//! when a provider said), snoozed (no attempt is spent), cancelled or failed. An `Err` is a
//! fault of the program, and retried. [`Queue::cancel`] stops a running job through a token that
//! the handler sees ([`JobContext::stop_token`]); [`Queue::retry`], [`Queue::promote`] and [`Queue::remove`]
//! work on one job, [`Queue::change_all`] on all of a tenant that match.
//!
//! **Watching.** [`Queue::wait`] waits for the end of one job, [`Queue::watch`] tells what happens to all,
//! [`Queue::counts`] and [`Queue::list`] show what stands where.
//!
//! **Leases.** A claim gives a lease, which the worker's heartbeat extends. When
//! it ends, another worker takes the job over; what the old one says from then on
//! changes nothing, for its fencing token is another. Attempts are counted at the
//! claim, so that a crash counts. A job that cost its workers the lease three
//! times is poison: it fails, and [`ConsumerOptions::on_poison`] hears of it.
//!
//! # Guarantees
//!
//! - A job that was pushed runs at least once as long as Redis keeps its data,
//!   and only once unless its worker dies, loses its lease, or is cut off from
//!   Redis for longer than that. Redis may be flushed at any time: jobs are gone
//!   then, waiters are told so, workers go on.
//! - Never early: all times are compared with Redis' own clock. If that is set back, jobs that
//!   are due later and leases last that much longer; nothing is lost.
//! - A failover is followed: a new connection asks the Sentinels or the cluster anew. What
//!   the old master had not yet told the new one is gone, as after a flush.
//! - A settle is repeated until it is stored or its lease has ended. A claim whose
//!   answer was lost is found again at once, without a crash being counted.
//! - Neither a stall nor a restart of Redis stops a worker.
//! - Counts are exact: they are the sizes of the sets themselves.
//! - The key is free as soon as the job has ended. There is no second record of
//!   uniqueness that could outlive it, and no time to live that could end before
//!   it: a job whose worker is gone is found by its lease, a job that stands
//!   nowhere by the worker that tends the queue.
//! - Nothing stays behind: an empty queue without retained jobs has no key.
//!
//! # Cost
//!
//! `n` is the number of jobs in the set in question, never that of the queue.
//!
//! | operation | Redis work | round trips |
//! | --- | --- | --- |
//! | push | O(log n) per job | 1 per 500 jobs, four at a time |
//! | claim and settle | O(log n) per job; calls per batch and for two to four tenants | 1 for up to 200 of both |
//! | heartbeat | O(log n) per running job | 1 and 1 per 200, every third of a lease |
//! | job, find, counts | O(1) | 1 |
//! | list of a tenant | O(log n + page) | about 2 per state |
//! | cancel, retry, promote, remove | O(log n) | 2 |
//! | change all | O(log n) per job | 2 per job, 16 jobs at once |
//! | purge of a tenant | O(log n) per job | 1 per 500 |
//! | heal | O(1) per job | 1 per 100 |
//! | limits, pause | O(log tenants) | 1 |
//! | watch | O(1) per call of a script while somebody watches | 1 per 5 s, or more happens |
//! | wait | O(1), and again every 2 s | 1 |
//! | idle worker | O(1) | about 1 per second |
//!
//! A busy worker has two calls under way, each for half of its slots: while Redis has one, the
//! worker has the other. Handlers that take milliseconds fare better with one at a time, for all that has
//! ended meanwhile ([`ConsumerOptions::overlaps`]).
//!
//! A waiting job takes less than 400 bytes with a key and a tenant of 32 characters
//! and a payload of 46. A process has one connection for commands, one per idle worker
//! that blocks for work, and one for events; on a cluster one per queue more. All keys of a queue have the hash tag
//! `{prefix:queue}`; every range that a script reads is bounded.

mod bulk;
mod bus;
mod consumer;
mod control;
mod error;
mod events;
mod inspect;
mod job;
mod limits;
mod link;
mod list;
mod name;
mod outcome;
mod push;
mod queues;
mod record;
mod script;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;
mod wait;

pub use bulk::{Bulk, Change};
pub use consumer::{
    Concurrency, Consumer, ConsumerHealth, ConsumerOptions, JsonCodec, PoisonHook, Settler, run,
};
pub use error::{ConnectError, PushError, QueueError};
pub use events::{EventKind, JobEvent, Watch};
pub use job::{
    CancelOutcome, Counts, Healed, JobFilter, JobState, JobView, NewJob, Page, PromoteOutcome,
    Purged, Pushed, Refused, RemoveOutcome, RetryOutcome, Waited, When,
};
pub use limits::{InvalidLimits, LimitError, Limits, Rate};
pub use name::{InvalidName, JobId, Nonce, QueueName};
pub use outcome::{JobContext, Outcome};
pub use queues::{Queue, Queues};
pub use settings::{ConnectOptions, QueueSettings};

/// What a handler's error may be; an `Err` is a fault of ours, and retried with backoff.
pub use apalis_core::error::{BoxDynError, WorkerError};
