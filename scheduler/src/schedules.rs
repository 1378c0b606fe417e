//! Queues the tenants' recurring sweeps, each slot once.

use store::Schedule;

use crate::{BATCH, Deps, SweepError};

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
    let sweeps = due.iter().map(job_of).collect();
    let queue = deps.queues.queue(&jobs::sweep_queue());
    queue.push_many(sweeps).await?;
    for schedule in due {
        deps.store
            .advance_schedule(schedule.uid, schedule.next_run_at)
            .await?;
    }
    Ok(())
}

fn job_of(schedule: &Schedule) -> queue::NewJob {
    jobs::sweep(schedule.tenant, schedule.uid, schedule.next_run_at)
}
