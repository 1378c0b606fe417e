//! Leave to send a request to a provider: only under a lease that lasts.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::{ChannelUid, Timestamp};
use providers::{NotPermitted, Permit};
use queue::JobContext;
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::breaker::Pass;
use crate::monotonic::Monotonic;

/// What must be left of a lease beyond the provider's time-out.
pub(super) const RESERVE: Duration = Duration::from_secs(10);

/// Gives leave for the requests of one refresh.
///
/// A request is not sent if its answer might arrive after the lease: by then
/// another worker may have spent the same token. The first request of a fresh
/// lease needs nothing more; each further one takes a turn of the budget of its own, and renews
/// the lease first.
#[derive(Debug)]
pub(super) struct LeasePermit<'a> {
    pub(super) store: &'a Store,
    pub(super) channel: ChannelUid,
    pub(super) epoch: i64,
    pub(super) ttl: Duration,
    pub(super) provider_timeout: Duration,
    pub(super) clock: Monotonic,
    pub(super) stopping: &'a CancellationToken,
    pub(super) task: &'a JobContext,
    pub(super) pass: &'a Pass,
    /// Whether a further request loses nothing by waiting for its turn.
    pub(super) can_wait: bool,
    pub(super) state: Mutex<PermitState>,
}

/// What happened under the permit so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct PermitState {
    /// End of the lease, by the database's clock.
    pub(super) until: Timestamp,
    /// When the last request left; `None` before the first.
    pub(super) sent_at: Option<Timestamp>,
    /// Why the last request was not sent.
    pub(super) refused: Option<Refused>,
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The process is stopping.
    Stopping,
    /// Somebody cancelled the job.
    Cancelled,
    /// The lease is lost, or could not be renewed in time.
    Lease,
}

impl LeasePermit<'_> {
    /// What happened so far.
    pub(super) fn state(&self) -> PermitState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut PermitState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn refuse(&self, why: Refused) -> Result<(), NotPermitted> {
        self.change(|state| state.refused = Some(why));
        Err(match why {
            Refused::Stopping | Refused::Cancelled => NotPermitted::Stopping,
            Refused::Lease => NotPermitted::LeaseEnding,
        })
    }

    fn lasts(&self, until: Timestamp) -> bool {
        until > self.clock.now().plus(self.provider_timeout + RESERVE)
    }
}

#[async_trait]
impl Permit for LeasePermit<'_> {
    async fn before_request(&self) -> Result<(), NotPermitted> {
        if self.state().sent_at.is_some() {
            let turn = self.pass.another_turn(self.can_wait);
            self.stopping.run_until_cancelled(turn).await;
        }
        if self.stopping.is_cancelled() {
            return self.refuse(Refused::Stopping);
        }
        let state = self.state();
        if state.sent_at.is_none() && self.task.is_cancelled() {
            return self.refuse(Refused::Cancelled);
        }
        let mut until = state.until;
        if state.sent_at.is_some() || !self.lasts(until) {
            match self
                .store
                .renew_lease(self.channel, self.epoch, self.ttl)
                .await
            {
                Ok(Some(renewed)) => until = renewed,
                Ok(None) | Err(_) => return self.refuse(Refused::Lease),
            }
            if !self.lasts(until) {
                return self.refuse(Refused::Lease);
            }
        }
        let now = self.clock.now();
        self.change(|state| {
            state.until = until;
            state.sent_at = Some(now);
            state.refused = None;
        });
        Ok(())
    }

    fn heard_usage(&self, percent: u8) {
        self.pass.heard_usage(percent);
    }
}
