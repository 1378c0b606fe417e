//! `/livez` and `/readyz`: for what watches the process.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::App;

/// How long a part may take to answer `/readyz`.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Alive {
    status: &'static str,
}

/// Answers as long as the process runs; it asks nobody.
pub(super) async fn livez() -> Json<Alive> {
    Json(Alive { status: "alive" })
}

/// Whether the process can do its work, part by part.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Readiness {
    status: &'static str,
    checks: BTreeMap<String, Part>,
}

/// One part that the process needs.
#[derive(Debug, Serialize, JsonSchema)]
struct Part {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl From<Result<(), String>> for Part {
    fn from(checked: Result<(), String>) -> Self {
        Self {
            ok: checked.is_ok(),
            problem: checked.err(),
        }
    }
}

/// 200 if the database, Redis and every check of this process are well, else 503.
///
/// `degraded` is what still answers reads: only the database is indispensable.
pub(super) async fn readyz(State(app): State<App>) -> Response {
    let (database, redis) = tokio::join!(
        asked("database", app.store.ping()),
        asked("Redis", app.queues.ping())
    );
    let status = if database.is_err() {
        "unavailable"
    } else {
        "degraded"
    };
    let mut checks: BTreeMap<String, Part> = app
        .health
        .ask()
        .map(|(name, checked)| (name.to_owned(), checked.into()))
        .collect();
    checks.insert("database".to_owned(), database.into());
    checks.insert("redis".to_owned(), redis.into());
    if checks.values().all(|part| part.ok) {
        let status = "ready";
        return Json(Readiness { status, checks }).into_response();
    }
    let view = Json(Readiness { status, checks });
    (StatusCode::SERVICE_UNAVAILABLE, view).into_response()
}

/// Everybody may read the answer, so it says that a part is away and not why.
pub(super) async fn asked<T, E>(
    part: &str,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(format!("{part} does not answer")),
        Err(_) => Err(format!(
            "{part} did not answer within {} s",
            PATIENCE.as_secs()
        )),
    }
}
