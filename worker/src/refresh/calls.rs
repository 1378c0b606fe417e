//! How many requests to one provider may be under way at once, and how many refreshes with them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ProviderName;
use queue::{Concurrency, JobContext};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::permit::Refused;

/// While so many refreshes ask their provider, as many others take their lease or store their
/// answer, up to this number: neither needs the provider, nor does it wait for them.
const AHEAD: usize = 256;
/// At most so many where the provider answers faster than that.
const AHEAD_MAX: usize = 512;
/// How long lease and storing take a busy fleet: its database commits a few hundred at a time.
const AWAY: Duration = Duration::from_millis(50);
/// How long requests are counted before the next ones are claimed at their rate.
const COUNTED: Duration = Duration::from_millis(100);

/// The calls of one refresh queue in this process.
///
/// A refresh needs one only while its provider is asked: its lease is taken before, and its
/// answer stored after, while others ask.
#[derive(Debug)]
pub(crate) struct Calls {
    provider: ProviderName,
    at_once: usize,
    free: Semaphore,
    /// All refreshes, whatever they do.
    refreshes: Concurrency,
    counted: Mutex<Counted>,
}

/// Requests that have begun since then.
#[derive(Debug)]
struct Counted {
    since: Instant,
    begun: u32,
}

impl Calls {
    /// As many `at_once`, 1 or more.
    pub(crate) fn new(provider: ProviderName, at_once: usize) -> Self {
        let at_once = at_once.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            provider,
            at_once,
            free: Semaphore::new(at_once),
            refreshes: Concurrency::new(at_once + ahead(at_once, 0, COUNTED)),
            counted: Mutex::new(Counted::none()),
        }
    }

    /// How many refreshes there may be at once; it follows the pace of the provider.
    pub(crate) fn refreshes(&self) -> Concurrency {
        self.refreshes.clone()
    }

    /// Who is called.
    pub(crate) const fn provider(&self) -> &ProviderName {
        &self.provider
    }

    /// Waits until one more may begin; first come, first served.
    pub(super) async fn begin(&self) -> SemaphorePermit<'_> {
        let turn = self.free.acquire().await.expect("nobody closes it");
        self.count();
        turn
    }

    fn count(&self) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.begun += 1;
        let time = counted.since.elapsed();
        if time >= COUNTED {
            let begun = std::mem::replace(&mut *counted, Counted::none()).begun;
            self.refreshes
                .set(self.at_once + ahead(self.at_once, begun, time));
        }
    }
}

impl Counted {
    fn none() -> Self {
        Self {
            since: Instant::now(),
            begun: 0,
        }
    }
}

/// How many refreshes take their lease or store their answer at once, where so many have begun
/// to ask in this time.
fn ahead(at_once: usize, begun: u32, time: Duration) -> usize {
    let meanwhile = u128::from(begun) * AWAY.as_micros() / time.as_micros().max(1);
    usize::try_from(meanwhile)
        .unwrap_or(AHEAD_MAX)
        .min(AHEAD_MAX)
        .max(at_once.min(AHEAD))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_refreshes_as_ask_are_about_to_or_have_and_more_where_answers_come_at_once() {
        let ahead = |at_once, per_second| ahead(at_once, per_second, Duration::from_secs(1));

        assert_eq!(
            [ahead(1, 0), ahead(50, 0), ahead(200, 3800), ahead(300, 20)],
            [1, 50, 200, 256]
        );
        assert_eq!(
            [ahead(50, 1000), ahead(50, 7000), ahead(1, 50_000)],
            [50, 350, 512]
        );
    }
}
