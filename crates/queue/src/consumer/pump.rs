//! The task that settles and claims: one call of Redis for both, many jobs at a time.

use std::future::ready;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use apalis_core::backend::queue::Queue as ApalisQueue;
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt as _, StreamExt as _};

use super::desk::{Desk, Ticket};
use super::plan::{Plan, Room};
use super::settle::{End, Handed, Settle};
use super::step::{Claim, Order, Pairs, Turn};
use crate::error::QueueError;
use crate::outcome::{JobContext, RunningJob};
use crate::script::RECOVER;

/// Pauses while Redis does not answer, doubling from the first to the last.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long nothing must end before those that did are settled.
const GATHERING: Duration = Duration::from_micros(20);
/// How often it is not waited for after it was in vain: these jobs take longer.
const HOLD_OFF: u32 = 15;

/// Works until the consumer is gone or has closed.
pub(super) async fn pump(desk: Arc<Desk>) {
    let mut calls = Calls::default();
    let mut fresh = Fresh::default();
    let (mut stopping, mut hold_off) = (false, 0);
    loop {
        if calls.under_way.is_empty() && desk.gathers() {
            desk.take(&std::mem::take(&mut fresh));
            hold_off = match hold_off {
                0 if desk.gather().await => 0,
                0 => HOLD_OFF,
                left => left - 1,
            };
        }
        match desk.plan(calls.room(desk.options.overlaps)) {
            Plan::Close => {
                desk.gone.cancel();
                return;
            }
            Plan::Step(order) => {
                calls.send(&desk, order).await;
                // While Redis takes this step, we prepare what the last one brought.
                desk.take(&std::mem::take(&mut fresh));
            }
            Plan::Take => desk.take(&std::mem::take(&mut fresh)),
            Plan::Rest(until) => {
                tokio::select! {
                    () = desk.gone.cancelled() => return,
                    () = desk.options.shutdown.cancelled(), if !stopping => {
                        stopping = true;
                        // Our marker may be lost with the connection that waits for it.
                        desk.kick();
                    }
                    Some(answer) = calls.under_way.next() => {
                        fresh = calls.answered(&desk, answer).await;
                    }
                    () = desk.turn.notified() => {}
                    () = sleep_until(until) => desk.look(),
                }
            }
        }
        if desk.gone.is_cancelled() {
            return;
        }
    }
}

/// Jobs that were claimed, and are not yet before the worker.
#[derive(Debug, Default)]
struct Fresh {
    jobs: Pairs,
    /// When their claim was sent; `None` if there are none.
    asked_at: Option<Instant>,
}

/// Calls of Redis, and whether it answers.
struct Calls {
    /// At most two: while Redis takes one, the next is on its way, so that it need not wait for us.
    under_way: FuturesOrdered<BoxFuture<'static, Answer>>,
    /// A call was not answered: what it did is not known.
    in_doubt: bool,
    /// How long to wait after the next failure.
    pause: Duration,
}

/// What became of a call.
struct Answer {
    order: Order,
    /// Whether it was to find what an unanswered call before it had done.
    in_doubt: bool,
    asked_at: Instant,
    turn: Result<Turn, QueueError>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            under_way: FuturesOrdered::new(),
            in_doubt: false,
            pause: PAUSE_MIN,
        }
    }
}

impl Calls {
    /// Whether another call may be sent. Who is in doubt asks one question at a time.
    fn room(&self, overlaps: bool) -> Room {
        match self.under_way.len() {
            0 => Room::Free,
            1 if overlaps && !self.in_doubt => Room::ForMany,
            _ => Room::None,
        }
    }

    /// Sends a call; it is on its way when this returns.
    async fn send(&mut self, desk: &Arc<Desk>, order: Order) {
        let (desk, in_doubt) = (Arc::clone(desk), self.in_doubt);
        let mut call = Box::pin(async move {
            let (asked_at, turn) = desk.turn(&order, in_doubt).await;
            Answer {
                order,
                in_doubt,
                asked_at,
                turn,
            }
        });
        let call = match futures::poll!(&mut call) {
            Poll::Ready(answer) => ready(answer).boxed(),
            Poll::Pending => call,
        };
        self.under_way.push_back(call);
        tokio::task::yield_now().await;
    }

    /// Settles go, jobs come; or all of them wait for better times.
    async fn answered(&mut self, desk: &Arc<Desk>, answer: Answer) -> Fresh {
        let Order { settles, want, .. } = answer.order;
        let error = match answer.turn {
            Ok(turn) => {
                if answer.in_doubt {
                    (self.in_doubt, self.pause) = (false, PAUSE_MIN);
                }
                desk.note_settled(&settles, &turn.letters, answer.in_doubt);
                desk.end_lost(desk.core.claims(&turn.lost), answer.asked_at);
                desk.claimed(want, turn.jobs.len() / 2, (turn.more, turn.next_in));
                return Fresh {
                    jobs: turn.jobs,
                    asked_at: Some(answer.asked_at),
                };
            }
            Err(error) => error,
        };
        if !self.in_doubt {
            tracing::warn!(queue = %desk.core.name, error = %chain(&error), "Redis did not take a step; trying again");
        }
        self.in_doubt = true;
        desk.unsettled(want, settles);
        if self.under_way.is_empty() {
            tokio::select! {
                () = desk.gone.cancelled() => {}
                () = tokio::time::sleep(self.pause) => {}
            }
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
        Fresh::default()
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

fn chain(error: &QueueError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl Desk {
    /// Jobs that end within microseconds are settled together: by the time that few of them take,
    /// a call for each would cost more than all of them. Answers whether any did.
    async fn gather(&self) -> bool {
        let first = self.lock().settles.len();
        if first == 0 {
            // The first end wakes us.
            return true;
        }
        let (mut settles, mut since) = (first, Instant::now());
        while since.elapsed() < GATHERING {
            tokio::task::yield_now().await;
            let seen = self.lock().settles.len();
            if seen != settles {
                (settles, since) = (seen, Instant::now());
            }
            if !self.gathers() {
                break;
            }
        }
        settles > first
    }

    /// One call; first of all those are found that a call claimed whose answer was lost.
    async fn turn(
        self: &Arc<Self>,
        order: &Order,
        in_doubt: bool,
    ) -> (Instant, Result<Turn, QueueError>) {
        if in_doubt && let Err(error) = self.recover().await {
            return (Instant::now(), Err(error));
        }
        let asked_at = Instant::now();
        let turn = self.core.step(&self.owner, order).await;
        if turn.is_ok() {
            self.health.touch();
        }
        (asked_at, turn)
    }

    fn note_settled(self: &Arc<Self>, settles: &[Settle], letters: &[u8], in_doubt: bool) {
        for (settle, letter) in settles.iter().zip(letters) {
            match letter {
                // A settle that was sent twice finds its job gone the second time.
                b'X' if !in_doubt => {
                    tracing::warn!(job.id = %settle.id, "a job ended that was no longer ours; its end was not stored");
                }
                b'C' if settle.end != End::Cancelled => self.tell_of_late_cancel(settle),
                _ => {}
            }
        }
        self.settled(settles);
    }

    /// A cancellation reached Redis before the settle and us after it.
    fn tell_of_late_cancel(self: &Arc<Self>, settle: &Settle) {
        let held = self.all_held();
        let Some((_, held)) = held.into_iter().find(|(t, _)| *t == settle.ticket) else {
            return;
        };
        let settle = Settle {
            end: End::Cancelled,
            ..settle.clone()
        };
        let desk = Arc::clone(self);
        tokio::spawn(async move { desk.tell(settle.ended_view(&held.job)).await });
    }

    /// Jobs that cost too many workers, or that were cancelled and lost, end here.
    fn end_lost(self: &Arc<Self>, claims: Vec<Claim>, asked_at: Instant) {
        for claim in claims {
            let (ticket, job) = self.hold(claim, asked_at);
            let end = if job.view.cancel_requested {
                End::Cancelled
            } else {
                End::Failed(format!("its worker was lost {} times", job.view.crashes))
            };
            tracing::error!(job.id = %job.view.id, crashes = job.view.crashes, "a job is ended because its workers were lost");
            self.end_after_hook(Settle::new(ticket, &job, end), job);
        }
    }

    /// What the last step brought goes to the worker.
    fn take(self: &Arc<Self>, fresh: &Fresh) {
        let Some(asked_at) = fresh.asked_at else {
            return;
        };
        self.run(self.core.claims(&fresh.jobs), asked_at);
        self.lock().coming -= fresh.jobs.len() / 2;
    }

    /// Claimed jobs go to the worker, except those that it could not read.
    fn run(self: &Arc<Self>, claims: Vec<Claim>, asked_at: Instant) {
        let mut tasks = Vec::with_capacity(claims.len());
        for claim in claims {
            let (ticket, job) = self.hold(claim, asked_at);
            if self.is_readable(&job.view.payload) {
                tasks.push((ticket, self.task(ticket, job)));
            } else {
                tracing::error!(job.id = %job.view.id, "a payload cannot be read");
                let end = End::Failed("its payload cannot be read".to_owned());
                self.end_after_hook(Settle::new(ticket, &job, end), job);
            }
        }
        self.offer(tasks);
    }

    fn task(&self, ticket: Ticket, job: Arc<RunningJob>) -> Task<Vec<u8>> {
        let view = &job.view;
        let max_attempts = usize::try_from(view.max_attempts).unwrap_or(usize::MAX);
        // A layer of apalis counts the attempt that begins.
        let attempts_before = usize::try_from(view.attempt.saturating_sub(1)).unwrap_or(0);
        TaskBuilder::new(view.payload.clone())
            .task_id(TaskId::from_string(view.id.to_string()))
            .attempt(attempts_before)
            .max_attempts(max_attempts)
            .queue(ApalisQueue::from(self.core.name.as_str()))
            .lock_by(Some(self.options.label.clone()))
            .data(Handed(ticket))
            .data(JobContext { job })
            .build()
    }

    /// Jobs that an unanswered call has claimed for us are ours.
    async fn recover(self: &Arc<Self>) -> Result<(), QueueError> {
        let mut rank = 0;
        loop {
            let mut cmd = self.core.script(&RECOVER);
            cmd.arg(&self.owner).arg(rank);
            let asked_at = Instant::now();
            let mut answer: Vec<redis::Value> = self.core.call(&RECOVER, &cmd).await?;
            let pairs: Vec<Vec<u8>> = answer
                .drain(1..)
                .filter_map(|value| redis::from_redis_value(value).ok())
                .collect();
            self.adopt(self.core.claims(&pairs), asked_at);
            match answer.first() {
                Some(redis::Value::Int(looked_at)) if *looked_at > 0 => rank += looked_at,
                _ => return Ok(()),
            }
        }
    }

    fn adopt(self: &Arc<Self>, mut claims: Vec<Claim>, asked_at: Instant) {
        let held = self.all_held();
        claims.retain(|claim| {
            !held
                .iter()
                .any(|(_, held)| held.job.fence == claim.fence && held.job.view.id == claim.view.id)
        });
        // What was handed to us to be ended had begun before; what we claimed begins with us.
        let poison_after = self.core.settings.poison_after;
        let (lost, jobs) = claims
            .into_iter()
            .partition(|claim| claim.view.crashes >= poison_after || claim.view.cancel_requested);
        self.end_lost(lost, asked_at);
        self.run(jobs, asked_at);
    }
}
