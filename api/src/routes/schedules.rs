//! S2.5 and S2.6: `PUT`, `GET`, `DELETE /api/v1/tenants/{tenant}/schedule`.

use axum::Json;
use axum::extract::State;
use domain::{Misfire, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::Schedule;

use crate::App;
use crate::extract::{InTenant, Input, Whole, within};
use crate::limits::MINUTES_MAX;
use crate::problem::{FieldError, Problem};

/// Longest interval, in minutes: 30 days.
const INTERVAL_MAX: i64 = 43_200;

/// How often, and how far ahead each run looks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleBody {
    /// Minutes from one run to the next.
    #[schemars(range(min = 1, max = INTERVAL_MAX), example = 120)]
    interval_minutes: Whole<i64>,
    /// How many minutes before its end each run refreshes a token.
    #[serde(default)]
    #[schemars(range(min = 0, max = MINUTES_MAX), example = 60)]
    refresh_before_minutes: Option<Whole<i64>>,
    /// What becomes of a run that comes more than a minute late: `once` makes up for all that
    /// were missed, `skip` waits for the next.
    #[serde(default)]
    misfire: Misfire,
}

/// A schedule, with the job of its next run.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ScheduleView {
    job_id: String,
    next_run_at: Timestamp,
    interval_minutes: u64,
    refresh_before_minutes: Option<u32>,
    misfire: Misfire,
}

impl From<Schedule> for ScheduleView {
    fn from(schedule: Schedule) -> Self {
        Self {
            job_id: jobs::sweep_job_id(schedule.uid, schedule.next_run_at).to_string(),
            next_run_at: schedule.next_run_at,
            interval_minutes: schedule.interval.as_secs() / 60,
            refresh_before_minutes: schedule.refresh_before_minutes,
            misfire: schedule.misfire,
        }
    }
}

/// Whether there was anything to cancel.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CancelledSchedule")]
pub(super) struct Cancelled {
    cancelled: bool,
}

/// Makes the schedule or changes it. The same twice leaves the next run where it is.
pub(super) async fn put(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Input(body): Input<ScheduleBody>,
) -> Result<Json<ScheduleView>, Problem> {
    let (interval, before) = check(&body).map_err(Problem::invalid)?;
    let schedule = app
        .store
        .put_schedule(tenant.uid, interval, before, body.misfire)
        .await?;
    Ok(Json(schedule.into()))
}

fn check(body: &ScheduleBody) -> Result<(u32, Option<u32>), Vec<FieldError>> {
    let interval = whole(
        "interval_minutes",
        body.interval_minutes.0,
        1..=INTERVAL_MAX,
    );
    let before = body
        .refresh_before_minutes
        .map(|minutes| whole("refresh_before_minutes", minutes.0, 0..=MINUTES_MAX))
        .transpose();
    match (interval, before) {
        (Ok(interval), Ok(before)) => Ok((interval, before)),
        (interval, before) => Err(interval.err().into_iter().chain(before.err()).collect()),
    }
}

fn whole(field: &str, value: i64, range: std::ops::RangeInclusive<i64>) -> Result<u32, FieldError> {
    within(field, value, range).map(|value| u32::try_from(value).expect("the ranges here fit"))
}

/// Shows the schedule; 404 if there is none.
pub(super) async fn show(
    State(app): State<App>,
    InTenant(tenant): InTenant,
) -> Result<Json<ScheduleView>, Problem> {
    let schedule = app.store.schedule(tenant.uid).await?;
    let schedule = schedule.ok_or_else(|| Problem::not_found("schedule"))?;
    Ok(Json(schedule.into()))
}

/// Cancels the schedule.
pub(super) async fn delete(
    State(app): State<App>,
    InTenant(tenant): InTenant,
) -> Result<Json<Cancelled>, Problem> {
    let cancelled = app.store.delete_schedule(tenant.uid).await?;
    Ok(Json(Cancelled { cancelled }))
}
