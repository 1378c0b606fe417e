//! Sweeps one tenant: queues every channel that comes to its end within the
//! window of the tenant's schedule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use jobs::{RefreshRequest, SweepTenant};
use queue::{BoxDynError, JobContext, NewJob, Outcome, QueueName, When};
use store::{Channel, Schedule};

use crate::Context;

/// What "comes to its end" means where the schedule does not say.
const DEFAULT_WINDOW: Duration = Duration::from_hours(1);

/// Queues the tenant's channels for one slot of its schedule.
///
/// A slot that was done is not done again, so a job that two schedulers queued
/// one after the other sweeps once.
///
/// # Errors
///
/// If the database or Redis is away; the queue tries again.
#[tracing::instrument(name = "job.sweep_tenant", skip_all, fields(
    job.id = %task.id(),
    tenant.uid = %job.tenant,
    queued = tracing::field::Empty,
))]
pub(crate) async fn sweep_tenant(
    job: SweepTenant,
    task: JobContext,
    context: Arc<Context>,
) -> Result<Outcome, BoxDynError> {
    let store = &context.deps.store;
    let Some(schedule) = store.schedule_by_uid(job.schedule).await? else {
        return Ok(Outcome::Cancelled);
    };
    if schedule.last_done_slot.is_some_and(|done| done >= job.slot) {
        return Ok(Outcome::Done);
    }
    let channels = store
        .needing_refresh(job.tenant, window(&schedule), None)
        .await?;
    let queued = queue_all(&context, &channels).await?;
    store.finish_slot(job.schedule, job.slot).await?;
    tracing::Span::current().record("queued", queued);
    tracing::info!(job.slot = %job.slot, "swept tenant");
    Ok(Outcome::Done)
}

fn window(schedule: &Schedule) -> Duration {
    schedule
        .refresh_before_minutes
        .map_or(DEFAULT_WINDOW, |minutes| {
            Duration::from_mins(u64::from(minutes))
        })
}

async fn queue_all(context: &Context, channels: &[Channel]) -> Result<usize, queue::QueueError> {
    let mut by_queue: BTreeMap<QueueName, Vec<NewJob>> = BTreeMap::new();
    for channel in channels
        .iter()
        .filter(|channel| channel.has_refresh_material)
    {
        let queue = jobs::refresh_queue(&channel.provider);
        by_queue.entry(queue).or_default().push(job_of(channel));
    }
    let mut queued = 0;
    for (name, jobs) in by_queue {
        let pushed = context.deps.queues.queue(&name).push_many(jobs).await?;
        queued += pushed.iter().filter(|result| result.is_ok()).count();
    }
    Ok(queued)
}

fn job_of(channel: &Channel) -> NewJob {
    jobs::refresh(RefreshRequest {
        tenant: channel.tenant,
        channel: channel.uid,
        provider: &channel.provider,
        generation: channel.generation,
        when: When::Scheduled,
        deadline: channel
            .access_expires_at
            .unwrap_or(Timestamp::from_millis(i64::MAX)),
        not_before: jobs::held_until(
            channel
                .last_error
                .as_ref()
                .map(|it| (it.class, &it.details)),
        ),
        id: None,
    })
}
