//! The outcome of a refresh: stored once, by whoever holds the lease.

use std::sync::Arc;

use domain::{AttemptRecord, ChannelState, ChannelUid, Generation, Sealed, Timestamp};

use crate::intent::OpenIntent;
use crate::lane::Op;
use crate::row::{Row, Touched};
use crate::sql::json;
use crate::{Facts, LastError, Store, StoreError};

/// What a refresh under a lease came to. Channel and tenant are those of `attempt`.
#[derive(Clone, Debug)]
pub struct Finish {
    /// `Lease::epoch`.
    pub epoch: i64,
    /// The channel's generation at the lease.
    pub generation: Generation,
    /// `Lease::tells_refreshes`.
    pub tells_refreshes: bool,
    /// What changes.
    pub change: Change,
    /// The history's record. Generation and expiry of a success are filled in by the store.
    pub attempt: AttemptRecord,
}

/// What a refresh changes. All of them end the lease.
#[derive(Clone, Debug)]
pub enum Change {
    /// New credentials, sealed for the next generation. Failures are forgotten,
    /// and the scheduler looks at it when it is due.
    Stored {
        /// The sealed credentials.
        sealed: Sealed,
        /// What is known about them.
        facts: Facts,
    },
    /// The provider was only asked about the old ones: like `Stored`, but the generation stays.
    Confirmed {
        /// What is known about them.
        facts: Facts,
    },
    /// It failed; the credentials stay.
    Failed(Failure),
}

/// A refresh that brought nothing.
#[derive(Clone, Debug)]
pub struct Failure {
    /// A new state and its reason; `None` leaves them.
    pub state: Option<(ChannelState, Option<String>)>,
    /// When the scheduler looks at the channel next; `None` leaves that.
    pub next_handout_at: Option<Timestamp>,
    /// What went wrong.
    pub error: LastError,
    /// Whether it is one more failure in a row.
    pub counts_as_failure: bool,
    /// Whether a request was sent and not answered: the intent stays open, and
    /// the next one may try at once.
    pub no_answer: bool,
}

/// What became of a [`Finish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is stored; also the answer if the same outcome is handed in again.
    Stored,
    /// The lease was lost: the channel is as somebody else left it, and the
    /// attempt stands in the history without ending its job.
    Fenced {
        /// The channel's generation.
        generation: Generation,
        /// The channel's state; `deleting` if it is on its way out.
        state: ChannelState,
    },
    /// The channel is gone; nothing is stored.
    Gone,
}

impl Store {
    /// Stores what a refresh came to, with the attempt, the figures and the events, in one transaction.
    ///
    /// Calls that come in while a transaction is under way share the next one. If a
    /// job has ended before, this attempt of it is recorded but does not count again.
    /// A paused channel stays paused, with its new credentials.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; whether it was stored is then not
    /// known, and the same outcome may be handed in again.
    pub async fn finish(&self, finish: impl Into<Arc<Finish>>) -> Result<Finished, StoreError> {
        let finish = finish.into();
        self.outcomes.send(|reply| Op::Finish(finish, reply)).await
    }

    /// Gives a lease back under which nothing was sent; no attempt is recorded.
    /// `false` if the lease was lost.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn release(&self, channel: ChannelUid, epoch: i64) -> Result<bool, StoreError> {
        self.outcomes
            .send(|reply| Op::Release {
                channel,
                epoch,
                reply,
            })
            .await
    }

    /// Records a job that ended without a lease: not needed, cancelled, poison.
    ///
    /// A second end of the same job changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; it may be handed in again.
    pub async fn record(&self, attempt: AttemptRecord) -> Result<(), StoreError> {
        self.outcomes
            .send(|reply| Op::Record(Box::new(attempt), reply))
            .await
    }
}

/// Changes the row as the outcome says, if its lease still counts, and completes the attempt.
pub(crate) fn apply(row: &mut Row, finish: &mut Finish, now: Timestamp) -> Finished {
    let fenced = Finished::Fenced {
        generation: Generation(row.model.generation),
        state: row.state,
    };
    if !holds(row, finish.epoch) || row.model.generation != finish.generation.0 {
        return fenced;
    }
    if row.state == ChannelState::Deleting {
        row.end_lease(None);
        return fenced;
    }
    change(row, finish, now);
    row.model.updated_at = now.as_millis();
    Finished::Stored
}

/// Ends a lease under which nothing was sent; whether it was still held.
pub(crate) fn give_back(row: Option<&mut Row>, epoch: i64) -> bool {
    let Some(row) = row.filter(|row| holds(row, epoch)) else {
        return false;
    };
    let earlier = row.intent.take().and_then(OpenIntent::without_latest);
    row.end_lease(earlier);
    true
}

/// A job ended without a lease: whoever asked for it has an answer.
pub(crate) fn settle_request(row: Option<&mut Row>, attempt: &AttemptRecord, now: Timestamp) {
    let Some(row) = row else { return };
    if !attempt.ends_job || row.model.request_job_id.as_deref() != Some(&attempt.job_id) {
        return;
    }
    row.forget_request();
    // The wish had brought the hand-out forward; it goes back to what the policy says.
    if let Some(due) = row
        .model
        .refresh_due_at
        .filter(|due| *due > now.as_millis())
    {
        row.model.next_handout_at = Some(due);
    }
}

fn holds(row: &Row, epoch: i64) -> bool {
    row.model.lease_epoch == epoch && row.model.lease_until.is_some()
}

fn change(row: &mut Row, finish: &mut Finish, now: Timestamp) {
    let Finish {
        change, attempt, ..
    } = finish;
    match change {
        Change::Stored { sealed, facts } => {
            store_sealed(row, sealed, now);
            row.learn(facts, now);
            row.end_lease(None);
            complete(row, attempt);
        }
        Change::Confirmed { facts } => {
            row.learn(facts, now);
            row.end_lease(None);
            complete(row, attempt);
        }
        Change::Failed(failure) => fail(row, failure, attempt.ends_job),
    }
}

/// Puts the next set of credentials in place.
pub(crate) fn store_sealed(row: &mut Row, sealed: &Sealed, now: Timestamp) {
    row.model.generation += 1;
    row.model.envelope.clone_from(&sealed.envelope);
    row.model.key_id.clone_from(&sealed.key_id);
    row.model.fingerprint = sealed.fingerprint.to_vec();
    row.model.last_refreshed_at = Some(now.as_millis());
    row.touch(Touched::AllAndEnvelope);
}

fn fail(row: &mut Row, failure: &Failure, ends_job: bool) {
    let open = row.intent.take();
    row.end_lease(if failure.no_answer {
        open.map(OpenIntent::unanswered)
    } else {
        open.and_then(OpenIntent::without_latest)
    });
    if let Some(at) = failure.next_handout_at {
        row.model.next_handout_at = Some(at.as_millis());
    }
    if let Some((state, reason)) = &failure.state {
        row.enter(*state, reason.clone());
    }
    if row.state == ChannelState::NeedsReauth {
        row.model.next_handout_at = None;
    }
    if failure.counts_as_failure {
        row.model.failures = row.model.failures.saturating_add(1);
    }
    row.model.last_error = Some(json(&failure.error));
    if ends_job {
        row.forget_request();
    }
    row.touch(Touched::All);
}

/// What the channel has after a success stands in its record.
pub(crate) fn complete(row: &Row, attempt: &mut AttemptRecord) {
    attempt.generation = Some(Generation(row.model.generation));
    attempt.new_expires_at = row.access_expires_at();
}
