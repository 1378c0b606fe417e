//! How fresh everything is, and what comes (S5.7, S5.8).

use std::collections::BTreeMap;

use domain::Timestamp;
use reqwest::Method;
use serde::Deserialize;

use super::TenantApi;
use crate::{Call, Client, ClientError};

/// How fresh channels are (S5.7).
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Freshness {
    /// Dead minutes, refreshes and lags are of the last so many hours.
    pub hours: u32,
    /// A token is valid if it lives for more minutes than these.
    pub margin_minutes: u32,
    /// Of all channels that were asked for.
    pub all: FreshnessFigures,
    /// By provider, those that occur.
    pub by_provider: BTreeMap<String, FreshnessFigures>,
}

/// How fresh the channels of all tenants are.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PlatformFreshness {
    /// Of all together.
    #[serde(flatten)]
    pub whole: Freshness,
    /// How many tenants have such channels.
    pub tenants: u64,
    /// The 50 with the lowest share of valid channels, the lowest first.
    pub by_tenant: Vec<TenantFreshness>,
}

/// How fresh the channels of one tenant are.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TenantFreshness {
    /// Its id.
    pub tenant_id: String,
    /// Of its channels.
    #[serde(flatten)]
    pub figures: FreshnessFigures,
}

/// How fresh some channels are.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FreshnessFigures {
    /// Channels that are to be kept alive: `active`, `error` or `needs_reauth`, with an expiry.
    pub channels: u64,
    /// Those whose access token lives for longer than the margin.
    pub valid: u64,
    /// `valid` of `channels`, from 0 to 1; `None` without channels.
    pub valid_share: Option<f64>,
    /// Those whose access token has ended.
    pub dead_now: u64,
    /// For how many minutes tokens were dead, added up.
    pub dead_minutes: f64,
    /// Refreshes that brought new tokens.
    pub refreshed: u64,
    /// How late they came.
    pub lag_ms: Lag,
}

/// How late refreshes came that were due, in milliseconds; `None` if there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Lag {
    /// Half of them were no later; an upper bound.
    pub p50: Option<u64>,
    /// 99 of 100 were no later; an upper bound.
    pub p99: Option<u64>,
    /// The latest.
    pub max: Option<u64>,
}

/// What comes (S5.8).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Forecast {
    /// Refreshes of the next 24 hours.
    pub calls: ForecastCalls,
    /// Grants that only a person can renew.
    pub need_person: NeedPerson,
}

/// Refreshes of the next 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ForecastCalls {
    /// All of them.
    pub total: u64,
    /// By provider, those that occur.
    pub by_provider: BTreeMap<String, ProviderCalls>,
}

/// The refreshes of a provider's channels in the next 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProviderCalls {
    /// All of them.
    pub total: u64,
    /// Within an hour from now, in the hour after that, ….
    pub by_hour: [u64; 24],
}

/// Grants that only a person can renew.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NeedPerson {
    /// Within so many days.
    pub days: u32,
    /// How many refresh tokens come to their own end by then.
    pub total: u64,
    /// How many channels are in `needs_reauth` already; they are not in `total`.
    pub waiting_now: u64,
    /// `total` by provider, those that occur.
    pub by_provider: BTreeMap<String, u64>,
    /// The first 100 of these, by their end.
    pub items: Vec<EndingGrant>,
}

/// A channel whose refresh token comes to its own end.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EndingGrant {
    /// Whose it is.
    pub tenant_id: String,
    /// Its id.
    pub channel_id: String,
    /// The kind of provider.
    pub provider: String,
    /// What people call it.
    pub display_name: String,
    /// When its refresh token ends.
    pub ends_at: Timestamp,
}

/// Which refreshes count, and which tokens are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreshnessSpan {
    /// The last so many hours, 1 to 24; 24 if left out.
    pub hours: Option<u32>,
    /// A token is valid if it lives for more minutes than these, 0 to 1440; 5 if left out.
    pub margin_minutes: Option<u32>,
}

impl FreshnessSpan {
    fn on(self, call: Call) -> Call {
        call.query("hours", self.hours)
            .query("margin_minutes", self.margin_minutes)
    }
}

impl Client {
    /// How fresh the channels of all tenants are, for platform admins.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn freshness(&self, span: FreshnessSpan) -> Result<PlatformFreshness, ClientError> {
        let call = Call::new(Method::GET, &["stats", "freshness"]);
        self.typed(&span.on(call)).await
    }

    /// What comes for the channels of all tenants, for platform admins; grants that end within
    /// 1 to 90 days, 7 if left out.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn forecast(&self, days: Option<u32>) -> Result<Forecast, ClientError> {
        let call = Call::new(Method::GET, &["stats", "forecast"]);
        self.typed(&call.query("days", days)).await
    }
}

impl TenantApi<'_> {
    /// How fresh its channels are (S5.7).
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn freshness(&self, span: FreshnessSpan) -> Result<Freshness, ClientError> {
        let call = self.at(Method::GET, &["stats", "freshness"]);
        self.client.typed(&span.on(call)).await
    }

    /// What comes for its channels (S5.8); grants that end within 1 to 90 days, 7 if left out.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn forecast(&self, days: Option<u32>) -> Result<Forecast, ClientError> {
        let call = self.at(Method::GET, &["stats", "forecast"]);
        self.client.typed(&call.query("days", days)).await
    }
}
