//! S2.2: `POST …/channels/refresh` and `GET /api/v1/batches/{batch}`.

mod items;
mod results;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::RefreshResult;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::BatchItem;
use uuid::Uuid;

use crate::App;
use crate::extract::{InTenant, Label, OnBatch, OptionalInput, Params, present};
use crate::limits::{BATCH_MAX, WAIT_MAX_SECS};
use crate::problem::Problem;
use crate::wait;

use results::Results;

/// How long to wait for all of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    /// Seconds to wait for the end; 30 if it is not given.
    #[schemars(range(min = 0, max = WAIT_MAX_SECS))]
    wait: Option<i64>,
}

/// Which channels; without ids, all that need it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BatchBody {
    /// Ids of channels; without them, all that need it. An empty list is nobody.
    #[serde(deserialize_with = "present")]
    #[schemars(with = "Vec<Label>", length(max = BATCH_MAX))]
    channel_ids: Option<Vec<String>>,
}

/// A batch that nobody waits for.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AcceptedBatch")]
pub(super) struct Accepted {
    batch_id: Uuid,
}

/// What a batch came to so far, in the order given.
#[derive(Debug, Serialize, JsonSchema)]
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
    fn of(batch_id: Uuid, items: &[BatchItem], ended: &Results) -> Self {
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
    InTenant(tenant): InTenant,
    Params(query): Params<WaitQuery>,
    OptionalInput(body): OptionalInput<BatchBody>,
) -> Result<Response, Problem> {
    let deadline = wait::deadline(query.wait)?;
    let wanted = if let Some(ids) = body.channel_ids {
        items::named(&app, tenant.uid, ids).await?
    } else {
        let due = app.store.due_for_batch(tenant.uid).await?;
        due.into_iter().map(Ok).collect()
    };
    let items = items::ask(&app, wanted).await?;
    let batch_id = app.store.create_batch(tenant.uid, items.clone()).await?;
    let ended = match deadline {
        Some(deadline) => results::wait_for(&app, &items, deadline).await?,
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
    OnBatch(id, batch): OnBatch,
) -> Result<Json<BatchView>, Problem> {
    let ended = results::ended(&app, &batch.items).await?;
    let mut view = BatchView::of(id, &batch.items, &ended);
    view.pending = Some(batch.items.len() - view.processed);
    Ok(Json(view))
}
