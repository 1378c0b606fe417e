//! What a handler is told about its job, and what it says in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use apalis_core::task::Task;
use apalis_core::task::data::MissingDataError;
use apalis_core::task::from_request::FromRequest;
use tokio_util::sync::CancellationToken;

use crate::job::JobView;
use crate::name::JobId;

/// How a try ended, in the words of its handler.
///
/// Handlers return `Result<Outcome, BoxDynError>`; an `Err` or a panic is a
/// retry with backoff that spends the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The job completed.
    Done,
    /// It did not work this time. The attempt is spent; after the last one the job fails.
    Retry {
        /// The pause; `None` for the queue's backoff with full jitter.
        after: Option<Duration>,
        /// Somebody else named the pause, so that nobody may cut it short.
        not_before: bool,
        /// Shown as the job's error.
        why: String,
    },
    /// Not now. The attempt is not spent.
    Snooze {
        /// When to come back, epoch ms by Redis' clock.
        until_ms: i64,
        /// Somebody else named the time, so that nobody may cut it short.
        not_before: bool,
    },
    /// The handler followed a cancellation.
    Cancelled,
    /// No further try would help.
    Failed {
        /// Shown as the job's error.
        why: String,
    },
    /// Given back because this process stops; the attempt is not spent.
    Released,
}

/// A running job, seen by its handler. An extractor: take it as a parameter.
#[derive(Clone, Debug)]
pub struct JobContext {
    pub(crate) job: Arc<RunningJob>,
}

/// A job that this process holds the lease of.
#[derive(Debug)]
pub(crate) struct RunningJob {
    /// As it was claimed.
    pub(crate) view: JobView,
    /// What tells this claim from all others of the job.
    pub(crate) fence: u64,
    based_on: AtomicU64,
    cancelled: CancellationToken,
    stop: CancellationToken,
}

impl RunningJob {
    pub(crate) fn new(view: JobView, fence: u64) -> Self {
        Self {
            based_on: AtomicU64::new(view.version),
            view,
            fence,
            cancelled: CancellationToken::new(),
            stop: CancellationToken::new(),
        }
    }

    /// The version that the work was based on.
    pub(crate) fn based_on(&self) -> u64 {
        self.based_on.load(Ordering::Relaxed)
    }

    /// Somebody cancelled it.
    pub(crate) fn cancel(&self) {
        self.cancelled.cancel();
        self.stop.cancel();
    }

    /// Another worker may run it.
    pub(crate) fn lose(&self) {
        self.stop.cancel();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }
}

impl JobContext {
    /// Which job.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.job.view.id
    }

    /// Whose.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.job.view.tenant
    }

    /// Which try this is; the first is 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.job.view.attempt
    }

    /// Tries allowed.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.job.view.max_attempts
    }

    /// Whether an [`Outcome::Retry`] would end the job as failed.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.attempt() >= self.max_attempts()
    }

    /// The version that was pushed; see [`JobContext::work_is_based_on`].
    #[must_use]
    pub fn version(&self) -> u64 {
        self.job.view.version
    }

    /// When this try was claimed, epoch ms by Redis' clock.
    #[must_use]
    pub fn claimed_at_ms(&self) -> i64 {
        self.job.view.started_at_ms.unwrap_or_default()
    }

    /// The whole job as it was claimed.
    #[must_use]
    pub fn view(&self) -> &JobView {
        &self.job.view
    }

    /// Says which version the work is really based on, if the handler found a newer one.
    ///
    /// Pushes that arrive while the job runs are served by its result if their
    /// version is not above this; the others run next, under their own id.
    /// Without a call it is [`JobContext::version`]; the last call counts.
    pub fn work_is_based_on(&self, version: u64) {
        self.job.based_on.store(version, Ordering::Relaxed);
    }

    /// Fires when somebody cancels this job, or when its lease is lost and
    /// another worker may take it over.
    #[must_use]
    pub fn stop_token(&self) -> CancellationToken {
        self.job.stop.clone()
    }

    /// Whether somebody cancelled it, as opposed to a lost lease.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.job.is_cancelled()
    }
}

impl<Args: Sync> FromRequest<Task<Args>> for JobContext {
    type Error = MissingDataError;

    async fn from_request(task: &Task<Args>) -> Result<Self, Self::Error> {
        task.data().get_checked::<Self>().cloned()
    }
}
