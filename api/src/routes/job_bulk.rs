//! All jobs of a tenant that match: `POST /api/v1/tenants/{tenant}/jobs/{cancel,retry,promote}`.

pub(super) mod everywhere;

use std::borrow::Cow;
use std::marker::PhantomData;

use axum::Json;
use axum::extract::State;
use domain::Name;
use queue::{JobState, PromoteOutcome};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use store::Tenant;

use super::job_list::{find_channel, known_state, queues_of};
use super::job_pages::{self, Listing};
use super::jobs;
use crate::App;
use crate::extract::{InTenant, Job, OnJob, OptionalInput, Params, load_job, present};
use crate::problem::Problem;

/// Jobs of one call; who has more calls again with the cursor of the answer.
const MOST: usize = 200;

/// Which jobs, and whether to change them at all; `S` says in which states.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "")]
#[schemars(bound = "S: States + JsonSchema")]
pub(super) struct Selection<S> {
    /// Those in this state; all that the change is possible for if it is not given.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "StateIn<S>")]
    state: Option<String>,
    /// Those of the channel with this id.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Name", example = &"channel_123")]
    channel: Option<String>,
    /// Those in this queue; all but visits to webhooks if it is not given.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", example = &"refresh:tiktok")]
    queue: Option<String>,
    /// Only count them.
    #[serde(default)]
    dry_run: bool,
    #[serde(skip)]
    states: PhantomData<S>,
}

/// Where to go on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkQuery {
    /// The `next_cursor` of the call before.
    cursor: Option<String>,
}

impl<S> Default for Selection<S> {
    fn default() -> Self {
        Self {
            state: None,
            channel: None,
            queue: None,
            dry_run: false,
            states: PhantomData,
        }
    }
}

/// The states in which a job can be changed so.
pub(super) trait States {
    const ALL: &'static [JobState];
}

/// The states in which a job can be cancelled.
#[derive(Debug, JsonSchema)]
pub(super) struct Cancellable;

/// The states in which a job can be retried.
#[derive(Debug, JsonSchema)]
pub(super) struct Retriable;

/// The states in which a job can be promoted.
#[derive(Debug, JsonSchema)]
pub(super) struct Promotable;

impl States for Cancellable {
    const ALL: &'static [JobState] = &[JobState::Waiting, JobState::Delayed, JobState::Active];
}

impl States for Retriable {
    const ALL: &'static [JobState] = &[JobState::Failed];
}

impl States for Promotable {
    const ALL: &'static [JobState] = &[JobState::Delayed];
}

/// One of those states, as the document of the API tells it.
struct StateIn<S>(PhantomData<S>);

impl<S: States> JsonSchema for StateIn<S> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "State".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = S::ALL.iter().map(|state| state.as_str()).collect();
        json_schema!({"type": "string", "enum": words})
    }
}

/// What a change of many jobs came to.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BulkView {
    /// Jobs that match, at most 200.
    matched: usize,
    /// Those that were changed.
    changed: usize,
    /// Those that were in no state for it by then.
    refused: usize,
    /// There may be more; the next call with the same selection goes on from here.
    next_cursor: Option<String>,
    dry_run: bool,
}

/// What is done to each.
#[derive(Clone, Copy)]
enum Change {
    Cancel,
    Retry,
    Promote,
}

/// Where a job stands after it was moved to now.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Promoted {
    job_id: String,
    state: &'static str,
}

/// Moves a delayed job to now, past our own backoff, but never before a time that its
/// provider set.
pub(super) async fn promote(
    State(app): State<App>,
    OnJob(job): OnJob,
) -> Result<Json<Promoted>, Problem> {
    let state = promote_one(&app, &job).await?;
    Ok(Json(Promoted {
        job_id: job.id.to_string(),
        state: state.as_str(),
    }))
}

/// Cancels those that wait, are delayed, or run.
pub(super) async fn cancel_all(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Params(query): Params<BulkQuery>,
    OptionalInput(selection): OptionalInput<Selection<Cancellable>>,
) -> Result<Json<BulkView>, Problem> {
    change_all(Change::Cancel, (app, Some(tenant)), query, selection).await
}

/// Does the work of those that failed again.
pub(super) async fn retry_all(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Params(query): Params<BulkQuery>,
    OptionalInput(selection): OptionalInput<Selection<Retriable>>,
) -> Result<Json<BulkView>, Problem> {
    change_all(Change::Retry, (app, Some(tenant)), query, selection).await
}

/// Moves those that are delayed to now.
pub(super) async fn promote_all(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Params(query): Params<BulkQuery>,
    OptionalInput(selection): OptionalInput<Selection<Promotable>>,
) -> Result<Json<BulkView>, Problem> {
    change_all(Change::Promote, (app, Some(tenant)), query, selection).await
}

/// Changes the jobs of this tenant, or of all, call by call.
async fn change_all<S: States>(
    change: Change,
    (app, tenant): (App, Option<Tenant>),
    query: BulkQuery,
    selection: Selection<S>,
) -> Result<Json<BulkView>, Problem> {
    let states = states_of(&selection)?;
    let channel = match (&tenant, &selection.channel) {
        (Some(tenant), Some(id)) => Some(find_channel(&app, tenant.uid, id).await?),
        _ => None,
    };
    let queues = queues_of(&app, selection.queue.as_deref(), channel.as_ref())?;
    let key = channel.map(|it| ::jobs::refresh_key(it.uid));
    let of_state = |state| Listing {
        tenant: tenant.as_ref().map(|it| it.uid.to_string()),
        state: Some(state),
        key: key.clone(),
        queues: queues.clone(),
        limit: MOST,
    };
    let listings: Vec<Listing> = states.into_iter().map(of_state).collect();
    let (ids, next_cursor) = select(&app, listings, query.cursor.as_deref()).await?;
    let mut answer = BulkView {
        matched: ids.len(),
        changed: 0,
        refused: 0,
        next_cursor,
        dry_run: selection.dry_run,
    };
    if selection.dry_run {
        return Ok(Json(answer));
    }
    for id in ids {
        // Each as if it were asked for alone: with its end in the history.
        let outcome = match load_job(&app, &id).await {
            Ok(job) => change_one(&app, change, job).await,
            Err(problem) => Err(problem),
        };
        match outcome {
            Ok(()) => answer.changed += 1,
            Err(problem) if problem.status().is_client_error() => answer.refused += 1,
            Err(problem) => return Err(problem),
        }
    }
    Ok(Json(answer))
}

/// The states that are asked for.
fn states_of<S: States>(selection: &Selection<S>) -> Result<Vec<JobState>, Problem> {
    let Some(word) = &selection.state else {
        return Ok(S::ALL.to_vec());
    };
    let state = known_state(word)?;
    if !S::ALL.contains(&state) {
        let words = S::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>();
        let message = format!("must be one of {}", words.join(", "));
        return Err(Problem::invalid_field("state", message));
    }
    Ok(vec![state])
}

/// The ids of the next jobs, state by state; the cursor names the state and the place in its list.
/// What is changed meanwhile leaves its place, and nobody else's moves.
async fn select(
    app: &App,
    listings: Vec<Listing>,
    cursor: Option<&str>,
) -> Result<(Vec<String>, Option<String>), Problem> {
    let (mut skipped, mut inner) = (0, None);
    if let Some(cursor) = cursor {
        let (word, place) = cursor.split_once('.').ok_or_else(job_pages::bad_cursor)?;
        let here = listings.iter().position(|it| it.state_word() == word);
        skipped = here.ok_or_else(job_pages::bad_cursor)?;
        inner = Some(place.to_owned()).filter(|place| !place.is_empty());
    }
    let mut ids = Vec::new();
    for mut listing in listings.into_iter().skip(skipped) {
        if ids.len() == MOST {
            return Ok((ids, Some(format!("{}.", listing.state_word()))));
        }
        listing.limit = MOST - ids.len();
        let page = job_pages::fill(app, &listing, inner.take().as_deref()).await?;
        ids.extend(page.jobs.iter().map(|job| job.id.to_string()));
        if let Some(place) = page.next_cursor() {
            return Ok((ids, Some(format!("{}.{place}", listing.state_word()))));
        }
    }
    Ok((ids, None))
}

async fn change_one(app: &App, change: Change, job: Job) -> Result<(), Problem> {
    match change {
        Change::Cancel => jobs::cancel_one(app, &job).await.map(drop),
        Change::Retry => jobs::retry_one(app, &job).await.map(drop),
        Change::Promote => promote_one(app, &job).await.map(drop),
    }
}

async fn promote_one(app: &App, job: &Job) -> Result<JobState, Problem> {
    match app.queues.queue(&job.id.queue).promote(&job.id).await? {
        PromoteOutcome::Promoted(view) => Ok(view.state),
        PromoteOutcome::AlreadyDue(state) => Ok(state),
        PromoteOutcome::Unknown => Err(Problem::conflict(
            "job_not_delayed",
            format!(
                "Only a delayed job can be promoted; this one is {}.",
                job.state()
            ),
        )),
    }
}
