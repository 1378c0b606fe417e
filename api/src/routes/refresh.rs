//! S2.1 and S2.4: `POST …/channels/{channel}/refresh` and `…/refresh/schedule`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{ChannelState, RefreshResult, Timestamp};
use http::StatusCode;
use queue::{JobId, JobState, JobView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::dispatch::{self, Wish};
use crate::extract::{Input, OnChannel, Params, Whole, within};
use crate::limits::{MINUTES_MAX, WAIT_MAX_SECS};
use crate::problem::Problem;
use crate::wait::{self, End};

/// How long to wait.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    /// Seconds to wait for the end; 30 if it is not given.
    #[schemars(range(min = 0, max = WAIT_MAX_SECS))]
    wait: Option<i64>,
}

/// A job that goes on.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AcceptedJob")]
pub(super) struct Accepted {
    job_id: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Timestamp>,
}

impl Accepted {
    /// A job that the queue does not know waits on its row.
    fn of(id: &JobId, job: Option<&JobView>) -> Response {
        let view = Self {
            job_id: id.to_string(),
            state: job.map_or(JobState::Waiting, |job| job.state).as_str(),
            retry_at: job.and_then(dispatch::retry_at),
        };
        (StatusCode::ACCEPTED, Json(view)).into_response()
    }
}

/// Refreshes a channel now and waits for it (S2.1).
pub(super) async fn refresh_now(
    State(app): State<App>,
    OnChannel(_, channel): OnChannel,
    Params(query): Params<WaitQuery>,
) -> Result<Response, Problem> {
    let deadline = wait::deadline(query.wait)?;
    dispatch::admit(&channel)?;
    let name = channel.id.as_str();
    if channel.state == ChannelState::NeverExpires {
        let (generation, end) = (channel.generation, channel.access_expires_at);
        return Ok(Json(RefreshResult::not_needed(name, generation, end)).into_response());
    }
    let id = dispatch::one(&app, &channel, Wish::Now).await?;
    let Some(deadline) = deadline else {
        return Ok(Accepted::of(&id, wait::look(&app, &id).await.as_ref()));
    };
    Ok(match wait::for_job(&app, &id, deadline).await? {
        End::Record(record) => Json(RefreshResult::of(name, &record)).into_response(),
        End::ServedBy(record) => Json(wait::shared_result(name, &id, &record)).into_response(),
        End::Live(job) => Accepted::of(&id, job.as_deref()),
    })
}

/// When to refresh.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LaterBody {
    /// Minutes from now.
    #[schemars(range(min = 0, max = MINUTES_MAX), example = 30)]
    delay_minutes: Whole<i64>,
}

/// A refresh that runs later.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Later {
    job_id: String,
    run_at: Timestamp,
}

/// Refreshes a channel later (S2.4); a job that is there already and runs earlier serves it.
pub(super) async fn refresh_later(
    State(app): State<App>,
    OnChannel(_, channel): OnChannel,
    Input(body): Input<LaterBody>,
) -> Result<Json<Later>, Problem> {
    let minutes = within("delay_minutes", body.delay_minutes.0, 0..=MINUTES_MAX)
        .map_err(|error| Problem::invalid(vec![error]))?;
    dispatch::admit(&channel)?;
    let delay = Duration::from_mins(minutes.unsigned_abs());
    let run_at = app.store.now().await?.plus(delay);
    let id = dispatch::one(&app, &channel, Wish::At(run_at)).await?;
    let job = wait::look(&app, &id).await;
    Ok(Json(Later {
        job_id: id.to_string(),
        run_at: job.map_or(run_at, |job| Timestamp::from_millis(job.run_at_ms)),
    }))
}
