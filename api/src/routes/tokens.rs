//! S5.2 and S5.3: `GET …/channels/{channel}/token`, `POST …/token/report`, and
//! `POST …/channels/tokens` for many.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Generation, Name};
use futures::StreamExt as _;
use futures::stream;
use http::{HeaderMap, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Held, Tenant};

use crate::App;
use crate::dispatch::{self, Wish};
use crate::extract::{InChannel, InTenant, Input, OnChannel, Params, Whole, within};
use crate::limits::{MIN_TTL_DEFAULT_SECS, MIN_TTL_MAX_SECS, TOKENS_MAX};
use crate::problem::{FieldError, Problem};
use crate::reads;
use crate::repeat::ShownOnce;
use crate::tokens::{self, Token, TokenView, etag, is_known};
use crate::trail::Trail;

/// Tokens of one batch that are settled at the same time.
const AT_ONCE: usize = 32;
/// How long it is remembered that a generation was reported.
const REPORTED: Duration = Duration::from_hours(24);

/// How long the token must live.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenQuery {
    /// Seconds for which the token must live; 60 if it is not given.
    #[schemars(range(min = 0, max = MIN_TTL_MAX_SECS))]
    min_ttl: Option<i64>,
}

/// Gives a valid token of a channel (S5.2): 304 if the client has it already.
pub(super) async fn show(
    State(app): State<App>,
    InChannel(tenant, name): InChannel,
    trail: Trail,
    Params(query): Params<TokenQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let min_ttl = min_ttl(query.min_ttl).map_err(|error| Problem::invalid(vec![error]))?;
    let held = app.store.held(tenant.uid, &name).await?;
    let held = held.ok_or_else(|| Problem::not_found("channel"))?;
    let token = tokens::valid(&app, held, min_ttl).await?;
    note(&app, &trail, &tenant, &token);
    let etag = etag(&token);
    if is_known(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let view = Json(TokenView::from(&token));
    Ok(([(header::ETAG, etag)], view).into_response())
}

fn note(app: &App, trail: &Trail, tenant: &Tenant, token: &Token) {
    let channel = &token.held.channel;
    let target = format!("tenants/{}/channels/{}/token", tenant.id, channel.id);
    reads::note(app, trail, channel.uid, target);
}

fn min_ttl(secs: Option<i64>) -> Result<Duration, FieldError> {
    let secs = secs.unwrap_or(MIN_TTL_DEFAULT_SECS);
    let secs = within("min_ttl", secs, 0..=MIN_TTL_MAX_SECS)?;
    Ok(Duration::from_secs(secs.unsigned_abs()))
}

/// Which tokens, and how long they must live.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ManyBody {
    /// Ids of channels.
    #[schemars(length(min = 1, max = TOKENS_MAX), example = ["channel_123"])]
    channel_ids: Vec<String>,
    /// Seconds for which each token must live; 60 if it is not given.
    #[schemars(range(min = 0, max = MIN_TTL_MAX_SECS))]
    min_ttl: Option<Whole<i64>>,
}

/// Many tokens, in the order in which they were asked for.
#[derive(Serialize, JsonSchema)]
pub(super) struct ManyView {
    items: Vec<ItemView>,
}

/// A token, or why there is none.
#[derive(Serialize, JsonSchema)]
struct ItemView {
    channel_id: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Outcome {
    Token(TokenView),
    Refused {
        /// The code of the problem that the same channel alone would have had.
        error: &'static str,
    },
}

/// Gives valid tokens of many channels; each for itself.
pub(super) async fn show_many(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    trail: Trail,
    Input(body): Input<ManyBody>,
) -> Result<ShownOnce<ManyView>, Problem> {
    let min_ttl =
        min_ttl(body.min_ttl.map(|it| it.0)).map_err(|error| Problem::invalid(vec![error]))?;
    let count = body.channel_ids.len();
    if count == 0 || count > TOKENS_MAX {
        let message = format!("must have 1 to {TOKENS_MAX} ids");
        return Err(Problem::invalid_field("channel_ids", message));
    }
    let names: Vec<Name> = body
        .channel_ids
        .iter()
        .filter_map(|id| id.parse().ok())
        .collect();
    let held = app.store.held_named(tenant.uid, &names).await?;
    let held: HashMap<String, Held> = held
        .into_iter()
        .map(|held| (held.channel.id.to_string(), held))
        .collect();
    let items = stream::iter(body.channel_ids)
        .map(|id| {
            let held = held.get(&id).cloned();
            item(&app, (&tenant, &trail), (id, held), min_ttl)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    Ok(ShownOnce(ManyView { items }))
}

async fn item(
    app: &App,
    (tenant, trail): (&Tenant, &Trail),
    (channel_id, held): (String, Option<Held>),
    min_ttl: Duration,
) -> ItemView {
    let token = match held {
        Some(held) => tokens::valid(app, held, min_ttl).await,
        None => Err(Problem::not_found("channel")),
    };
    let outcome = match token {
        Ok(token) => {
            note(app, trail, tenant, &token);
            Outcome::Token(TokenView::from(&token))
        }
        Err(problem) => Outcome::Refused {
            error: problem.code(),
        },
    };
    ItemView {
        channel_id,
        outcome,
    }
}

/// The token that does not work.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportBody {
    /// The generation that was handed out with it.
    #[schemars(range(min = 1))]
    generation: Whole<i64>,
}

/// What a report came to.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Reported {
    Refreshing { job_id: String },
    Already { already_reported: bool },
    Stale { stale: bool, generation: Generation },
}

/// Takes the word of a user of a token that it does not work (S5.3): a refresh, once per
/// generation. Somebody else may have reported it, or a newer one may be there.
pub(super) async fn report(
    State(app): State<App>,
    OnChannel(_, channel): OnChannel,
    Input(body): Input<ReportBody>,
) -> Result<Response, Problem> {
    let (told, ours) = (Generation(body.generation.0), channel.generation);
    if told > ours || told.0 < 1 {
        let message = "must be one that was handed out with a token";
        return Err(Problem::invalid_field("generation", message));
    }
    if told < ours {
        let (stale, generation) = (true, ours);
        return Ok(Json(Reported::Stale { stale, generation }).into_response());
    }
    dispatch::admit(&channel)?;
    let words = [channel.uid.to_string(), ours.to_string()];
    let words = words.each_ref().map(String::as_str);
    let marked = app.cache.mark("reported", &words, REPORTED).await;
    // While nobody can tell, a refresh more than needed is better than none.
    if matches!(marked, Ok(false)) {
        let already_reported = true;
        return Ok(Json(Reported::Already { already_reported }).into_response());
    }
    match dispatch::one(&app, &channel, Wish::Now).await {
        Ok(id) => {
            let job_id = id.to_string();
            Ok((StatusCode::ACCEPTED, Json(Reported::Refreshing { job_id })).into_response())
        }
        Err(problem) => {
            // Nobody refreshes it: the next report must count.
            let _ = app.cache.unmark("reported", &words).await;
            Err(problem)
        }
    }
}
