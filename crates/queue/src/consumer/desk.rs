//! What a worker and the tasks that talk to Redis share: jobs in, settles out.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use apalis_core::task::Task;
use apalis_core::worker::context::WorkerContext;
use futures::task::AtomicWaker;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::options::{ConsumerHealth, ConsumerOptions};
use super::plan::{Phase, State, many};
use super::settle::Settle;
use super::step::Claim;
use super::{heartbeat, pump, tend, wake};
use crate::outcome::RunningJob;
use crate::queues::Core;
use crate::record::Owner;

/// Shared by one consumer and its tasks.
pub(super) struct Desk {
    pub(super) core: Arc<Core>,
    pub(super) options: ConsumerOptions,
    pub(super) health: ConsumerHealth,
    /// Marks our running jobs in Redis; random, so that a restart is somebody else.
    pub(super) owner: Owner,
    /// Something was put on the desk.
    pub(super) turn: Notify,
    /// Whether there are free slots and nothing to fill them with.
    pub(super) idle: watch::Sender<bool>,
    /// The consumer was dropped or has closed; its tasks end.
    pub(super) gone: CancellationToken,
    /// Whether a payload is what the handler takes; set by the start.
    reader: OnceLock<fn(&[u8]) -> bool>,
    worker: OnceLock<WorkerContext>,
    pub(super) waker: AtomicWaker,
    state: Mutex<State>,
}

/// Tells the claims of one consumer apart.
pub(crate) type Ticket = u64;

/// A job whose lease is ours, as far as we know.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) job: Arc<RunningJob>,
    /// When it ends unless it is extended, by our own clock, counted from before the request.
    pub(super) lease_until: Instant,
}

impl Desk {
    pub(super) fn new(core: Arc<Core>, options: ConsumerOptions) -> Self {
        Self {
            core,
            options,
            health: ConsumerHealth::default(),
            owner: rand::random(),
            turn: Notify::new(),
            idle: watch::channel(false).0,
            gone: CancellationToken::new(),
            reader: OnceLock::new(),
            worker: OnceLock::new(),
            waker: AtomicWaker::new(),
            state: Mutex::new(State {
                hungry: true,
                ..State::default()
            }),
        }
    }

    /// Starts the tasks; a second call does nothing.
    pub(super) fn start(self: &Arc<Self>, worker: &WorkerContext, reader: fn(&[u8]) -> bool) {
        if self.reader.set(reader).is_err() {
            return;
        }
        let _ = self.worker.set(worker.clone());
        tokio::spawn(pump::pump(Arc::clone(self)));
        tokio::spawn(heartbeat::beat(Arc::clone(self)));
        tokio::spawn(wake::wake_up(Arc::clone(self)));
        tokio::spawn(tend::tend(Arc::clone(self)));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job for the worker.
    pub(super) fn poll_task(&self, cx: &Context<'_>) -> Poll<Task<Vec<u8>>> {
        // First the waker, then the look: a job that arrives in between is seen or wakes us.
        self.waker.register(cx.waker());
        let mut state = self.lock();
        match state.ready.pop_front() {
            Some((_, task)) => {
                state.running += 1;
                Poll::Ready(task)
            }
            None => Poll::Pending,
        }
    }

    /// Ready once nothing is left to be settled.
    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        let mut state = self.lock();
        if state.phase == Phase::Closed || self.reader.get().is_none() {
            return Poll::Ready(());
        }
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
            self.turn.notify_one();
        }
        Poll::Pending
    }

    /// The consumer is dropped: whoever still runs is told, and its jobs are left to others.
    pub(super) fn abandon(&self) {
        self.gone.cancel();
        for held in self.lock().held.values() {
            held.job.lose();
        }
    }

    /// Whether nothing more may be claimed.
    pub(super) fn is_stopping(&self) -> bool {
        self.options.shutdown.is_cancelled()
            || self
                .worker
                .get()
                .is_some_and(WorkerContext::is_shutting_down)
            || self.gone.is_cancelled()
    }

    /// Something may be there to be claimed.
    pub(super) fn kick(&self) {
        let mut state = self.lock();
        state.hungry = true;
        state.kicked = true;
        self.idle.send_replace(false);
        self.turn.notify_one();
    }

    /// The time has come that [`Plan::Rest`] named.
    pub(super) fn look(&self) {
        let mut state = self.lock();
        state.hungry = true;
        state.look_at = None;
    }

    /// A job whose lease is ours from now on.
    pub(super) fn hold(&self, claim: Claim, asked_at: Instant) -> (Ticket, Arc<RunningJob>) {
        let job = Arc::new(RunningJob::new(claim.view, claim.fence));
        let mut state = self.lock();
        state.tickets += 1;
        let ticket = state.tickets;
        let held = Held {
            job: Arc::clone(&job),
            lease_until: asked_at + self.core.settings.lease,
        };
        state.held.insert(ticket, held);
        (ticket, job)
    }

    pub(super) fn is_readable(&self, payload: &[u8]) -> bool {
        self.reader.get().is_some_and(|reader| reader(payload))
    }

    /// Puts claimed jobs before the worker.
    pub(super) fn offer(&self, jobs: Vec<(Ticket, Task<Vec<u8>>)>) {
        if jobs.is_empty() {
            return;
        }
        self.lock().ready.extend(jobs);
        self.waker.wake();
    }

    /// The worker has settled a job; its slot is free.
    pub(super) fn settle(&self, settle: Settle) {
        let mut state = self.lock();
        state.running -= 1;
        state.settles.push(settle);
        // The pump begins with the first, and waits for many where one is not worth a call.
        let settles = state.settles.len();
        drop(state);
        if settles == 1 || settles == many(self.options.concurrency.get()) {
            self.turn.notify_one();
        }
    }

    /// The worker is done with a job, but somebody must hear of it before it is settled.
    pub(super) fn settle_after_hook(self: &Arc<Self>, settle: Settle, job: Arc<RunningJob>) {
        self.lock().running -= 1;
        self.end_after_hook(settle, job);
    }

    /// Ends a job that no handler has ended, after the hook has heard of it.
    pub(super) fn end_after_hook(self: &Arc<Self>, settle: Settle, job: Arc<RunningJob>) {
        self.lock().hooks += 1;
        let desk = Arc::clone(self);
        tokio::spawn(async move {
            desk.tell(settle.ended_view(&job)).await;
            let mut state = desk.lock();
            state.hooks -= 1;
            state.settles.push(settle);
            drop(state);
            desk.turn.notify_one();
        });
    }

    /// Calls the hook; its panic is its own.
    pub(super) async fn tell(&self, view: crate::job::JobView) {
        if let Some(hook) = &self.options.on_poison {
            let job_id = view.id.clone();
            if tokio::spawn(hook(view)).await.is_err() {
                tracing::error!(job.id = %job_id, "the hook for jobs that end on their own panicked");
            }
        }
    }

    pub(super) fn all_held(&self) -> Vec<(Ticket, Held)> {
        self.lock()
            .held
            .iter()
            .map(|(ticket, held)| (*ticket, held.clone()))
            .collect()
    }

    /// Redis has confirmed this lease.
    pub(super) fn extended(&self, ticket: Ticket, asked_at: Instant) {
        if let Some(held) = self.lock().held.get_mut(&ticket) {
            held.lease_until = asked_at + self.core.settings.lease;
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("queue", &self.core.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
