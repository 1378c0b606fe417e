//! Finds due channels and due schedules, and queues their jobs.
//!
//! Any number of schedulers may run: a due row is handed out once by the
//! database, and a job that two of them queue is one job.

mod deletion;
mod schedules;
mod sweep;
mod webhooks;

use std::time::Duration;

use queue::Queues;
use store::{ExpiryWalk, Retention, Store};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use sweep::Swept;

/// Rows that one statement hands out; a sweep repeats it until fewer come.
const BATCH: u32 = 1000;
/// Rows of the first one, so that workers which waited begin while the others are handed out.
const FIRST: u32 = 200;
/// Channels whose refresh tokens' ends are looked at between two trims.
const WALK: u32 = 20_000;
/// How often finished history and old rows are trimmed.
const TRIM_EVERY: Duration = Duration::from_mins(1);

/// What the scheduler needs.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Knows what is due.
    pub store: Store,
    /// Takes the jobs.
    pub queues: Queues,
    /// Time between two sweeps.
    pub interval: Duration,
    /// How much history is kept.
    pub retention: Retention,
}

/// A sweep that did not finish; the next one finds what this one left.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The database did not answer.
    #[error("the due channels could not be read")]
    Store(#[from] store::StoreError),
    /// Redis did not answer. What was handed out comes back after its rest.
    #[error("due jobs could not be queued")]
    Queue(#[from] queue::QueueError),
}

/// Sweeps until `shutdown`; a failed sweep is logged, and the next one comes.
pub async fn run(deps: Deps, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(deps.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trims = tokio::time::interval(TRIM_EVERY);
    trims.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    let mut walk = ExpiryWalk::default();
    loop {
        let done = tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => sweep_all(&deps, &shutdown).await,
            _ = trims.tick() => trim(&deps, &mut walk).await,
        };
        report(done, &mut failing);
    }
}

/// One round over everything that can be due.
///
/// # Errors
///
/// [`SweepError`] if the database or Redis does not answer.
pub async fn sweep(deps: &Deps) -> Result<Swept, SweepError> {
    sweep_up_to(deps, BATCH).await
}

async fn sweep_up_to(deps: &Deps, channels: u32) -> Result<Swept, SweepError> {
    deps.store.fold_counters().await?;
    schedules::queue_due(deps).await?;
    webhooks::hand_on(deps, BATCH).await?;
    sweep::hand_out_due(deps, channels).await
}

/// Sweeps again at once while there is more than one batch of due channels.
async fn sweep_all(deps: &Deps, shutdown: &CancellationToken) -> Result<(), SweepError> {
    let mut batch = FIRST;
    while !shutdown.is_cancelled() {
        let swept = sweep_up_to(deps, batch).await?;
        if swept.handed_out < u64::from(batch) {
            break;
        }
        batch = BATCH;
    }
    Ok(())
}

async fn trim(deps: &Deps, walk: &mut ExpiryWalk) -> Result<(), SweepError> {
    *walk = deps.store.tell_expiring(*walk, WALK).await?;
    deps.store.prune_history(deps.retention, BATCH).await?;
    deps.store.remove_empty_tenants(BATCH).await?;
    let oldest = deps.retention.audit_max_age;
    deps.store.forget_changes(oldest, BATCH).await?;
    deps.store.forget_sessions(BATCH).await?;
    deps.store.forget_invitations().await?;
    Ok(())
}

/// Logs a failure once, and once that it is over.
fn report(done: Result<(), SweepError>, failing: &mut bool) {
    match done {
        Ok(()) if *failing => {
            *failing = false;
            tracing::info!("sweeping again");
        }
        Ok(()) => {}
        Err(error) if *failing => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "still not sweeping"
            );
        }
        Err(error) => {
            *failing = true;
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a sweep failed; the next one tries again"
            );
        }
    }
}
