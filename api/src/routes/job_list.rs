//! Lists of jobs (S2.17): `GET /api/v1/tenants/{tenant}/jobs` and `GET /api/v1/jobs`.
//!
//! Jobs live in one queue per provider. A list shows the live ones state by state
//! and queue by queue; of a tenant's ended ones it shows the last few of all queues.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{ChannelUid, Name, TenantUid};
use futures::future::try_join_all;
use queue::{JobFilter, JobState, JobView, QueueName};
use serde::{Deserialize, Serialize};
use store::Channel;

use super::job_view::JobJson;
use crate::App;
use crate::caller::{Caller, Right};
use crate::extract::{InTenant, Params, page_limit};
use crate::limits::PAGE_MAX;
use crate::problem::Problem;
use crate::view::ListView;

/// How often the queues are asked for one page. Where they have to search, a page
/// may end early, or empty; its cursor goes on.
const LOOKS_MAX: usize = 64;

/// Which jobs, and which page of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantQuery {
    state: Option<String>,
    channel: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// Which of the platform's jobs, and which page of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlatformQuery {
    state: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// Where a page ended: what a cursor says.
#[derive(Debug, Serialize, Deserialize)]
enum Place {
    /// In one queue, at its own cursor; with a state, among the jobs of that state.
    #[serde(rename = "s")]
    Section(Option<String>, String, Option<String>),
    /// Among a tenant's ended jobs, after the one that ended then and has this id.
    #[serde(rename = "e")]
    Ended(i64, String),
}

/// What is listed.
struct Listing {
    tenant: Option<String>,
    /// The one state that is wanted.
    state: Option<JobState>,
    /// The key of the one channel that is wanted.
    key: Option<String>,
    queues: Vec<QueueName>,
    limit: usize,
}

/// A page while it is being filled.
#[derive(Default)]
struct Filling {
    jobs: Vec<JobView>,
    next: Option<Place>,
}

/// Lists the jobs of a tenant.
pub(super) async fn of_tenant(
    State(app): State<App>,
    tenant: InTenant,
    Params(query): Params<TenantQuery>,
) -> Result<Json<ListView<JobJson>>, Problem> {
    let tenant = tenant.with(Right::ReadJobs)?;
    let channel = match &query.channel {
        Some(id) => Some(find_channel(&app, tenant.uid, id).await?),
        None => None,
    };
    let listing = Listing {
        tenant: Some(tenant.uid.to_string()),
        state: query.state.as_deref().map(known_state).transpose()?,
        key: channel.as_ref().map(|it| jobs::refresh_key(it.uid)),
        queues: match &channel {
            Some(channel) => vec![jobs::refresh_queue(&channel.provider)],
            None => app.queue_names().collect(),
        },
        limit: page_limit(query.limit)? as usize,
    };
    let page = fill(&app, &listing, query.cursor.as_deref()).await?;
    view(&app, page).await
}

/// Lists the jobs of all tenants.
pub(super) async fn of_platform(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<PlatformQuery>,
) -> Result<Json<ListView<JobJson>>, Problem> {
    caller.require(Right::Platform)?;
    let listing = Listing {
        tenant: None,
        state: query.state.as_deref().map(known_state).transpose()?,
        key: None,
        queues: app.queue_names().collect(),
        limit: page_limit(query.limit)? as usize,
    };
    let page = fill(&app, &listing, query.cursor.as_deref()).await?;
    view(&app, page).await
}

async fn find_channel(app: &App, tenant: TenantUid, id: &str) -> Result<Channel, Problem> {
    let missing = || Problem::not_found("channel");
    let name: Name = id.parse().map_err(|_| missing())?;
    app.store.channel(tenant, &name).await?.ok_or_else(missing)
}

fn known_state(word: &str) -> Result<JobState, Problem> {
    JobState::parse(word).ok_or_else(|| {
        let words = JobState::ALL.map(JobState::as_str).join(", ");
        Problem::invalid_field("state", format!("must be one of {words}"))
    })
}

impl Listing {
    /// What is shown queue by queue: a tenant's live jobs, state by state, or all
    /// jobs of the platform as they come.
    fn sections(&self) -> Vec<(Option<JobState>, &QueueName)> {
        if self.tenant.is_none() {
            return self.queues.iter().map(|it| (self.state, it)).collect();
        }
        JobState::ALL
            .into_iter()
            .filter(|state| self.wants(*state) && !state.has_ended())
            .flat_map(|state| self.queues.iter().map(move |queue| (Some(state), queue)))
            .collect()
    }

    fn wants(&self, state: JobState) -> bool {
        self.state.is_none_or(|wanted| wanted == state)
    }

    fn filter(
        &self,
        state: Option<JobState>,
        cursor: Option<String>,
        limit: usize,
    ) -> JobFilter {
        JobFilter {
            state,
            key: self.key.clone(),
            cursor,
            limit,
        }
    }
}

async fn fill(app: &App, listing: &Listing, cursor: Option<&str>) -> Result<Filling, Problem> {
    let mut page = Filling::default();
    let after = match cursor.map(decode).transpose()? {
        Some(Place::Ended(at, id)) => Some((at, id)),
        Some(Place::Section(state, queue, inner)) => {
            let begin = Some((state, queue, inner));
            fill_sections(app, listing, begin, &mut page).await?;
            None
        }
        None => {
            fill_sections(app, listing, None, &mut page).await?;
            None
        }
    };
    if page.next.is_none() && listing.tenant.is_some() {
        fill_ended(app, listing, after, &mut page).await?;
    }
    Ok(page)
}

/// Where in the sections a page begins: state, queue, and the queue's own cursor.
type Begin = (Option<String>, String, Option<String>);

/// Fills the page from the queues, from the place where the page before ended.
async fn fill_sections(
    app: &App,
    listing: &Listing,
    begin: Option<Begin>,
    page: &mut Filling,
) -> Result<(), Problem> {
    let sections = listing.sections();
    let (mut index, mut inner) = match begin {
        None => (0, None),
        Some((state, queue, inner)) => {
            let here = sections
                .iter()
                .position(|(s, q)| s.map(JobState::as_str) == state.as_deref() && q.as_str() == queue);
            (here.ok_or_else(bad_cursor)?, inner)
        }
    };
    let mut looks = 0;
    while let Some((state, queue)) = sections.get(index) {
        let room = listing.limit - page.jobs.len();
        if room == 0 || looks == LOOKS_MAX {
            page.next = Some(Place::Section(
                state.map(|state| state.to_string()),
                queue.to_string(),
                inner,
            ));
            return Ok(());
        }
        looks += 1;
        let filter = listing.filter(*state, inner.take(), room);
        let tenant = listing.tenant.as_deref();
        let part = app.queues.queue(queue).list(tenant, &filter).await?;
        page.jobs.extend(part.items);
        inner = part.next_cursor;
        if inner.is_none() {
            index += 1;
        }
    }
    Ok(())
}

/// Fills the page from the tenant's ended jobs, the last ones of all queues first.
async fn fill_ended(
    app: &App,
    listing: &Listing,
    after: Option<(i64, String)>,
    page: &mut Filling,
) -> Result<(), Problem> {
    let rest = ended(app, listing)
        .await?
        .into_iter()
        .skip_while(|job| !after.as_ref().is_none_or(|after| comes_after(job, after)));
    for job in rest {
        if page.jobs.len() == listing.limit {
            page.next = Some(match page.jobs.last().filter(|it| it.state.has_ended()) {
                Some(last) => Place::Ended(finished_at(last), last.id.to_string()),
                None => Place::Ended(i64::MAX, String::new()),
            });
            return Ok(());
        }
        page.jobs.push(job);
    }
    Ok(())
}

/// A tenant's ended jobs of all queues, newest first, as many as the tenant keeps in all.
async fn ended(app: &App, listing: &Listing) -> Result<Vec<JobView>, Problem> {
    let limit = usize::try_from(PAGE_MAX).unwrap_or(usize::MAX);
    let states = [JobState::Completed, JobState::Failed, JobState::Cancelled];
    let wanted = states.into_iter().filter(|state| listing.wants(*state));
    let lists = wanted.flat_map(|state| {
        listing.queues.iter().map(move |name| {
            let (queue, filter) = (app.queues.queue(name), listing.filter(Some(state), None, limit));
            async move { queue.list(listing.tenant.as_deref(), &filter).await }
        })
    });
    let pages = try_join_all(lists).await?;
    let mut jobs: Vec<JobView> = pages.into_iter().flat_map(|page| page.items).collect();
    jobs.sort_by_cached_key(|job| (-finished_at(job), job.id.to_string()));
    let (mut completed, mut others) = (0, 0);
    jobs.retain(|job| {
        let (count, keep) = match job.state {
            JobState::Completed => (&mut completed, app.settings.keep_completed),
            _ => (&mut others, app.settings.keep_failed),
        };
        *count += 1;
        *count <= keep
    });
    Ok(jobs)
}

fn finished_at(job: &JobView) -> i64 {
    job.finished_at_ms.unwrap_or(0)
}

fn comes_after(job: &JobView, (at, id): &(i64, String)) -> bool {
    let finished = finished_at(job);
    finished < *at || (finished == *at && job.id.to_string() > *id)
}

fn decode(cursor: &str) -> Result<Place, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad_cursor())?;
    serde_json::from_slice(&bytes).map_err(|_| bad_cursor())
}

fn encode(place: &Place) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).expect("texts and numbers are JSON"))
}

fn bad_cursor() -> Problem {
    Problem::invalid_field("cursor", "must be the next_cursor of a page of this list")
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
        next_cursor: page.next.as_ref().map(encode),
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
