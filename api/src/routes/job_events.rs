//! What happens to jobs, as it happens (Server-Sent Events):
//! `GET /api/v1/tenants/{tenant}/jobs/events` and `GET /api/v1/jobs/events`.

mod names;
mod viewer;

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use domain::{Name, Timestamp};
use futures::stream;
use http::{HeaderMap, HeaderValue, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::names::Names;
use self::viewer::{Choice, Pass, Viewer};
use super::job_list::{find_channel, known_queue};
use crate::App;
use crate::access::Right;
use crate::extract::{InTenant, Params, within};
use crate::problem::Problem;

/// How long somebody watches who does not say.
const DEFAULT_SECS: i64 = 600;
/// How long somebody may watch with one call.
const MAX_SECS: i64 = 3600;
/// How often a stream on which nothing happens says that it lives.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// An example of such a stream.
pub(super) const EXAMPLE: &str = "event: watching\ndata: {\"seconds\":600}\n\nevent: job\n\
    data: {\"at\":\"2026-11-21T09:30:00.000Z\",\"event\":\"started\",\"job_id\":\"refresh:tiktok~0193~1\",\
    \"queue\":\"refresh:tiktok\",\"tenant_id\":\"tenant_456\",\"channel_id\":\"channel_123\"}\n\n";

/// Which of a tenant's jobs, and how long.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantQuery {
    /// Those of the channel with this id.
    #[schemars(with = "Option<Name>")]
    channel: Option<String>,
    /// Those in this queue, such as `refresh:tiktok`.
    queue: Option<String>,
    /// Seconds after which the stream ends; 600 if it is not given.
    #[schemars(range(min = 0, max = MAX_SECS))]
    wait: Option<i64>,
}

/// Which of the platform's jobs, and how long.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlatformQuery {
    /// Those in this queue, such as `refresh:tiktok`.
    queue: Option<String>,
    /// Seconds after which the stream ends; 600 if it is not given.
    #[schemars(range(min = 0, max = MAX_SECS))]
    wait: Option<i64>,
}

/// Something that happened to a job.
#[derive(Debug, Serialize)]
struct JobEventView<'a> {
    at: Timestamp,
    event: &'a str,
    job_id: String,
    queue: String,
    tenant_id: Option<Name>,
    channel_id: Option<Name>,
}

/// Tells what happens to the jobs of a tenant.
pub(super) async fn of_tenant(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    headers: HeaderMap,
    Params(query): Params<TenantQuery>,
) -> Result<Response, Problem> {
    let wait = seconds(query.wait)?;
    let mut queue = query.queue.as_deref().map(|it| known_queue(&app, it));
    let mut key = None;
    if let Some(id) = &query.channel {
        let channel = find_channel(&app, tenant.uid, id).await?;
        key = Some(jobs::refresh_key(channel.uid));
        queue = queue.or_else(|| Some(Ok(jobs::refresh_queue(&channel.provider))));
    }
    let choice = Choice {
        tenant: Some(tenant.uid.to_string()),
        queue: queue.transpose()?,
        key,
    };
    let names = Names::within(tenant.uid, tenant.id);
    let pass = Pass::new(&headers, Right::ReadJobs, Some(tenant.uid));
    watch(app, (choice, names, pass), wait).await
}

/// Tells what happens to the jobs of all tenants.
pub(super) async fn of_platform(
    State(app): State<App>,
    headers: HeaderMap,
    Params(query): Params<PlatformQuery>,
) -> Result<Response, Problem> {
    let wait = seconds(query.wait)?;
    let queue = query.queue.as_deref().map(|it| known_queue(&app, it));
    let choice = Choice {
        tenant: None,
        queue: queue.transpose()?,
        key: None,
    };
    let pass = Pass::new(&headers, Right::Platform, None);
    watch(app, (choice, Names::default(), pass), wait).await
}

fn seconds(wait: Option<i64>) -> Result<Duration, Problem> {
    let secs = within("wait", wait.unwrap_or(DEFAULT_SECS), 0..=MAX_SECS);
    let secs = secs.map_err(|error| Problem::invalid(vec![error]))?;
    Ok(Duration::from_secs(secs.unsigned_abs()))
}

/// The stream. It ends with its time, with the process, with the right to watch, or when the
/// client goes; nothing of it is kept.
async fn watch(
    app: App,
    (choice, names, pass): (Choice, Names, Pass),
    wait: Duration,
) -> Result<Response, Problem> {
    let seat = app.watchers().join(&app).await?;
    let viewer = Viewer::new(app, seat, (choice, names, pass), wait);
    let events = stream::unfold(viewer, |mut viewer| async move {
        let event = viewer.next().await?;
        Some((Ok::<_, Infallible>(event), viewer))
    });
    let alive = KeepAlive::new().interval(ALIVE_EVERY);
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would keep what comes until its buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}
