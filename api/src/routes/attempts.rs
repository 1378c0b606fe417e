//! The timeline of a channel: `GET …/channels/{channel}/attempts`.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::App;
use crate::extract::{OnChannel, Params, page_request};
use crate::limits::PAGE_MAX;
use crate::problem::Problem;
use crate::view::{AttemptView, ListView};

/// Which page of the history.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of a page; 50 if it is not given.
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<i64>,
}

/// Lists the attempts of a channel, newest first.
pub(super) async fn list(
    State(app): State<App>,
    OnChannel(_, channel): OnChannel,
    Params(query): Params<ListQuery>,
) -> Result<Json<ListView<AttemptView>>, Problem> {
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    let page = app.store.attempts_of_channel(channel.uid, page).await?;
    Ok(Json(ListView::of(page, AttemptView::from)))
}
