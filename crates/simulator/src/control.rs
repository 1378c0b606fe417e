//! `/_sim/`: minting, faults and the ledger over HTTP.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ledger::{Filter, Summary};
use crate::world::{ControlError, World, no_grant, no_provider};
use crate::{Faults, GrantView, MintError, MintRequest, Minted, grants, page, scenario};

/// Entries and grants that one answer shows if nothing else is asked for.
const SHOWN: usize = 1000;

type Shared = State<Arc<World>>;

/// A request to `/_sim/` that cannot be carried out: status and one sentence.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<ControlError> for Refused {
    fn from(error: ControlError) -> Self {
        let status = match error {
            ControlError::Scenario(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ControlError::Grant { .. } | ControlError::Provider { .. } => StatusCode::NOT_FOUND,
        };
        Self(status, error.to_string())
    }
}

impl From<MintError> for Refused {
    fn from(error: MintError) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

/// Everything that is not a provider.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/_sim", get(index))
        .route("/_sim/", get(index))
        .route("/_sim/scenarios", get(scenarios))
        .route("/_sim/grants", post(mint).get(list))
        .route("/_sim/grants/{id}", get(show).patch(change).delete(revoke))
        .route("/_sim/fleet", post(fleet))
        .route("/_sim/faults", get(faults).put(set_faults))
        .route("/_sim/providers/{provider}", put(set_down))
        .route("/_sim/ledger", get(ledger).delete(clear))
        .route("/_sim/ledger/summary", get(summary))
        .fallback(async || Refused(StatusCode::NOT_FOUND, "nothing here; see /_sim/".to_owned()))
        .with_state(world)
}

async fn index(State(world): Shared) -> String {
    page::text(&world)
}

async fn scenarios(State(world): Shared) -> Json<Value> {
    let all = world.providers.iter().map(|provider| {
        let specials = provider
            .specials()
            .iter()
            .map(|s| (s.name.to_owned(), json!(s.what)));
        let names: Vec<_> = scenario::names(&**provider).collect();
        let what: serde_json::Map<_, _> = specials.collect();
        (
            provider.name().to_owned(),
            json!({ "names": names, "what": what }),
        )
    });
    Json(Value::Object(all.collect()))
}

async fn mint(State(world): Shared, body: Bytes) -> Result<(StatusCode, Json<Value>), Refused> {
    let minted = world.mint(&read::<MintRequest>(&body)?)?;
    Ok((StatusCode::CREATED, Json(json!({ "grants": minted }))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FleetOrder {
    count: u32,
    #[serde(default)]
    providers: Option<Vec<String>>,
}

async fn fleet(State(world): Shared, body: Bytes) -> Result<(StatusCode, Json<Value>), Refused> {
    let order: FleetOrder = read(&body)?;
    if !(1..=100_000).contains(&order.count) {
        let text = "count must be from 1 to 100000".to_owned();
        return Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let minted: Vec<Minted> = match &order.providers {
        Some(providers) => world.mint_fleet_of(order.count, providers)?,
        None => world.mint_fleet(order.count),
    };
    Ok((StatusCode::CREATED, Json(json!({ "grants": minted }))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    provider: Option<String>,
    limit: Option<usize>,
}

async fn list(State(world): Shared, query: Query<ListQuery>) -> Result<Json<Value>, Refused> {
    let provider = query.provider.as_deref();
    let provider = provider
        .map(|name| world.provider(name).ok_or_else(|| no_provider(name)))
        .transpose()?;
    let numbers = world.grants.numbers(provider);
    let total = numbers.len();
    let mut shown = Vec::new();
    for number in numbers.into_iter().take(query.limit.unwrap_or(SHOWN)) {
        let ids = world.providers.iter().map(|p| grants::id(p.name(), number));
        shown.extend(ids.filter_map(|id| world.grant(&id, false)));
    }
    Ok(Json(json!({ "grants": shown, "total": total })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowQuery {
    #[serde(default)]
    reveal: bool,
}

async fn show(
    State(world): Shared,
    Path(id): Path<String>,
    query: Query<ShowQuery>,
) -> Result<Json<GrantView>, Refused> {
    let view = world.grant(&id, query.reveal);
    Ok(Json(view.ok_or_else(|| no_grant(&id))?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantChange {
    scenario: String,
}

async fn change(
    State(world): Shared,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<GrantView>, Refused> {
    let change: GrantChange = read(&body)?;
    world.set_scenario(&id, &change.scenario)?;
    let view = world.grant(&id, false);
    Ok(Json(view.ok_or_else(|| no_grant(&id))?))
}

async fn revoke(State(world): Shared, Path(id): Path<String>) -> Result<StatusCode, Refused> {
    world.revoke(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn faults(State(world): Shared) -> Json<Value> {
    Json(shown_faults(&world))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsBody {
    faults: Vec<String>,
}

async fn set_faults(State(world): Shared, body: Bytes) -> Result<Json<Value>, Refused> {
    // JSON, or the text that --fault takes.
    let text = match body.first() {
        Some(b'{') => read::<FaultsBody>(&body)?.faults.join(","),
        _ => String::from_utf8_lossy(&body).into_owned(),
    };
    let faults: Faults = text
        .parse()
        .map_err(|e: crate::FaultError| Refused(StatusCode::UNPROCESSABLE_ENTITY, e.to_string()))?;
    world.set_faults(faults);
    Ok(Json(shown_faults(&world)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderChange {
    down: bool,
}

async fn set_down(
    State(world): Shared,
    Path(provider): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let change: ProviderChange = read(&body)?;
    world.set_down_by_name(&provider, change.down)?;
    Ok(Json(shown_faults(&world)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerQuery {
    grant: Option<String>,
    provider: Option<String>,
    limit: Option<usize>,
}

async fn ledger(State(world): Shared, Query(query): Query<LedgerQuery>) -> Json<Value> {
    let entries = world.ledger.entries(&Filter {
        grant: query.grant,
        provider: query.provider,
        limit: Some(query.limit.unwrap_or(SHOWN)),
    });
    Json(json!({ "entries": entries }))
}

async fn summary(State(world): Shared) -> Json<Summary> {
    Json(world.summary())
}

async fn clear(State(world): Shared) -> StatusCode {
    world.clear_ledger();
    StatusCode::NO_CONTENT
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|e| Refused(StatusCode::UNPROCESSABLE_ENTITY, format!("the body: {e}")))
}

fn shown_faults(world: &World) -> Value {
    let faults: Vec<_> = world.faults().iter().map(ToString::to_string).collect();
    json!({ "faults": faults })
}
