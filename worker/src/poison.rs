//! Jobs that end without their handler's word: the history learns of them too.

use std::sync::Arc;
use std::time::Duration;

use domain::{AttemptOutcome, AttemptRecord, Details, ErrorClass, Timestamp, reason};
use jobs::RefreshChannel;
use queue::{JobState, JobView, PoisonHook};
use store::Store;
use uuid::Uuid;

/// Pause between tries to write the record while the database is away.
const PAUSE: Duration = Duration::from_secs(1);

/// Records a job that crashed its worker too often, that no handler understood, or
/// that was cancelled while it waited for its next try.
pub(crate) fn recorder(store: Store) -> PoisonHook {
    Arc::new(move |job| {
        let store = store.clone();
        Box::pin(async move { record(&store, &job).await })
    })
}

async fn record(store: &Store, job: &JobView) {
    let Ok(ids) = serde_json::from_slice::<RefreshChannel>(&job.payload) else {
        tracing::error!(job.id = %job.id, "a job with an unreadable payload was given up");
        return;
    };
    let (class, details) = if job.state == JobState::Cancelled {
        (ErrorClass::Cancelled, Details::default())
    } else {
        tracing::error!(job.id = %job.id, channel.uid = %ids.channel, "a job was given up as poison");
        (ErrorClass::Fatal, Details::because(reason::POISON))
    };
    let started_at = job.started_at_ms.unwrap_or(job.created_at_ms);
    let record = AttemptRecord {
        uid: Uuid::now_v7(),
        tenant: ids.tenant,
        channel: ids.channel,
        job_id: job.id.to_string(),
        attempt: job.attempt,
        started_at: Timestamp::from_millis(started_at),
        duration: Duration::ZERO,
        outcome: AttemptOutcome::Failed(class),
        ends_job: true,
        generation: None,
        new_expires_at: None,
        replaced: None,
        details,
    };
    while let Err(error) = store.record(record.clone()).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a poison job was not recorded yet"
        );
        tokio::time::sleep(PAUSE).await;
    }
}
