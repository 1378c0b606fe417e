//! Queues the tenants' recurring sweeps, each slot once.

use queue::{Queue, QueueError};
use store::Schedule;

use crate::{BATCH, Deps, SweepError};

/// Queues a job for each schedule whose slot has come, and moves it on.
///
/// The job is queued before the schedule moves on, under an id made of schedule
/// and slot: a crash in between queues it again and gets the same job. A slot
/// that is already done is recognised by whoever runs it. A slot that comes while
/// the sweep of an earlier one has not ended is left out: it would find the same
/// channels, and sweeps that nobody gets done must not pile up.
pub(crate) async fn queue_due(deps: &Deps) -> Result<(), SweepError> {
    let due = deps.store.due_schedules(BATCH).await?;
    if due.is_empty() {
        return Ok(());
    }
    let queue = deps.queues.queue(&jobs::sweep_queue());
    let mut sweeps = Vec::with_capacity(due.len());
    for schedule in &due {
        if is_busy(&queue, schedule).await? {
            tracing::info!(tenant.uid = %schedule.tenant, slot = %schedule.next_run_at, "left a slot out: the last sweep has not ended");
        } else {
            sweeps.push(job_of(schedule));
        }
    }
    queue.push_many(sweeps).await?;
    for schedule in due {
        deps.store
            .advance_schedule(schedule.uid, schedule.next_run_at)
            .await?;
    }
    Ok(())
}

/// Whether a sweep of the tenant waits or runs; also if it is that of this very slot, queued by
/// a scheduler that did not come to move the schedule on.
async fn is_busy(queue: &Queue, schedule: &Schedule) -> Result<bool, QueueError> {
    let counts = queue.counts(Some(&schedule.tenant.to_string())).await?;
    Ok(counts.waiting + counts.delayed + counts.active > 0)
}

fn job_of(schedule: &Schedule) -> queue::NewJob {
    jobs::sweep(schedule.tenant, schedule.uid, schedule.next_run_at)
}
