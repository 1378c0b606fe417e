//! How many requests to one provider may be under way at once.

use domain::ProviderName;
use queue::JobContext;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::permit::Refused;

/// The calls of one refresh queue in this process.
///
/// A refresh needs one only while its provider is asked: its lease is taken before, and its
/// answer stored after, while others ask.
#[derive(Debug)]
pub(crate) struct Calls {
    provider: ProviderName,
    free: Semaphore,
}

impl Calls {
    /// As many `at_once`, 1 or more.
    pub(crate) fn new(provider: ProviderName, at_once: usize) -> Self {
        Self {
            provider,
            free: Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS)),
        }
    }

    /// Who is called.
    pub(crate) const fn provider(&self) -> &ProviderName {
        &self.provider
    }

    /// Waits until one more may begin; first come, first served.
    pub(super) async fn begin(&self) -> SemaphorePermit<'_> {
        self.free.acquire().await.expect("nobody closes it")
    }
}

/// What a wait brings before the request has left.
///
/// # Errors
///
/// Why the request is not wanted any more.
pub(super) async fn unless_stopped<T>(
    (stopping, task): (&CancellationToken, &JobContext),
    wait: impl Future<Output = T>,
) -> Result<T, Refused> {
    let stop = task.stop_token();
    tokio::select! {
        biased;
        waited = wait => Ok(waited),
        () = stopping.cancelled() => Err(Refused::Stopping),
        () = stop.cancelled() => Err(if task.is_cancelled() {
            Refused::Cancelled
        } else {
            Refused::Lease
        }),
    }
}
