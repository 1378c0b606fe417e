//! Hands due channels out to the queues of their providers.

use std::collections::BTreeMap;

use domain::{ChannelState, Timestamp};
use jobs::RefreshRequest;
use queue::{NewJob, QueueName, When};
use store::Due;

use crate::{Deps, SweepError, deletion};

/// What one sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows that the database handed out.
    pub handed_out: u64,
    /// Jobs that are in the queue for them, new or not.
    pub queued: u64,
    /// Channels on their way out that were removed.
    pub removed: u64,
}

/// Takes up to `limit` due rows and queues them. O(due), whatever the table holds.
pub(crate) async fn hand_out_due(deps: &Deps, limit: u32) -> Result<Swept, SweepError> {
    let due = deps.store.take_due(limit).await?;
    let handed_out = due.len() as u64;
    let (leaving, due): (Vec<Due>, Vec<Due>) = due
        .into_iter()
        .partition(|due| due.state == ChannelState::Deleting);
    let removed = deletion::remove(deps, &leaving).await?;
    let queued = queue_all(deps, due).await?;
    if handed_out > 0 {
        tracing::debug!(handed_out, queued, removed, "swept");
    }
    Ok(Swept {
        handed_out,
        queued,
        removed,
    })
}

async fn queue_all(deps: &Deps, due: Vec<Due>) -> Result<u64, SweepError> {
    let mut by_queue: BTreeMap<QueueName, Vec<NewJob>> = BTreeMap::new();
    for due in due {
        let queue = jobs::refresh_queue(&due.provider);
        by_queue.entry(queue).or_default().push(job_of(&due));
    }
    let mut queued = 0;
    for (name, jobs) in by_queue {
        let pushed = deps.queues.queue(&name).push_many(jobs).await?;
        for refused in pushed.iter().filter_map(|result| result.as_ref().err()) {
            tracing::error!(queue = %name, error = %refused, "a due channel was not queued");
        }
        queued += pushed.iter().filter(|result| result.is_ok()).count() as u64;
    }
    Ok(queued)
}

/// The job of a due row; under the id that somebody was told, if somebody asked.
fn job_of(due: &Due) -> NewJob {
    jobs::refresh(RefreshRequest {
        tenant: due.tenant,
        channel: due.channel,
        provider: &due.provider,
        generation: due.generation,
        when: When::Scheduled,
        deadline: due
            .access_expires_at
            .or(due.due_at)
            .unwrap_or(Timestamp::from_millis(i64::MAX)),
        not_before: None,
        id: due.request_job_id.as_deref(),
    })
}
