//! S5.1: `GET`, `DELETE …/channels/{channel}/new-account` and `POST …/new-account/confirm`:
//! an owner says whether the account that a person brought is the channel's.

use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use domain::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::connect::{NewAccount, confirm as give};
use crate::extract::{Input, OnChannel};
use crate::problem::Problem;
use crate::view::ChannelView;

/// An account that waits for an owner's word.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NewAccount")]
pub(super) struct NewAccountView {
    /// To be confirmed.
    id: String,
    /// The account at the provider; null if that did not say.
    external_id: Option<String>,
    /// What the provider calls it.
    display_name: Option<String>,
    brought_at: Timestamp,
    /// When it is forgotten.
    expires_at: Timestamp,
}

/// Which account is confirmed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmBody {
    /// As it was shown.
    id: String,
}

/// Shows the account that a person brought for a channel, and that waits.
pub(super) async fn show(
    State(app): State<App>,
    OnChannel(_, channel): OnChannel,
) -> Result<Json<NewAccountView>, Problem> {
    let account = NewAccount::of(&app, channel.uid).await?;
    let account = account.ok_or_else(missing)?;
    Ok(Json(NewAccountView {
        id: account.id.as_simple().to_string(),
        external_id: account.external_id,
        display_name: account.name,
        brought_at: account.brought_at,
        expires_at: account.expires_at,
    }))
}

/// Gives the channel the credentials of that account.
pub(super) async fn confirm(
    State(app): State<App>,
    OnChannel(tenant, channel): OnChannel,
    Input(body): Input<ConfirmBody>,
) -> Result<Json<ChannelView>, Problem> {
    let account = NewAccount::of(&app, channel.uid).await?;
    let account = account.ok_or_else(missing)?;
    if body.id != account.id.as_simple().to_string() {
        return Err(Problem::conflict(
            "another_account",
            "Another account was brought meanwhile; look at it first.",
        ));
    }
    let repaired = give(&app, channel.uid, &account).await?;
    let repaired = repaired.ok_or_else(|| Problem::not_found("channel"))?;
    Ok(Json(ChannelView::of(&tenant, repaired)))
}

/// Forgets that account; the channel stays as it is.
pub(super) async fn refuse(
    State(app): State<App>,
    OnChannel(_, channel): OnChannel,
) -> Result<NoContent, Problem> {
    if NewAccount::forget(&app, channel.uid).await? {
        Ok(NoContent)
    } else {
        Err(missing())
    }
}

fn missing() -> Problem {
    Problem::not_found("account that waits")
}
