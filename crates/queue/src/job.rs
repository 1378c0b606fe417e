//! Jobs as callers see them: what is pushed, and what is shown.

use crate::name::JobId;

/// A job to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// What there is at most one live job for; 1–128 of `[A-Za-z0-9_.~-]`.
    pub key: String,
    /// Whose job it is, for fairness, counts and retention; 1–64 of `[A-Za-z0-9_.~-]`.
    pub tenant: String,
    /// What the handler gets, as JSON; no secrets. See [`QueueSettings::payload_cap`](crate::QueueSettings).
    pub payload: Vec<u8>,
    /// How urgent it is.
    pub when: When,
    /// Jobs of one tenant run in the order of their deadlines; epoch ms.
    pub deadline_ms: i64,
    /// Nobody may run it earlier, whoever asks; epoch ms, 0 for none.
    pub not_before_ms: i64,
    /// Of the thing it works on; a push with a newer one counts as new work. Up to 2^48 − 1.
    pub version: u64,
    /// The id to take if this push makes a new job; pushed again, it is taken over
    /// like any other.
    pub id_hint: Option<JobId>,
    /// Instead of the queue's own; 1–255.
    pub max_attempts: Option<u32>,
}

/// How urgent a push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// A program's routine: runs at once if it is new, promotes nothing.
    Scheduled,
    /// A person waits: a delayed job is moved to now, past our own backoff, but
    /// never before its `not_before`.
    Now,
    /// Not before this time, epoch ms; a job that is due earlier stays where it is.
    At(i64),
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// A new job.
    New(JobId),
    /// A waiting or delayed job took it over.
    Merged(JobId),
    /// A job that runs at the same version; its result serves.
    Shared(JobId),
    /// A job runs at an older version; this id runs next, unless the running
    /// one turns out to have worked on the newer version after all.
    Again(JobId),
}

impl Pushed {
    /// The job that serves this push.
    #[must_use]
    pub const fn id(&self) -> &JobId {
        match self {
            Self::New(id) | Self::Merged(id) | Self::Shared(id) | Self::Again(id) => id,
        }
    }
}

/// Why one job of a batch was not taken; the others were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More bytes than the queue's `payload_cap`.
    #[error("the payload has {size} bytes, {cap} are allowed")]
    PayloadTooLarge {
        /// Bytes it has.
        size: usize,
        /// Bytes it may have.
        cap: usize,
    },
    /// Not 1–128 of `[A-Za-z0-9_.~-]`.
    #[error("the key is not 1 to 128 of A-Z, a-z, 0-9, '_', '.', '~' and '-'")]
    KeyInvalid,
    /// Not 1–64 of `[A-Za-z0-9_.~-]`.
    #[error("the tenant is not 1 to 64 of A-Z, a-z, 0-9, '_', '.', '~' and '-'")]
    TenantInvalid,
    /// Above 2^48 − 1.
    #[error("the version is above 2^48 - 1")]
    VersionTooLarge,
    /// `id_hint` is of another queue or another key.
    #[error("the proposed id is of another queue or key")]
    IdMismatch,
    /// Redis did not answer for this part of the batch. It may or may not be
    /// stored; to push it again does no harm.
    #[error("Redis did not answer for this job")]
    Unanswered,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Could run at once.
    Waiting,
    /// Becomes due later.
    Delayed,
    /// Runs.
    Active,
    /// Ended well.
    Completed,
    /// Ended otherwise.
    Failed,
    /// Ended because somebody cancelled it.
    Cancelled,
}

impl JobState {
    /// All of them, in the order in which lists show them.
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Waiting,
        Self::Delayed,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delayed => "delayed",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One job, as it stood when Redis was asked. All times are epoch ms by Redis' clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobView {
    /// Which job.
    pub id: JobId,
    /// Whose.
    pub tenant: String,
    /// What the handler gets.
    pub payload: Vec<u8>,
    /// Where it stands.
    pub state: JobState,
    /// The version it works on.
    pub version: u64,
    /// Tries so far, the running one included.
    pub attempt: u32,
    /// Tries allowed.
    pub max_attempts: u32,
    /// How often its worker lost it: a crash, or a lease that ran out.
    pub crashes: u32,
    /// When it was pushed.
    pub created_at_ms: i64,
    /// When it is or was due.
    pub run_at_ms: i64,
    /// Before this it must not run; 0 for none.
    pub not_before_ms: i64,
    /// Its place among the jobs of its tenant.
    pub deadline_ms: i64,
    /// When the try began that runs, or with which it ended; `None` while it waits.
    pub started_at_ms: Option<i64>,
    /// When it ended.
    pub finished_at_ms: Option<i64>,
    /// Why the last try did not end well.
    pub error: Option<String>,
    /// Somebody cancelled it while it runs.
    pub cancel_requested: bool,
    /// The job whose run also served this one: it was marked to run again, but
    /// the running job turned out to have worked on the newer version.
    pub served_by: Option<JobId>,
}

/// How many jobs stand where. Exact, and O(1) to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Could run at once.
    pub waiting: u64,
    /// Become due later.
    pub delayed: u64,
    /// Run.
    pub active: u64,
    /// Retained ones that ended well; trimmed ones are not counted.
    pub completed: u64,
    /// Retained ones that failed or were cancelled; trimmed ones are not counted.
    pub failed: u64,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those of this key.
    pub key: Option<String>,
    /// Where the last page ended: its [`Page::next_cursor`].
    pub cursor: Option<String>,
    /// 1–200; 0 means 50, more means 200.
    pub limit: usize,
}

/// Some jobs of a list. A job that changes its state between two pages may be
/// shown twice or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Running, then waiting by deadline, then delayed by time, then ended ones, newest first.
    pub items: Vec<JobView>,
    /// Hand it to the next call; `None` at the end.
    pub next_cursor: Option<String>,
}

/// What became of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It had not begun; this is how it ended.
    Removed(Box<JobView>),
    /// It runs; its handler was told and decides.
    Signalled,
    /// It has ended before.
    AlreadyEnded,
    /// No such job, or no longer.
    Unknown,
}

/// What became of a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryOutcome {
    /// It runs again under its own id, with fresh attempts.
    Requeued(JobId),
    /// A live job of the same key does the work.
    Merged(JobId),
    /// It has not failed.
    NotFailed(JobState),
    /// No such job, or no longer.
    Unknown,
}

/// What became of a promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromoteOutcome {
    /// It runs earlier, as the view says: at once, or at its `not_before`.
    Promoted(Box<JobView>),
    /// It waits or runs already, or is as early as its `not_before` allows.
    AlreadyDue(JobState),
    /// No such live job.
    Unknown,
}

/// What became of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveOutcome {
    /// It is gone.
    Removed,
    /// It runs; its handler was told, and it vanishes when that ends.
    Signalled,
    /// No such job, or no longer.
    Unknown,
}

/// What a purge found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Jobs that are gone, retained ones included.
    pub removed: u64,
    /// Jobs that still run; they were told, and vanish without a trace when they end.
    pub running: u64,
}

/// What a look over a queue mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Healed {
    /// Jobs that stood nowhere and stand where they belong again.
    pub put_back: u64,
    /// Retained jobs that were too old.
    pub dropped: u64,
}

/// How waiting for a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It ended; `None` if its record was trimmed before it could be read.
    Ended(Option<Box<JobView>>),
    /// There is no such job, or no longer: never pushed, purged, or Redis was flushed.
    Gone,
    /// The time is over and it has not ended.
    Live(Box<JobView>),
}
