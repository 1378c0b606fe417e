//! Pages of jobs out of many queues.
//!
//! Jobs live in one queue per provider. A tenant's list shows the live ones state
//! by state and queue by queue, then the last few ended ones of all queues, newest
//! first; the platform's list shows queue after queue as they come.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::try_join_all;
use queue::{JobFilter, JobState, JobView, QueueName};
use serde::{Deserialize, Serialize};

use crate::App;
use crate::limits::PAGE_MAX;
use crate::problem::Problem;

/// How often the queues are asked for one page. Where they have to search, a page
/// may end early, or empty; its cursor goes on.
const LOOKS_MAX: usize = 64;

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
pub(super) struct Listing {
    /// Whose jobs; `None` for everybody's.
    pub(super) tenant: Option<String>,
    /// The one state that is wanted.
    pub(super) state: Option<JobState>,
    /// The key of the one channel that is wanted.
    pub(super) key: Option<String>,
    /// Where they may be.
    pub(super) queues: Vec<QueueName>,
    /// Jobs of one page.
    pub(super) limit: usize,
}

/// A page while it is being filled.
#[derive(Default)]
pub(super) struct Filling {
    pub(super) jobs: Vec<JobView>,
    next: Option<Place>,
}

impl Filling {
    /// The cursor of the next page.
    pub(super) fn next_cursor(&self) -> Option<String> {
        self.next.as_ref().map(encode)
    }
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

    /// The one state that is wanted, as a word; empty for any.
    pub(super) fn state_word(&self) -> &'static str {
        self.state.map_or("", JobState::as_str)
    }

    fn wants(&self, state: JobState) -> bool {
        self.state.is_none_or(|wanted| wanted == state)
    }

    fn filter(&self, state: Option<JobState>, cursor: Option<String>, limit: usize) -> JobFilter {
        JobFilter {
            state,
            key: self.key.clone(),
            cursor,
            limit,
        }
    }
}

/// Fills one page.
///
/// # Errors
///
/// A 422 that names `cursor`; 503 if Redis is away.
pub(super) async fn fill(
    app: &App,
    listing: &Listing,
    cursor: Option<&str>,
) -> Result<Filling, Problem> {
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
            let here = sections.iter().position(|(s, q)| {
                s.map(JobState::as_str) == state.as_deref() && q.as_str() == queue
            });
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
            let (queue, filter) = (
                app.queues.queue(name),
                listing.filter(Some(state), None, limit),
            );
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

/// A cursor that no page brought.
pub(super) fn bad_cursor() -> Problem {
    Problem::invalid_field("cursor", "must be the next_cursor of a page of this list")
}
