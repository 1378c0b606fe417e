//! What lies on the desk, and what is to be done about it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use apalis_core::task::Task;

use super::desk::{Desk, Held, Ticket};
use super::options::ConsumerOptions;
use super::settle::Settle;
use super::step::Order;

/// Jobs claimed and settles sent in one call.
pub(super) const BATCH: usize = 200;
/// Settles that are worth a call while other jobs run and no call is under way.
const FEW: usize = 16;
/// A busy worker looks no more often for what is due; delayed jobs are late by that.
const LOOK: Duration = Duration::from_millis(1);

/// What the pump does next.
pub(super) enum Plan {
    /// One call of Redis.
    Step(Order),
    /// What was claimed last goes to the worker.
    Take,
    /// Nothing, until something happens, or this time comes.
    Rest(Option<Instant>),
    /// Everything is settled, and the worker wants to go.
    Close,
}

/// Whether another call of Redis may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// None is under way.
    Free,
    /// One is: another must be worth it.
    ForMany,
    /// Not before one is answered.
    None,
}

/// How far a consumer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It works.
    #[default]
    Open,
    /// The worker wants to go; what is noted is still to be stored.
    Closing,
    /// Nothing is left to be stored.
    Closed,
}

/// Everything that lies on the desk.
#[derive(Default)]
pub(super) struct State {
    /// Claimed, and not yet handed to the worker.
    pub(super) ready: VecDeque<(Ticket, Task<Vec<u8>>)>,
    /// Asked for by calls under way: these slots are taken.
    pub(super) asked: usize,
    /// Claimed, and not yet ready: their slots are taken.
    pub(super) coming: usize,
    /// Handed to the worker, and not yet settled by it.
    pub(super) running: usize,
    /// Jobs whose hook is under way.
    pub(super) hooks: usize,
    /// All whose lease is ours, until their settle is stored.
    pub(super) held: HashMap<Ticket, Held>,
    pub(super) tickets: Ticket,
    pub(super) settles: Vec<Settle>,
    /// Settles under way.
    pub(super) sent: usize,
    /// There may be work: a claim is due.
    pub(super) hungry: bool,
    /// The marker was taken, and must be put back if we have no use for it.
    pub(super) kicked: bool,
    /// When Redis was last asked what is due.
    pub(super) looked_at: Option<Instant>,
    /// When the next job is due or the next lease ends.
    pub(super) look_at: Option<Instant>,
    pub(super) phase: Phase,
}

impl Desk {
    /// Whether more may end at any moment, and too little has for a call of its own.
    pub(super) fn gathers(&self) -> bool {
        let state = self.lock();
        let has_begun = state.coming > 0 || !state.settles.is_empty();
        let goes_on = state.coming + state.ready.len() + state.running > 0;
        has_begun && goes_on && state.settles.len() < FEW
    }

    /// What is to be done; settles that it hands out are under way from then on.
    pub(super) fn plan(&self, room: Room) -> Plan {
        let stopping = self.is_stopping();
        let mut state = self.lock();
        let stopping = stopping || state.phase != Phase::Open;
        if stopping {
            state.release_ready();
        }
        let free = state.free(self.options.concurrency.get());
        let idle = free > 0 && !stopping;
        if !room.is_for(state.settles.len(), self.options.concurrency.get()) {
            if state.coming > 0 {
                return Plan::Take;
            }
            self.idle.send_replace(idle);
            return Plan::Rest(state.look_at.filter(|_| idle));
        }
        let most = share(&self.options);
        let count = state.settles.len().min(most);
        let settles: Vec<Settle> = state.settles.drain(..count).collect();
        let want = if stopping || (!state.hungry && settles.is_empty()) {
            0
        } else {
            free.min(most)
        };
        if want > 0 || !settles.is_empty() || state.kicked {
            state.kicked = false;
            state.sent += settles.len();
            state.asked += want;
            let look = want > 0 && state.looks(settles.is_empty());
            return Plan::Step(Order {
                settles,
                want,
                look,
            });
        }
        if state.coming > 0 {
            return Plan::Take;
        }
        if room == Room::Free && state.phase == Phase::Closing && state.is_drained() {
            state.phase = Phase::Closed;
            drop(state);
            self.waker.wake();
            return Plan::Close;
        }
        self.idle.send_replace(idle);
        Plan::Rest(state.look_at.filter(|_| idle))
    }

    /// A call was answered: what it settled is no longer ours.
    pub(super) fn settled(&self, settles: &[Settle]) {
        let mut state = self.lock();
        state.sent -= settles.len();
        for settle in settles {
            state.held.remove(&settle.ticket);
        }
    }

    /// A call was not answered: its settles are sent again, unless their leases have ended.
    pub(super) fn unsettled(&self, want: usize, settles: Vec<Settle>) {
        let now = Instant::now();
        let mut state = self.lock();
        state.asked -= want;
        state.sent -= settles.len();
        for settle in settles {
            let lease_until = state.held.get(&settle.ticket).map(|held| held.lease_until);
            if lease_until.is_some_and(|until| until > now) {
                state.settles.push(settle);
            } else {
                state.held.remove(&settle.ticket);
                tracing::warn!(job.id = %settle.id, "the lease of a job ended before its result could be stored");
            }
        }
        state.hungry = true;
    }

    /// What a claim of so many jobs brought: how many, whether more is there, and when to look
    /// again.
    pub(super) fn claimed(&self, want: usize, jobs: usize, next: (bool, Option<Duration>)) {
        if want == 0 {
            return;
        }
        let mut state = self.lock();
        state.asked -= want;
        state.coming += jobs;
        state.hungry = next.0;
        state.look_at = next.1.map(|wait| Instant::now() + wait);
    }
}

impl Room {
    /// Whether so many settles are worth a call.
    fn is_for(self, settles: usize, concurrency: usize) -> bool {
        match self {
            Self::Free => true,
            Self::ForMany => settles >= many(concurrency),
            Self::None => false,
        }
    }
}

/// What one call takes of the jobs: while Redis has one half, we have the other, and neither waits.
fn share(options: &ConsumerOptions) -> usize {
    let calls = if options.overlaps { 2 } else { 1 };
    options.concurrency.get().div_ceil(calls).clamp(1, BATCH)
}

/// Settles that are worth a call while another is under way.
pub(super) fn many(concurrency: usize) -> usize {
    (concurrency / 3).clamp(4, BATCH)
}

impl State {
    pub(super) fn free(&self, concurrency: usize) -> usize {
        concurrency.saturating_sub(self.asked + self.coming + self.ready.len() + self.running)
    }

    /// Whether this turn looks for what is due: an idle worker always does.
    fn looks(&mut self, is_idle: bool) -> bool {
        let now = Instant::now();
        let is_time = self
            .looked_at
            .is_none_or(|at| now.duration_since(at) >= LOOK);
        if is_time || is_idle {
            self.looked_at = Some(now);
        }
        is_time || is_idle
    }

    pub(super) fn is_drained(&self) -> bool {
        self.coming == 0 && self.running == 0 && self.hooks == 0 && self.sent == 0
    }

    /// Jobs that have not begun go back.
    pub(super) fn release_ready(&mut self) {
        while let Some((ticket, _)) = self.ready.pop_front() {
            if let Some(held) = self.held.get(&ticket) {
                self.settles.push(Settle::release(ticket, &held.job));
            }
        }
    }
}
