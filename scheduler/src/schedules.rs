//! Queues the tenants' recurring sweeps, each slot once.

use domain::Timestamp;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use queue::{NewJob, Queue, QueueError};
use store::Schedule;

use crate::{BATCH, Deps, SweepError};

/// Tenants whose last sweeps are asked after at the same time.
const AT_ONCE: usize = 16;

/// Queues a job for each schedule whose slot has come, and moves it on.
///
/// The job is queued before the schedule moves on, under an id made of schedule
/// and slot: a crash in between queues it again and gets the same job. A slot
/// that is already done is recognised by whoever runs it.
pub(crate) async fn queue_due(deps: &Deps) -> Result<(), SweepError> {
    let due = deps.store.due_schedules(BATCH).await?;
    if due.is_empty() {
        return Ok(());
    }
    let now = deps.store.now().await?;
    let queue = deps.queues.queue(&jobs::sweep_queue());
    let asked: Vec<_> = due
        .iter()
        .map(|schedule| sweep_of(&queue, schedule, now))
        .collect();
    let sweeps: Vec<Option<NewJob>> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    let sweeps = sweeps.into_iter().flatten().collect();
    queue.push_many(sweeps).await?;
    for schedule in due {
        deps.store
            .advance_schedule(schedule.uid, schedule.next_run_at)
            .await?;
    }
    Ok(())
}

/// The sweep of the slot that has come; `None` if the slot is left out: because it was missed
/// and the tenant does not want it late, or because the sweep of an earlier one has not ended.
/// It would find the same channels, and sweeps that nobody gets done must not pile up.
async fn sweep_of(
    queue: &Queue,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<Option<NewJob>, QueueError> {
    let slot = schedule.next_run_at;
    if schedule.misfire.leaves_out(slot, now) {
        tracing::info!(tenant.uid = %schedule.tenant, %slot, "left a slot out: it was missed");
        return Ok(None);
    }
    if is_busy(queue, schedule).await? {
        tracing::info!(tenant.uid = %schedule.tenant, %slot, "left a slot out: the last sweep has not ended");
        return Ok(None);
    }
    Ok(Some(jobs::sweep(schedule.tenant, schedule.uid, slot)))
}

/// Whether a sweep of the tenant waits or runs; also if it is that of this very slot, queued by
/// a scheduler that did not come to move the schedule on.
async fn is_busy(queue: &Queue, schedule: &Schedule) -> Result<bool, QueueError> {
    let counts = queue.counts(Some(&schedule.tenant.to_string())).await?;
    Ok(counts.waiting + counts.delayed + counts.active > 0)
}
