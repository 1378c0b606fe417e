//! All jobs of all tenants that match: `POST /api/v1/jobs/{cancel,retry,promote}`.

use std::marker::PhantomData;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    BulkQuery, BulkView, Cancellable, Change, Promotable, Retriable, Selection, StateIn, States,
    change_all,
};
use crate::App;
use crate::extract::{Input, Params, present};
use crate::problem::Problem;

/// Which jobs, and whether to change them at all; `S` says in which states. An empty object is
/// all of them, no body none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "")]
#[schemars(bound = "S: States + JsonSchema")]
pub(in crate::routes) struct WideSelection<S> {
    /// Those in this state; all that the change is possible for if it is not given.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "StateIn<S>")]
    state: Option<String>,
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

impl<S> From<WideSelection<S>> for Selection<S> {
    fn from(wide: WideSelection<S>) -> Self {
        Self {
            state: wide.state,
            channel: None,
            queue: wide.queue,
            dry_run: wide.dry_run,
            states: PhantomData,
        }
    }
}

/// Cancels those that wait, are delayed, or run.
pub(in crate::routes) async fn cancel(
    State(app): State<App>,
    Params(query): Params<BulkQuery>,
    Input(selection): Input<WideSelection<Cancellable>>,
) -> Result<Json<BulkView>, Problem> {
    change_all(Change::Cancel, (app, None), query, selection.into()).await
}

/// Does the work of those that failed again.
pub(in crate::routes) async fn retry(
    State(app): State<App>,
    Params(query): Params<BulkQuery>,
    Input(selection): Input<WideSelection<Retriable>>,
) -> Result<Json<BulkView>, Problem> {
    change_all(Change::Retry, (app, None), query, selection.into()).await
}

/// Moves those that are delayed to now.
pub(in crate::routes) async fn promote(
    State(app): State<App>,
    Params(query): Params<BulkQuery>,
    Input(selection): Input<WideSelection<Promotable>>,
) -> Result<Json<BulkView>, Problem> {
    change_all(Change::Promote, (app, None), query, selection.into()).await
}
