//! The breakers, for the platform's operators: which apps the fleet leaves alone, and why.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::NoContent;
use domain::{Advice, Breaker, Incident, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::App;
use crate::problem::Problem;
use crate::view::ListView;

/// What the fleet knows of one app with one set of settings.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BreakerView {
    /// The app at its provider.
    #[schemars(example = "tiktok:aw123")]
    app_identity: String,
    /// Changes with the app's address, id and secret.
    #[schemars(example = "0a1b2c3d")]
    fingerprint: String,
    state: BreakerState,
    /// Until then nothing is sent but probes, or nothing at all.
    until: Option<Timestamp>,
    /// Requests a second of the fleet, while it is slower than its budget.
    per_second: Option<f64>,
    /// Percent of the app's hour at its provider that are spent, while that slows the fleet: from 80 on.
    usage: Option<u8>,
    /// The trouble of now, or the one that is nearly over.
    incident: Option<Incident>,
    /// Answers that no contract knows.
    unknown_answers: u64,
    /// When a worker told something last.
    told_at: Timestamp,
}

impl BreakerView {
    pub(super) fn app_identity(&self) -> &str {
        &self.app_identity
    }

    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, BreakerState::Closed)
    }
}

/// How an app is called.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum BreakerState {
    /// As fast as it may.
    Closed,
    /// Nothing is sent until the time that the provider named.
    Held,
    /// Nothing is sent but probes.
    Open,
}

/// Lists the apps that workers called within the last week.
pub(super) async fn list(State(app): State<App>) -> Result<Json<ListView<BreakerView>>, Problem> {
    Ok(Json(ListView {
        items: all(&app, app.store.now().await?).await?,
        next_cursor: None,
    }))
}

/// The apps that workers called within the last week, in the order of their names.
pub(super) async fn all(app: &App, now: Timestamp) -> Result<Vec<BreakerView>, Problem> {
    let mut items: Vec<BreakerView> = app
        .cache
        .slips(Breaker::BOARD)
        .await?
        .iter()
        .filter_map(|(name, text)| view(name, text, now))
        .collect();
    items.sort_by(|a, b| (&a.app_identity, &a.fingerprint).cmp(&(&b.app_identity, &b.fingerprint)));
    Ok(items)
}

/// Forgets what is known of an app: its breaker closes at once.
pub(super) async fn reset(
    State(app): State<App>,
    Path(fingerprint): Path<String>,
) -> Result<NoContent, Problem> {
    let slips = app.cache.slips(Breaker::BOARD).await?;
    let known = slips.iter().find(|(name, _)| {
        name.rsplit_once(' ')
            .is_some_and(|(_, it)| it == fingerprint)
    });
    let (name, _) = known.ok_or_else(|| Problem::not_found("breaker"))?;
    app.cache.take_slip(Breaker::BOARD, name).await?;
    Ok(NoContent)
}

/// `None` for a slip of another version, or one that nobody wrote for a week.
fn view(name: &str, text: &str, now: Timestamp) -> Option<BreakerView> {
    let (app_identity, fingerprint) = name.rsplit_once(' ')?;
    let breaker: Breaker = serde_json::from_str(text).ok()?;
    if breaker.is_stale(now) {
        return None;
    }
    let (state, until, per_second) = match breaker.advice(None, now) {
        Advice::Go { per_second } => (BreakerState::Closed, None, per_second),
        Advice::Held { until } => (BreakerState::Held, Some(until), None),
        Advice::Open { probe_at, .. } => (BreakerState::Open, Some(probe_at), None),
    };
    Some(BreakerView {
        app_identity: app_identity.to_owned(),
        fingerprint: fingerprint.to_owned(),
        state,
        until,
        per_second,
        usage: breaker.usage(now),
        incident: breaker.incident().cloned(),
        unknown_answers: breaker.unknown_answers(),
        told_at: breaker.last_told_at(),
    })
}
