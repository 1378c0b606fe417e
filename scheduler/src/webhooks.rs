//! Hands events on to the webhook endpoints that hear of them, and endpoints to the queue.

use store::DueEndpoint;

use crate::{Deps, SweepError};

/// Makes deliveries of new events, and queues a visit to each endpoint for which
/// something waits. O(new events + due endpoints).
pub(crate) async fn hand_on(deps: &Deps, limit: u32) -> Result<(), SweepError> {
    while deps.store.dispatch_events(limit).await? == u64::from(limit) {}
    let due = deps.store.take_endpoints(limit).await?;
    if due.is_empty() {
        return Ok(());
    }
    let visits = due.iter().map(job_of).collect();
    let queue = deps.queues.queue(&jobs::webhook_queue());
    for refused in queue
        .push_many(visits)
        .await?
        .iter()
        .filter_map(|it| it.as_ref().err())
    {
        tracing::error!(error = %refused, "a visit to a webhook endpoint was not queued");
    }
    Ok(())
}

fn job_of(due: &DueEndpoint) -> queue::NewJob {
    jobs::visit(due.tenant, due.uid, due.next_handout_at)
}
