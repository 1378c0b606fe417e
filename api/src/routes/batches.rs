//! S2.2: `POST …/channels/refresh` and `GET /api/v1/batches/{batch}`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use domain::{ChannelState, Details, ErrorClass, Name, RefreshResult, TenantUid};
use futures::future::try_join_all;
use http::StatusCode;
use http::request::Parts;
use queue::JobId;
use serde::{Deserialize, Serialize};
use store::{BatchItem, Channel};
use tokio::time::Instant;
use uuid::Uuid;

use crate::App;
use crate::caller::{Caller, Right};
use crate::dispatch;
use crate::extract::{InTenant, OptionalInput, Params, Text, path_param, present};
use crate::limits::BATCH_MAX;
use crate::problem::{FieldError, Problem};
use crate::wait::{self, End};

/// Jobs about which the queue is asked at the same time.
const ASKED_AT_ONCE: usize = 50;

/// How long to wait for all of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    wait: Option<i64>,
}

/// Which channels; without ids, all that need it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BatchBody {
    #[serde(deserialize_with = "present")]
    channel_ids: Option<Vec<String>>,
}

/// A batch that nobody waits for.
#[derive(Debug, Serialize)]
struct Accepted {
    batch_id: Uuid,
}

/// What a batch came to so far, in the order given.
#[derive(Debug, Serialize)]
pub(super) struct BatchView {
    batch_id: Uuid,
    processed: usize,
    succeeded: usize,
    failed: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<usize>,
    results: Vec<RefreshResult>,
}

impl BatchView {
    fn of(batch_id: Uuid, items: &[BatchItem], ended: &HashMap<String, RefreshResult>) -> Self {
        let result = |item: &BatchItem| {
            let from_job = || item.job_id.as_ref().and_then(|id| ended.get(id)).cloned();
            item.result.clone().or_else(from_job)
        };
        let results: Vec<RefreshResult> = items.iter().filter_map(result).collect();
        let succeeded = results.iter().filter(|result| result.success).count();
        Self {
            batch_id,
            processed: results.len(),
            succeeded,
            failed: results.len() - succeeded,
            pending: None,
            results,
        }
    }
}

/// Refreshes many channels and waits for all of them.
pub(super) async fn refresh_many(
    State(app): State<App>,
    tenant: InTenant,
    Params(query): Params<WaitQuery>,
    OptionalInput(body): OptionalInput<BatchBody>,
) -> Result<Response, Problem> {
    let tenant = tenant.with(Right::Refresh)?;
    let deadline = wait::deadline(query.wait)?;
    let wanted = if let Some(ids) = body.channel_ids {
        named(&app, tenant.uid, ids).await?
    } else {
        let due = app.store.due_for_batch(tenant.uid).await?;
        due.into_iter().map(Ok).collect()
    };
    let items = ask(&app, wanted).await?;
    let batch_id = app.store.create_batch(tenant.uid, items.clone()).await?;
    let ended = match deadline {
        Some(deadline) => wait_for(&app, &items, deadline).await?,
        None => None,
    };
    Ok(match ended {
        Some(ended) => Json(BatchView::of(batch_id, &items, &ended)).into_response(),
        None => (StatusCode::ACCEPTED, Json(Accepted { batch_id })).into_response(),
    })
}

/// Shows a batch as far as it has come.
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    BatchId(id): BatchId,
) -> Result<Json<BatchView>, Problem> {
    let missing = || Problem::not_found("batch");
    let batch = app.store.batch(id).await?.ok_or_else(missing)?;
    if !caller.sees(batch.tenant) {
        return Err(missing());
    }
    caller.require(Right::ReadJobs)?;
    let ended = ended(&app, &batch.items).await?;
    let mut view = BatchView::of(id, &batch.items, &ended);
    view.pending = Some(batch.items.len() - view.processed);
    Ok(Json(view))
}

/// The batch in the path.
pub(super) struct BatchId(Uuid);

impl FromRequestParts<App> for BatchId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        let id = path_param(parts, "batch").await;
        let id = id.and_then(|id| Uuid::try_parse(&id).ok());
        id.map(Self).ok_or_else(|| Problem::not_found("batch"))
    }
}

/// A channel, or the id of one that does not exist.
type Wanted = Result<Channel, String>;

/// The channels with these ids, each id once.
async fn named(app: &App, tenant: TenantUid, mut ids: Vec<String>) -> Result<Vec<Wanted>, Problem> {
    check(&ids)?;
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    let names: Vec<Name> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let mut found: HashMap<String, Channel> = app
        .store
        .channels_named(tenant, &names)
        .await?
        .into_iter()
        .map(|channel| (channel.id.to_string(), channel))
        .collect();
    Ok(ids
        .into_iter()
        .map(|id| found.remove(&id).ok_or(id))
        .collect())
}

fn check(ids: &[String]) -> Result<(), Problem> {
    if ids.len() > BATCH_MAX {
        let message = format!("must have up to {BATCH_MAX} ids");
        return Err(Problem::invalid_field("channel_ids", message));
    }
    let errors: Vec<FieldError> = ids
        .iter()
        .enumerate()
        .filter_map(|(place, id)| {
            Text::LABEL
                .check(&format!("channel_ids[{place}]"), id)
                .err()
        })
        .take(20)
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(errors))
    }
}

/// Asks for the refreshes that make sense; the others have their answer at once.
async fn ask(app: &App, wanted: Vec<Wanted>) -> Result<Vec<BatchItem>, Problem> {
    let to_refresh: Vec<&Channel> = wanted
        .iter()
        .filter_map(|it| it.as_ref().ok())
        .filter(|channel| at_once(channel).is_none())
        .collect();
    let mut ids = dispatch::many(app, &to_refresh).await?.into_iter();
    let item = |it: &Wanted| match it {
        Err(id) => item(id, None, Some(refused(id, ErrorClass::NotFound, None))),
        Ok(channel) => match at_once(channel) {
            Some(result) => item(channel.id.as_str(), None, Some(result)),
            None => item(channel.id.as_str(), ids.next(), None),
        },
    };
    Ok(wanted.iter().map(item).collect())
}

fn item(id: &str, job: Option<JobId>, result: Option<RefreshResult>) -> BatchItem {
    BatchItem {
        channel_id: id.to_owned(),
        job_id: job.map(|job| job.to_string()),
        result,
    }
}

/// The answer for a channel for which no job is made.
fn at_once(channel: &Channel) -> Option<RefreshResult> {
    let id = channel.id.as_str();
    match channel.state {
        ChannelState::Active | ChannelState::Error => None,
        ChannelState::NeverExpires => Some(RefreshResult::not_needed(
            id,
            channel.generation,
            channel.access_expires_at,
        )),
        ChannelState::NeedsReauth => Some(refused(
            id,
            class_of(channel.reason.as_deref()),
            channel.reason.as_deref(),
        )),
        ChannelState::Paused => Some(refused(id, ErrorClass::Cancelled, Some("paused"))),
        ChannelState::Deleting => Some(refused(id, ErrorClass::NotFound, None)),
    }
}

/// The class that a channel in `needs_reauth` shows: material that was taken away
/// is told apart from a grant that is gone.
fn class_of(reason: Option<&str>) -> ErrorClass {
    if reason == Some(ErrorClass::NoRefreshMaterial.as_str()) {
        ErrorClass::NoRefreshMaterial
    } else {
        ErrorClass::ReauthRequired
    }
}

fn refused(id: &str, error: ErrorClass, reason: Option<&str>) -> RefreshResult {
    RefreshResult::refused(id, error, reason.map(Details::because))
}

/// Waits for every job; `None` if the time is over first.
async fn wait_for(
    app: &App,
    items: &[BatchItem],
    deadline: Instant,
) -> Result<Option<HashMap<String, RefreshResult>>, Problem> {
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

fn is_pending(item: &BatchItem, ended: &HashMap<String, RefreshResult>) -> bool {
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
async fn recorded(
    app: &App,
    items: &[BatchItem],
) -> Result<HashMap<String, RefreshResult>, Problem> {
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
async fn ended(app: &App, items: &[BatchItem]) -> Result<HashMap<String, RefreshResult>, Problem> {
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
