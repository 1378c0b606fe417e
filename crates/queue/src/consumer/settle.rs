//! From what a handler says to what Redis stores.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;

use apalis_core::error::BoxDynError;
use apalis_core::task::ExecutionContext;
use apalis_core::worker::ext::ack::Acknowledge;
use tokio::task::JoinError;

use super::desk::{Desk, Ticket};
use crate::job::{JobState, JobView};
use crate::name::JobId;
use crate::outcome::{JobContext, Outcome, RunningJob};
use crate::record::{millis, put};
use crate::settings::QueueSettings;

/// Longest error kept with a job, in bytes; its length is kept in one.
const WHY_MAX: usize = 255;

/// One line of a step: how a claim of a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settle {
    pub(crate) ticket: Ticket,
    pub(crate) id: JobId,
    pub(crate) tenant: String,
    pub(crate) fence: u64,
    /// What the work was based on.
    pub(crate) version: u64,
    /// The version it was claimed at.
    pub(crate) claimed_version: u64,
    pub(crate) end: End,
}

/// What becomes of the job; `lua/step.lua` knows the letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Failed(String),
    Cancelled,
    Retry {
        pause_ms: i64,
        not_before: bool,
        why: String,
    },
    Snooze {
        until_ms: i64,
        not_before: bool,
    },
    Released,
}

impl End {
    const fn letter(&self) -> u8 {
        match self {
            Self::Done => b'D',
            Self::Failed(_) => b'F',
            Self::Cancelled => b'C',
            Self::Retry {
                not_before: false, ..
            } => b'R',
            Self::Retry {
                not_before: true, ..
            } => b'r',
            Self::Snooze {
                not_before: false, ..
            } => b'S',
            Self::Snooze {
                not_before: true, ..
            } => b's',
            Self::Released => b'L',
        }
    }

    const fn millis(&self) -> i64 {
        match self {
            Self::Retry { pause_ms, .. } => *pause_ms,
            Self::Snooze { until_ms, .. } => *until_ms,
            _ => 0,
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::Failed(why) | Self::Retry { why, .. } => why,
            _ => "",
        }
    }

    const fn is_final(&self) -> bool {
        matches!(self, Self::Done | Self::Failed(_) | Self::Cancelled)
    }

    /// What a handler's word means for its job, and whether the queue has the last one.
    fn of(
        result: &Result<Outcome, BoxDynError>,
        job: &RunningJob,
        settings: &QueueSettings,
    ) -> (Self, bool) {
        let attempt = job.view.attempt;
        let is_last = attempt >= job.view.max_attempts;
        let end = match result {
            Ok(Outcome::Done) => Self::Done,
            Ok(Outcome::Failed { why }) => Self::Failed(shorten(why).to_owned()),
            Ok(Outcome::Cancelled) => Self::Cancelled,
            Ok(Outcome::Released) => Self::Released,
            Ok(Outcome::Snooze {
                until_ms,
                not_before,
            }) => Self::Snooze {
                until_ms: *until_ms,
                not_before: *not_before,
            },
            Ok(Outcome::Retry { why, .. }) if is_last => Self::Failed(shorten(why).to_owned()),
            Ok(Outcome::Retry {
                after,
                not_before,
                why,
            }) => {
                let pause = after.unwrap_or_else(|| settings.pause_after(attempt));
                Self::Retry {
                    pause_ms: i64::try_from(pause.as_millis()).unwrap_or(i64::MAX),
                    not_before: *not_before && after.is_some(),
                    why: shorten(why).to_owned(),
                }
            }
            Err(error) if is_last => return (Self::Failed(describe(error)), true),
            Err(error) => {
                let pause = settings.pause_after(attempt);
                Self::Retry {
                    pause_ms: i64::try_from(pause.as_millis()).unwrap_or(i64::MAX),
                    not_before: false,
                    why: describe(error),
                }
            }
        };
        if !end.is_final() && job.is_cancelled() {
            return (Self::Cancelled, true);
        }
        (end, false)
    }
}

impl Settle {
    pub(super) fn new(ticket: Ticket, job: &RunningJob, end: End) -> Self {
        Self {
            ticket,
            id: job.view.id.clone(),
            tenant: job.view.tenant.clone(),
            fence: job.fence,
            version: job.based_on(),
            claimed_version: job.view.version,
            end,
        }
    }

    /// A job that has not begun goes back.
    pub(super) fn release(ticket: Ticket, job: &RunningJob) -> Self {
        Self::new(ticket, job, End::Released)
    }

    /// Whether all that there is to say is that it is done.
    pub(super) fn is_plain(&self) -> bool {
        self.end == End::Done && self.version == self.claimed_version
    }

    /// What jobs have in common that one call claimed for one tenant.
    pub(super) fn claim(&self) -> (u64, &str) {
        (self.fence, &self.tenant)
    }

    /// One argument of a step; `lua/turn.lua` has the same table.
    pub(super) fn encode(&self, line: &mut Vec<u8>) {
        let why = shorten(self.end.why());
        line.clear();
        line.push(self.end.letter());
        put(line, self.fence, 7);
        line.extend_from_slice(self.id.nonce.bytes());
        put(line, self.version, 6);
        put(line, millis(self.end.millis()), 6);
        put(line, why.len() as u64, 1);
        line.extend_from_slice(why.as_bytes());
        line.extend_from_slice(self.id.key.as_bytes());
    }

    /// The job as it will be shown after this.
    pub(super) fn ended_view(&self, job: &RunningJob) -> JobView {
        let why = self.end.why();
        JobView {
            state: if matches!(self.end, End::Failed(_)) {
                JobState::Failed
            } else {
                JobState::Cancelled
            },
            error: (!why.is_empty()).then(|| why.to_owned()),
            ..job.view.clone()
        }
    }
}

/// The first part of a text, whole characters only.
fn shorten(why: &str) -> &str {
    let mut end = WHY_MAX.min(why.len());
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    &why[..end]
}

/// What is kept of an error. A panic's message is not: nobody has checked it for secrets.
fn describe(error: &BoxDynError) -> String {
    if error.downcast_ref::<JoinError>().is_some() {
        return "the handler panicked".to_owned();
    }
    shorten(&error.to_string()).to_owned()
}

/// What the consumer knows of a task that it hands to the worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handed(pub(super) Ticket);

/// Takes the outcomes of handlers; the acknowledgement of the worker's layer.
///
/// It notes them on the desk and returns: the slot is free at once, and the pump
/// stores what was noted with its next call.
#[derive(Clone, Debug)]
pub struct Settler {
    desk: Arc<Desk>,
}

impl Settler {
    pub(super) const fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }
}

impl Acknowledge<Outcome> for Settler {
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn ack(
        &mut self,
        result: &Result<Outcome, BoxDynError>,
        ctx: &ExecutionContext,
    ) -> Self::Future {
        let (context, handed) = (ctx.data().get::<JobContext>(), ctx.data().get::<Handed>());
        if let (Some(context), Some(handed)) = (context, handed) {
            let job = &context.job;
            let (end, is_ours) = End::of(result, job, &self.desk.core.settings);
            if let Err(error) = result {
                tracing::warn!(job.id = %job.view.id, error = describe(error), "a handler failed");
            }
            let settle = Settle::new(handed.0, job, end);
            if is_ours && self.desk.options.on_poison.is_some() {
                self.desk.settle_after_hook(settle, Arc::clone(job));
            } else {
                self.desk.settle(settle);
            }
        }
        ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let why = "é".repeat(200);

        assert_eq!(shorten(&why), "é".repeat(127));
    }
}
