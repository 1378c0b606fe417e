//! What the jobs of a batch came to, as far as they have.

use std::collections::HashMap;
use std::time::Duration;

use domain::RefreshResult;
use futures::future::try_join_all;
use queue::JobId;
use store::BatchItem;
use tokio::time::Instant;

use crate::App;
use crate::problem::Problem;
use crate::wait::{self, End};

/// Jobs about which the queue is asked at the same time.
const ASKED_AT_ONCE: usize = 50;

/// Results by the ids of their jobs.
pub(super) type Results = HashMap<String, RefreshResult>;

/// Waits for every job; `None` if the time is over first.
pub(super) async fn wait_for(
    app: &App,
    items: &[BatchItem],
    deadline: Instant,
) -> Result<Option<Results>, Problem> {
    let mut shared = HashMap::new();
    loop {
        let mut ended = recorded(app, items).await?;
        ended.extend(shared.clone());
        let mut pending = items.iter().filter(|item| is_pending(item, &ended));
        let Some(next) = pending.next() else {
            return Ok(Some(ended));
        };
        if Instant::now() >= deadline || app.stopping().is_cancelled() {
            return Ok(None);
        }
        let rest = pending.count();
        let id: JobId = job_of(next)?;
        if let End::ServedBy(record) = wait::for_job(app, &id, deadline).await? {
            let result = wait::shared_result(&next.channel_id, &id, &record);
            shared.insert(id.to_string(), result);
        }
        // Jobs end close together: look at all of them once, not at each as it ends.
        let breath = Duration::from_millis(20) + Duration::from_micros(100) * clamp(rest);
        wait::pause(app, deadline, breath).await;
    }
}

fn is_pending(item: &BatchItem, ended: &Results) -> bool {
    item.job_id
        .as_ref()
        .is_some_and(|id| !ended.contains_key(id))
}

fn job_of(item: &BatchItem) -> Result<JobId, Problem> {
    let id = item.job_id.as_deref().unwrap_or_default();
    id.parse()
        .map_err(|error: queue::InvalidName| Problem::internal(&error))
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX).min(10_000)
}

/// The results of the jobs that ended, by their ids.
async fn recorded(app: &App, items: &[BatchItem]) -> Result<Results, Problem> {
    let ids: Vec<String> = items.iter().filter_map(|it| it.job_id.clone()).collect();
    let records = app.store.job_results(&ids).await?;
    let result = |item: &BatchItem| {
        let record = records.get(item.job_id.as_ref()?)?;
        let result = RefreshResult::of(&item.channel_id, record);
        Some((record.job_id.clone(), result))
    };
    Ok(items.iter().filter_map(result).collect())
}

/// [`recorded`], and the jobs that a run of another job served.
pub(super) async fn ended(app: &App, items: &[BatchItem]) -> Result<Results, Problem> {
    let mut ended = recorded(app, items).await?;
    let pending: Vec<&BatchItem> = items.iter().filter(|it| is_pending(it, &ended)).collect();
    let mut shared = Vec::new();
    for some in pending.chunks(ASKED_AT_ONCE) {
        shared.extend(try_join_all(some.iter().map(|item| served(app, item))).await?);
    }
    drop(pending);
    ended.extend(shared.into_iter().flatten());
    Ok(ended)
}

async fn served(app: &App, item: &BatchItem) -> Result<Option<(String, RefreshResult)>, Problem> {
    let id = job_of(item)?;
    let Some(job) = wait::look(app, &id).await else {
        return Ok(None);
    };
    let record = wait::served_by(app, &job).await?;
    let result = |record| wait::shared_result(&item.channel_id, &id, &record);
    Ok(record.map(|record| (id.to_string(), result(record))))
}
