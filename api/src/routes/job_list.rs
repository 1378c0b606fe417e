//! Lists of jobs (S2.17): `GET /api/v1/tenants/{tenant}/jobs` and `GET /api/v1/jobs`.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use domain::{ChannelUid, Name, TenantUid};
use queue::{JobState, JobView, QueueName};
use schemars::JsonSchema;
use serde::Deserialize;
use store::Channel;

use super::job_pages::{self, Filling, Listing};
use super::job_view::JobJson;
use crate::App;
use crate::extract::{InTenant, Params, page_limit};
use crate::limits::PAGE_MAX;
use crate::problem::Problem;
use crate::view::ListView;

/// Which jobs, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantQuery {
    /// Those in this state.
    #[schemars(extend("enum" = JobState::ALL.map(JobState::as_str)))]
    state: Option<String>,
    /// Those of the channel with this id.
    #[schemars(with = "Option<Name>")]
    channel: Option<String>,
    /// Those in this queue; all but visits to webhooks if it is not given.
    queue: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of a page; 50 if it is not given.
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<i64>,
}

/// Which of the platform's jobs, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlatformQuery {
    /// Those in this state.
    #[schemars(extend("enum" = JobState::ALL.map(JobState::as_str)))]
    state: Option<String>,
    /// Those in this queue; all but visits to webhooks if it is not given.
    queue: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of a page; 50 if it is not given.
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<i64>,
}

/// Lists the jobs of a tenant.
pub(super) async fn of_tenant(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Params(query): Params<TenantQuery>,
) -> Result<Json<ListView<JobJson>>, Problem> {
    let channel = match &query.channel {
        Some(id) => Some(find_channel(&app, tenant.uid, id).await?),
        None => None,
    };
    let listing = Listing {
        tenant: Some(tenant.uid.to_string()),
        state: query.state.as_deref().map(known_state).transpose()?,
        key: channel.as_ref().map(|it| jobs::refresh_key(it.uid)),
        queues: queues_of(&app, query.queue.as_deref(), channel.as_ref())?,
        limit: page_limit(query.limit)? as usize,
    };
    let page = job_pages::fill(&app, &listing, query.cursor.as_deref()).await?;
    view(&app, page).await
}

/// Lists the jobs of all tenants.
pub(super) async fn of_platform(
    State(app): State<App>,
    Params(query): Params<PlatformQuery>,
) -> Result<Json<ListView<JobJson>>, Problem> {
    let listing = Listing {
        tenant: None,
        state: query.state.as_deref().map(known_state).transpose()?,
        key: None,
        queues: queues_of(&app, query.queue.as_deref(), None)?,
        limit: page_limit(query.limit)? as usize,
    };
    let page = job_pages::fill(&app, &listing, query.cursor.as_deref()).await?;
    view(&app, page).await
}

/// The queues to look into: the one that is asked for, else that of the channel, else all
/// whose jobs are listed.
pub(super) fn queues_of(
    app: &App,
    word: Option<&str>,
    channel: Option<&Channel>,
) -> Result<Vec<QueueName>, Problem> {
    Ok(match (word, channel) {
        (Some(word), _) => vec![known_queue(app, word)?],
        (None, Some(channel)) => vec![jobs::refresh_queue(&channel.provider)],
        (None, None) => app.job_queue_names().collect(),
    })
}

pub(super) async fn find_channel(
    app: &App,
    tenant: TenantUid,
    id: &str,
) -> Result<Channel, Problem> {
    let missing = || Problem::not_found("channel");
    let name: Name = id.parse().map_err(|_| missing())?;
    app.store.channel(tenant, &name).await?.ok_or_else(missing)
}

/// The queue of this name, if anything is ever pushed to it.
pub(super) fn known_queue(app: &App, word: &str) -> Result<QueueName, Problem> {
    let known = app.queue_names().find(|it| it.as_str() == word);
    known.ok_or_else(|| {
        let names: Vec<String> = app.queue_names().map(|it| it.to_string()).collect();
        Problem::not_found("queue").saying(format!(
            "There is no such queue; there are {}.",
            names.join(", ")
        ))
    })
}

pub(super) fn known_state(word: &str) -> Result<JobState, Problem> {
    JobState::parse(word).ok_or_else(|| {
        let words = JobState::ALL.map(JobState::as_str).join(", ");
        Problem::invalid_field("state", format!("must be one of {words}"))
    })
}

/// Puts the names that callers know in the place of uids.
async fn view(app: &App, page: Filling) -> Result<Json<ListView<JobJson>>, Problem> {
    let mut tenants: HashMap<String, Option<Name>> = HashMap::new();
    for job in &page.jobs {
        if !tenants.contains_key(&job.tenant) {
            let name = tenant_name(app, &job.tenant).await?;
            tenants.insert(job.tenant.clone(), name);
        }
    }
    let uids: Vec<ChannelUid> = page.jobs.iter().filter_map(channel_of).collect();
    let channels = app.store.channel_names(&uids).await?;
    let items = page.jobs.iter().map(|job| {
        let tenant = tenants.get(&job.tenant).cloned().flatten();
        let channel = channel_of(job).and_then(|uid| channels.get(&uid).cloned());
        JobJson::listed(job, tenant, channel)
    });
    Ok(Json(ListView {
        items: items.collect(),
        next_cursor: page.next_cursor(),
    }))
}

async fn tenant_name(app: &App, uid: &str) -> Result<Option<Name>, Problem> {
    let Ok(uid) = uid.parse() else {
        return Ok(None);
    };
    Ok(app.store.tenant_by_uid(uid).await?.map(|tenant| tenant.id))
}

/// The key of a refresh is its channel's uid; that of a sweep is not a uid.
fn channel_of(job: &JobView) -> Option<ChannelUid> {
    job.id.key.parse().ok()
}
