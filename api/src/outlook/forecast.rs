//! The forecast as the API shows it (S5.8).

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Name, TenantUid, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use store::{CallsByHour, EndingGrant, Forecast, Store, StoreError};

use super::NAMED;

/// What comes. Of the platform it is up to ten seconds old, or older if there are many channels.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ForecastView {
    /// Refreshes of the next 24 hours.
    calls: CallsView,
    /// Grants that only a person can renew.
    need_person: NeedPersonView,
}

/// Refreshes of the next 24 hours.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct CallsView {
    /// All of them.
    total: u64,
    /// By provider, those that occur.
    by_provider: BTreeMap<String, ProviderCallsView>,
}

/// The refreshes of a provider's channels in the next 24 hours. Each active channel comes when it
/// is due, overdue ones in the first hour, and then once per its own interval; those in `error`
/// and `never_expires` are looked at once a day.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct ProviderCallsView {
    /// All of them.
    total: u64,
    /// 24 numbers: within an hour from now, in the hour after that, ….
    by_hour: CallsByHour,
}

/// Grants that only a person can renew.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct NeedPersonView {
    /// Within so many days.
    days: u32,
    /// How many refresh tokens come to their own end by then, of channels that still work.
    total: u64,
    /// How many channels are in `needs_reauth` already; they are not in `total`.
    waiting_now: u64,
    /// `total` by provider, those that occur.
    by_provider: BTreeMap<String, u64>,
    /// The first 100 of these, by their end.
    items: Vec<EndingView>,
}

/// A channel whose refresh token comes to its own end.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct EndingView {
    /// Whose it is.
    tenant_id: Name,
    /// Its id.
    channel_id: Name,
    /// The kind of provider.
    provider: String,
    /// What people call it.
    display_name: String,
    /// When its refresh token ends.
    ends_at: Timestamp,
}

impl ForecastView {
    /// Of a tenant's channels, or of all.
    pub(super) async fn read(
        store: &Store,
        tenant: Option<TenantUid>,
        days: u32,
    ) -> Result<Self, StoreError> {
        let window = Duration::from_hours(24) * days;
        let forecast = store.forecast(tenant, window, NAMED).await?;
        Ok(Self::of(forecast, days))
    }

    fn of(forecast: Forecast, days: u32) -> Self {
        let by_provider: BTreeMap<_, _> = forecast
            .calls
            .into_iter()
            .map(|(provider, by_hour)| (provider, ProviderCallsView::of(by_hour)))
            .collect();
        Self {
            calls: CallsView {
                total: by_provider.values().map(|calls| calls.total).sum(),
                by_provider,
            },
            need_person: NeedPersonView {
                days,
                total: forecast.ending.values().sum(),
                waiting_now: forecast.waiting,
                by_provider: forecast.ending,
                items: forecast.first.into_iter().map(EndingView::of).collect(),
            },
        }
    }
}

impl ProviderCallsView {
    fn of(by_hour: CallsByHour) -> Self {
        Self {
            total: by_hour.iter().sum(),
            by_hour,
        }
    }
}

impl EndingView {
    fn of(grant: EndingGrant) -> Self {
        Self {
            tenant_id: grant.tenant,
            channel_id: grant.channel,
            provider: grant.provider.to_string(),
            display_name: grant.display_name,
            ends_at: grant.ends_at,
        }
    }
}
