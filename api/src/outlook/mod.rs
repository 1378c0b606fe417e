//! How fresh everything is, and what comes (S5.7, S5.8).
//!
//! The figures of the platform are read from all channels: made for whoever asks, but not for each.

mod forecast;
mod freshness;
mod recent;

use std::time::Duration;

use domain::TenantUid;
use store::{Store, StoreError};

use recent::Recent;

pub(crate) use forecast::ForecastView;
pub(crate) use freshness::{FreshnessView, PlatformFreshness, Span};

/// For how long the figures of the platform are good enough.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// Grants that are named.
const NAMED: u32 = 100;

/// What was found out lately.
#[derive(Debug)]
pub(crate) struct Outlook {
    freshness: Recent<Span, PlatformFreshness>,
    forecast: Recent<u32, ForecastView>,
}

impl Default for Outlook {
    fn default() -> Self {
        Self {
            freshness: Recent::good_for(GOOD_FOR),
            forecast: Recent::good_for(GOOD_FOR),
        }
    }
}

impl Outlook {
    /// How fresh the channels of all tenants are.
    pub(crate) async fn freshness(
        &self,
        store: &Store,
        span: Span,
    ) -> Result<PlatformFreshness, StoreError> {
        let make = PlatformFreshness::read(store, span);
        self.freshness.get(span, make).await
    }

    /// What comes for the channels of all tenants.
    pub(crate) async fn forecast(
        &self,
        store: &Store,
        days: u32,
    ) -> Result<ForecastView, StoreError> {
        let make = ForecastView::read(store, None, days);
        self.forecast.get(days, make).await
    }
}

/// How fresh the channels of a tenant are.
pub(crate) async fn freshness_of(
    store: &Store,
    tenant: TenantUid,
    span: Span,
) -> Result<FreshnessView, StoreError> {
    FreshnessView::read(store, tenant, span).await
}

/// What comes for the channels of a tenant.
pub(crate) async fn forecast_of(
    store: &Store,
    tenant: TenantUid,
    days: u32,
) -> Result<ForecastView, StoreError> {
    ForecastView::read(store, Some(tenant), days).await
}
