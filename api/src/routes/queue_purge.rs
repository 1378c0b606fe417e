//! Takes jobs out of a queue: `POST /api/v1/queues/{queue}/purge`.

use axum::Json;
use axum::extract::{Path, State};
use domain::Name;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use queue::{Change, JobFilter, JobId, JobState, Queue, QueueError, RemoveOutcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Tenant;

use super::job_list::known_state;
use super::queues::named;
use crate::App;
use crate::extract::{Input, present};
use crate::limits::PAGE_MAX;
use crate::problem::Problem;
use crate::trail::{self, Trail};

/// Jobs of one call; who has more calls again.
const MOST: usize = 10_000;
/// Jobs that are removed at once.
const AT_ONCE: usize = 16;

/// Which jobs of the queue, and whether to remove them at all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Purge {
    /// Those in this state; all, retained ones too, if it is not given.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", extend("enum" = JobState::ALL.map(JobState::as_str)))]
    state: Option<String>,
    /// Those of the tenant with this id.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Name", example = &"tenant_456")]
    tenant_id: Option<String>,
    /// Only count them.
    #[serde(default)]
    dry_run: bool,
}

/// What a purge came to.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "PurgedQueue")]
pub(super) struct PurgedView {
    /// Jobs that matched; at most 10,000 unless they were only counted.
    matched: u64,
    /// Those that are gone.
    removed: u64,
    /// Those that run; they were told to stop, and leave no trace when they end.
    running: u64,
    /// There are more than these.
    more: bool,
    dry_run: bool,
}

/// Removes jobs without a trace. What the database says is due comes back with a later sweep,
/// so that nothing is lost but the jobs themselves.
pub(super) async fn purge(
    State(app): State<App>,
    Path(name): Path<String>,
    trail: Trail,
    Input(purge): Input<Purge>,
) -> Result<Json<PurgedView>, Problem> {
    let queue = named(&app, &name)?;
    let tenant = tenant_of(&app, purge.tenant_id.as_deref()).await?;
    let filter = JobFilter {
        state: purge.state.as_deref().map(known_state).transpose()?,
        limit: usize::try_from(PAGE_MAX).unwrap_or(usize::MAX),
        ..JobFilter::default()
    };
    let uid = tenant.as_ref().map(|tenant| tenant.uid.to_string());
    if purge.dry_run {
        let counted = queue.change_all(Change::Remove, uid.as_deref(), &filter, true);
        return Ok(Json(PurgedView {
            matched: counted.await?.matched,
            dry_run: true,
            ..PurgedView::default()
        }));
    }
    let (ids, more) = select(&queue, uid.as_deref(), filter).await?;
    let purged = remove(&queue, ids, more).await?;
    let trail = match &tenant {
        Some(tenant) => trail.within(tenant.uid),
        None => trail,
    };
    let mut entry = trail.entry("queue.purge", format!("queues/{name}"));
    entry.details = json!({
        "state": purge.state, "tenant_id": purge.tenant_id,
        "removed": purged.removed, "running": purged.running,
    });
    trail::leave(&app, &entry).await;
    Ok(Json(purged))
}

async fn tenant_of(app: &App, id: Option<&str>) -> Result<Option<Tenant>, Problem> {
    let Some(id) = id else {
        return Ok(None);
    };
    let missing = || Problem::not_found("tenant");
    let name: Name = id.parse().map_err(|_| missing())?;
    let tenant = app.store.tenant(&name).await?;
    tenant.map(Some).ok_or_else(missing)
}

/// The ids of those that match, before the first is removed: that may move others in the list.
async fn select(
    queue: &Queue,
    tenant: Option<&str>,
    mut filter: JobFilter,
) -> Result<(Vec<JobId>, bool), QueueError> {
    let mut ids = Vec::new();
    loop {
        let page = queue.list(tenant, &filter).await?;
        ids.extend(page.items.into_iter().map(|job| job.id));
        filter.cursor = page.next_cursor;
        if filter.cursor.is_none() || ids.len() >= MOST {
            return Ok((ids, filter.cursor.is_some()));
        }
    }
}

async fn remove(queue: &Queue, ids: Vec<JobId>, more: bool) -> Result<PurgedView, QueueError> {
    let mut purged = PurgedView {
        matched: ids.len() as u64,
        more,
        ..PurgedView::default()
    };
    let removals = ids
        .into_iter()
        .map(|id| async move { queue.remove(&id).await });
    let mut outcomes = stream::iter(removals).buffered(AT_ONCE);
    while let Some(outcome) = outcomes.try_next().await? {
        match outcome {
            RemoveOutcome::Removed => purged.removed += 1,
            RemoveOutcome::Signalled => purged.running += 1,
            // It has gone by itself.
            RemoveOutcome::Unknown => {}
        }
    }
    Ok(purged)
}
