//! S5.7 and S5.8: `GET …/stats/freshness` and `GET …/stats/forecast`, of a tenant and of all.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::App;
use crate::extract::{InTenant, Params, within};
use crate::limits::{DAYS_MAX, HOURS_MAX, MARGIN_MAX_MINUTES};
use crate::outlook::{self, ForecastView, FreshnessView, PlatformFreshness, Span};
use crate::problem::{FieldError, Problem};

/// Which refreshes count, and which tokens are valid.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FreshnessQuery {
    /// The last so many hours; 24 if it is not given.
    #[schemars(range(min = 1, max = HOURS_MAX))]
    hours: Option<i64>,
    /// A token is valid if it lives for more minutes than these; 5 if it is not given.
    #[schemars(range(min = 0, max = MARGIN_MAX_MINUTES))]
    margin_minutes: Option<i64>,
}

/// How far ahead to look.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForecastQuery {
    /// Grants that end within so many days; 7 if it is not given.
    #[schemars(range(min = 1, max = DAYS_MAX))]
    days: Option<i64>,
}

/// How fresh a tenant's channels are.
pub(super) async fn freshness_of_tenant(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Params(query): Params<FreshnessQuery>,
) -> Result<Json<FreshnessView>, Problem> {
    let freshness = outlook::freshness_of(&app.store, tenant.uid, query.span()?);
    Ok(Json(freshness.await?))
}

/// How fresh the channels of all tenants are.
pub(super) async fn freshness_of_platform(
    State(app): State<App>,
    Params(query): Params<FreshnessQuery>,
) -> Result<Json<PlatformFreshness>, Problem> {
    let freshness = app.outlook().freshness(&app.store, query.span()?);
    Ok(Json(freshness.await?))
}

/// What comes for a tenant's channels.
pub(super) async fn forecast_of_tenant(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Params(query): Params<ForecastQuery>,
) -> Result<Json<ForecastView>, Problem> {
    let forecast = outlook::forecast_of(&app.store, tenant.uid, query.days()?);
    Ok(Json(forecast.await?))
}

/// What comes for the channels of all tenants.
pub(super) async fn forecast_of_platform(
    State(app): State<App>,
    Params(query): Params<ForecastQuery>,
) -> Result<Json<ForecastView>, Problem> {
    let forecast = app.outlook().forecast(&app.store, query.days()?);
    Ok(Json(forecast.await?))
}

impl FreshnessQuery {
    /// # Errors
    ///
    /// A 422 that names what is out of its range.
    fn span(&self) -> Result<Span, Problem> {
        let hours = number("hours", self.hours, 24, 1..=HOURS_MAX);
        let margin_minutes = number(
            "margin_minutes",
            self.margin_minutes,
            5,
            0..=MARGIN_MAX_MINUTES,
        );
        match (hours, margin_minutes) {
            (Ok(hours), Ok(margin_minutes)) => Ok(Span {
                hours,
                margin_minutes,
            }),
            (hours, margin_minutes) => {
                let errors = hours.err().into_iter().chain(margin_minutes.err());
                Err(Problem::invalid(errors.collect()))
            }
        }
    }
}

impl ForecastQuery {
    /// # Errors
    ///
    /// A 422 that names `days`, outside of 1–90.
    fn days(&self) -> Result<u32, Problem> {
        let days = number("days", self.days, 7, 1..=DAYS_MAX);
        days.map_err(|error| Problem::invalid(vec![error]))
    }
}

fn number(
    field: &str,
    value: Option<i64>,
    usual: u32,
    range: std::ops::RangeInclusive<i64>,
) -> Result<u32, FieldError> {
    let Some(value) = value else {
        return Ok(usual);
    };
    let value = within(field, value, range)?;
    Ok(u32::try_from(value).expect("no range has more"))
}
