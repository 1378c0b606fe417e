//! What tests need to take a queue through its states step by step.

use std::time::Duration;

use crate::consumer::settle::{End, Settle};
use crate::consumer::step::{Order, Pairs};
use crate::error::QueueError;
use crate::job::JobView;
use crate::outcome::Outcome;
use crate::queues::{Queue, Queues};
use crate::record::Owner;

/// A worker that takes one turn at a time, when it is told to.
#[derive(Debug)]
pub struct HandWorker {
    queue: Queue,
    owner: Owner,
}

/// A job that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandJob {
    /// As it was claimed.
    pub view: JobView,
    fence: u64,
}

/// What one turn came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandTurn {
    /// Per settle a letter; `lua/step.lua` explains them.
    pub letters: String,
    /// More is waiting.
    pub more: bool,
    /// Until something is due, or a lease ends.
    pub next_in: Option<Duration>,
    /// Jobs to be ended.
    pub lost: Vec<HandJob>,
    /// Jobs to be run.
    pub jobs: Vec<HandJob>,
}

impl HandWorker {
    /// Another one.
    #[must_use]
    pub fn new(queue: &Queue) -> Self {
        Self {
            queue: queue.clone(),
            owner: rand::random(),
        }
    }

    /// Settles jobs, each with the version its work was based on, and claims others.
    ///
    /// A retry without a pause is tried again at once.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer.
    pub async fn turn(
        &self,
        settles: &[(HandJob, Outcome, u64)],
        want: usize,
    ) -> Result<HandTurn, QueueError> {
        let settles: Vec<Settle> = settles
            .iter()
            .map(|(job, outcome, version)| Settle {
                ticket: 0,
                id: job.view.id.clone(),
                tenant: job.view.tenant.clone(),
                fence: job.fence,
                version: *version,
                claimed_version: job.view.version,
                end: end(outcome),
            })
            .collect();
        let order = Order {
            settles,
            want,
            look: true,
        };
        let core = &self.queue.core;
        let turn = core.step(&self.owner, &order).await?;
        let hand = |claims: Pairs| {
            let jobs = core.claims(&claims).into_iter().map(|claim| HandJob {
                view: claim.view,
                fence: claim.fence,
            });
            jobs.collect()
        };
        Ok(HandTurn {
            letters: String::from_utf8_lossy(&turn.letters).into_owned(),
            more: turn.more,
            next_in: turn.next_in,
            lost: hand(turn.lost),
            jobs: hand(turn.jobs),
        })
    }

    /// Claims jobs.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer.
    pub async fn claim(&self, want: usize) -> Result<Vec<HandJob>, QueueError> {
        Ok(self.turn(&[], want).await?.jobs)
    }

    /// Settles one job at the version it was claimed at; the letter is `X` if it was no longer ours.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer.
    pub async fn settle(&self, job: &HandJob, outcome: Outcome) -> Result<String, QueueError> {
        let version = job.view.version;
        Ok(self
            .turn(&[(job.clone(), outcome, version)], 0)
            .await?
            .letters)
    }
}

/// Looks the whole queue over; answers how many jobs were put back, and how many retained
/// ones were dropped.
///
/// # Errors
///
/// [`QueueError`] if Redis does not answer.
pub async fn heal(queue: &Queue) -> Result<(u64, u64), QueueError> {
    let healed = queue.heal().await?;
    Ok((healed.put_back, healed.dropped))
}

impl Queues {
    /// Moves the clock that the scripts of all these queues see.
    pub fn advance_clock(&self, by: Duration) {
        self.move_clock_by(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Sets that clock back, as somebody who corrects it does.
    pub fn set_clock_back(&self, by: Duration) {
        self.move_clock_by(-i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }
}

fn end(outcome: &Outcome) -> End {
    match outcome {
        Outcome::Done => End::Done,
        Outcome::Failed { why } => End::Failed(why.clone()),
        Outcome::Cancelled => End::Cancelled,
        Outcome::Released => End::Released,
        Outcome::Snooze {
            until_ms,
            not_before,
        } => End::Snooze {
            until_ms: *until_ms,
            not_before: *not_before,
        },
        Outcome::Retry {
            after,
            not_before,
            why,
        } => End::Retry {
            pause_ms: after.map_or(0, |after| i64::try_from(after.as_millis()).unwrap_or(0)),
            not_before: *not_before,
            why: why.clone(),
        },
    }
}
