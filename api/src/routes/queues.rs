//! The queues, for the platform's operators: what stands in them, their limits, and healing.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use futures::future::try_join_all;
use queue::{InvalidLimits, LimitError, Limits, Queue, Rate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::job_list::known_queue;
use crate::App;
use crate::extract::{InTenant, Input, Whole, present};
use crate::problem::Problem;
use crate::view::ListView;

/// One queue: live and retained jobs by state, and its limits.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct QueueView {
    queue: String,
    waiting: u64,
    delayed: u64,
    active: u64,
    retained_completed: u64,
    retained_failed: u64,
    limits: LimitsView,
    /// How many tenants have limits of their own in it.
    limited_tenants: usize,
}

/// Limits of a queue, or of a tenant in it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LimitsView {
    paused: bool,
    weight: u32,
    at_once: Option<u32>,
    rate: Option<RateView>,
}

/// A rate: one job per `every_ms`, but `burst` of them at once after a rest.
#[derive(Debug, Serialize, JsonSchema)]
struct RateView {
    every_ms: f64,
    burst: u32,
}

/// Changes of limits; what is left out stays, `null` lifts a limit.
#[expect(
    clippy::option_option,
    reason = "left out, null and a value are three things"
)]
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsChange {
    /// Whether nothing is claimed.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    paused: Option<bool>,
    /// The share beside others.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "u32", range(min = 1, max = 1_000_000))]
    weight: Option<Whole<u32>>,
    /// Jobs that run at once.
    #[serde(default, deserialize_with = "present")]
    #[schemars(range(min = 1, max = 1_000_000))]
    at_once: Option<Option<Whole<u32>>>,
    /// Jobs in a time.
    #[serde(default, deserialize_with = "present")]
    rate: Option<Option<RateChange>>,
}

/// At most so many jobs in so long.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RateChange {
    #[schemars(range(min = 1, max = 1_000_000))]
    jobs: Whole<u32>,
    #[schemars(range(min = 1, max = 86_400))]
    per_seconds: Whole<u32>,
    #[schemars(range(min = 1, max = 1_000_000))]
    burst: Option<Whole<u32>>,
}

/// What a look over a queue mended.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct HealedView {
    put_back: u64,
    dropped: u64,
}

/// Lists all queues.
pub(super) async fn list(State(app): State<App>) -> Result<Json<ListView<QueueView>>, Problem> {
    let queues: Vec<Queue> = app.queue_names().map(|it| app.queues.queue(&it)).collect();
    let items = try_join_all(queues.iter().map(view)).await?;
    Ok(Json(ListView {
        items,
        next_cursor: None,
    }))
}

/// Shows one queue.
pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<QueueView>, Problem> {
    Ok(Json(view(&named(&app, &name)?).await?))
}

/// Changes the limits of a queue.
pub(super) async fn limit(
    State(app): State<App>,
    Path(name): Path<String>,
    Input(change): Input<LimitsChange>,
) -> Result<Json<LimitsView>, Problem> {
    let queue = named(&app, &name)?;
    change.apply(&queue, None).await.map(Json)
}

/// Shows the limits of a tenant in a queue.
pub(super) async fn limits_of_tenant(
    State(app): State<App>,
    Path((name, _)): Path<(String, String)>,
    InTenant(tenant): InTenant,
) -> Result<Json<LimitsView>, Problem> {
    let uid = tenant.uid.to_string();
    let limits = named(&app, &name)?.limits(Some(&uid)).await?;
    Ok(Json(limits.into()))
}

/// Changes the limits of a tenant in a queue.
pub(super) async fn limit_tenant(
    State(app): State<App>,
    Path((name, _)): Path<(String, String)>,
    InTenant(tenant): InTenant,
    Input(change): Input<LimitsChange>,
) -> Result<Json<LimitsView>, Problem> {
    let queue = named(&app, &name)?;
    let uid = tenant.uid.to_string();
    change.apply(&queue, Some(&uid)).await.map(Json)
}

/// Looks a queue over for damage, and mends it.
pub(super) async fn heal(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<HealedView>, Problem> {
    let healed = named(&app, &name)?.heal().await?;
    Ok(Json(HealedView {
        put_back: healed.put_back,
        dropped: healed.dropped,
    }))
}

/// A queue is there if something is ever pushed to it, not if its name is well formed.
pub(super) fn named(app: &App, name: &str) -> Result<Queue, Problem> {
    Ok(app.queues.queue(&known_queue(app, name)?))
}

async fn view(queue: &Queue) -> Result<QueueView, Problem> {
    let counts = queue.counts(None).await?;
    Ok(QueueView {
        queue: queue.name().to_string(),
        waiting: counts.waiting,
        delayed: counts.delayed,
        active: counts.active,
        retained_completed: counts.completed,
        retained_failed: counts.failed,
        limits: queue.limits(None).await?.into(),
        limited_tenants: queue.limited_tenants().await?.len(),
    })
}

impl LimitsChange {
    async fn apply(self, queue: &Queue, tenant: Option<&str>) -> Result<LimitsView, Problem> {
        let mut limits = queue.limits(tenant).await?;
        limits.paused = self.paused.unwrap_or(limits.paused);
        limits.weight = self.weight.map_or(limits.weight, |it| it.0);
        if let Some(at_once) = self.at_once {
            limits.at_once = at_once.map(|it| it.0);
        }
        if let Some(rate) = self.rate {
            limits.rate = rate.map(|rate| Rate {
                jobs: rate.jobs.0,
                per: Duration::from_secs(rate.per_seconds.0.into()),
                burst: rate.burst.map_or(1, |it| it.0),
            });
        }
        let set = queue.limit(tenant, limits).await;
        set.map(LimitsView::from).map_err(problem)
    }
}

fn problem(error: LimitError) -> Problem {
    match error {
        LimitError::Invalid(why) => {
            let field = match why {
                InvalidLimits::OutOfRange("weight") => "weight",
                InvalidLimits::OutOfRange("burst") => "rate.burst",
                InvalidLimits::OutOfRange(_) => "at_once",
                InvalidLimits::Rate => "rate",
                InvalidLimits::Tenant => "tenant",
            };
            Problem::invalid_field(field, why.to_string())
        }
        LimitError::Queue(error) => error.into(),
    }
}

impl From<Limits> for LimitsView {
    fn from(limits: Limits) -> Self {
        Self {
            paused: limits.paused,
            weight: limits.weight,
            at_once: limits.at_once,
            rate: limits.rate.map(|rate| RateView {
                every_ms: rate.per.as_secs_f64() * 1000.0 / f64::from(rate.jobs),
                burst: rate.burst,
            }),
        }
    }
}
