//! Tenants, their schedule and their figures.

use std::collections::BTreeMap;

use domain::{ChannelState, Misfire, Timestamp, TokenExpirationInfo};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ChannelApi, Page, Paging, object};
use crate::{Call, Client, ClientError};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a new tenant is called; both may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTenant {
    /// 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub id: Option<String>,
    /// What people call it.
    pub name: Option<String>,
}

/// A tenant's recurring refresh (S2.5).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Schedule {
    /// The job of the next run.
    pub job_id: String,
    /// When that is.
    pub next_run_at: Timestamp,
    /// Minutes between two runs.
    pub interval_minutes: u64,
    /// How many minutes ahead each run looks; `None` is 60.
    pub refresh_before_minutes: Option<u32>,
    /// What becomes of a run that comes more than a minute late; a server that does not say it
    /// knows only `once`.
    #[serde(default)]
    pub misfire: Misfire,
}

/// A tenant's channels in figures (S2.8).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Statistics {
    /// All channels.
    pub total_channels: u64,
    /// Those whose token ends within the tenant's window.
    pub channels_needing_refresh: u64,
    /// Those that have what a refresh needs.
    pub channels_with_refresh_token: u64,
    /// Those whose token ends within 60 minutes.
    pub urgent_channels: u64,
    /// By state, zeros too.
    pub by_state: BTreeMap<ChannelState, u64>,
    /// By provider, those that occur.
    pub by_provider: BTreeMap<String, u64>,
    /// Jobs of the last 24 hours that ended with fresh credentials.
    pub refreshed_24h: u64,
    /// Jobs of the last 24 hours that failed.
    pub failed_24h: u64,
    /// The earliest end of a token of an active channel.
    pub next_expiry: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Figures {
    statistics: Statistics,
}

#[derive(Deserialize)]
struct Expiring {
    channels: Vec<TokenExpirationInfo>,
}

impl Client {
    /// A tenant by its id; nothing is asked yet.
    #[must_use]
    pub fn tenant(&self, id: &str) -> TenantApi<'_> {
        TenantApi {
            client: self,
            id: id.to_owned(),
        }
    }

    /// Lists tenants, for platform admins.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn tenants(&self, paging: &Paging) -> Result<Page<Tenant>, ClientError> {
        let call = paging.on(Call::new(Method::GET, &["tenants"]));
        self.typed(&call).await
    }

    /// Makes a tenant, for platform admins.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; 409 if the id is taken.
    pub async fn create_tenant(&self, new: NewTenant) -> Result<Tenant, ClientError> {
        let body = object([("id", json!(new.id)), ("name", json!(new.name))]);
        let call = Call::new(Method::POST, &["tenants"]).body(body);
        self.typed(&call).await
    }
}

/// The calls about one tenant.
///
/// Each fails as [`Client::call`] does; a tenant that the caller may not see is a 404.
#[derive(Clone, Debug)]
pub struct TenantApi<'c> {
    pub(super) client: &'c Client,
    pub(super) id: String,
}

impl<'c> TenantApi<'c> {
    /// A channel by its id; nothing is asked yet.
    #[must_use]
    pub fn channel(&self, id: &str) -> ChannelApi<'c> {
        ChannelApi {
            client: self.client,
            tenant: self.id.clone(),
            id: id.to_owned(),
        }
    }

    /// A call of `/api/v1/tenants/{tenant}/…`.
    pub(super) fn at(&self, method: Method, path: &[&str]) -> Call {
        Call::new(method, &[&["tenants", &self.id], path].concat())
    }

    /// Shows it.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn show(&self) -> Result<Tenant, ClientError> {
        self.client.typed(&self.at(Method::GET, &[])).await
    }

    /// Deletes it with all its channels, for platform admins.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn delete(&self) -> Result<(), ClientError> {
        let call = self.at(Method::DELETE, &[]);
        self.client.call(&call).await.map(drop)
    }

    /// Its recurring refresh; 404 if there is none.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn schedule(&self) -> Result<Schedule, ClientError> {
        let call = self.at(Method::GET, &["schedule"]);
        self.client.typed(&call).await
    }

    /// Makes or changes its recurring refresh (S2.5): every 1 to 43,200 minutes; each run
    /// looks `refresh_before_minutes` ahead, 60 if left out; `misfire` says what becomes of one
    /// that was missed.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn put_schedule(
        &self,
        interval_minutes: u64,
        refresh_before_minutes: Option<u64>,
        misfire: Misfire,
    ) -> Result<Schedule, ClientError> {
        let body = object([
            ("interval_minutes", json!(interval_minutes)),
            ("refresh_before_minutes", json!(refresh_before_minutes)),
            ("misfire", json!(misfire)),
        ]);
        let call = self.at(Method::PUT, &["schedule"]).body(body);
        self.client.typed(&call).await
    }

    /// Cancels its recurring refresh (S2.6); `false` if there was none.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn cancel_schedule(&self) -> Result<bool, ClientError> {
        let call = self.at(Method::DELETE, &["schedule"]);
        let answer = self.client.call(&call).await?;
        Ok(answer["cancelled"] == Value::Bool(true))
    }

    /// Its channels in figures (S2.8).
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn statistics(&self) -> Result<Statistics, ClientError> {
        let call = self.at(Method::GET, &["refresh", "statistics"]);
        let figures: Figures = self.client.typed(&call).await?;
        Ok(figures.statistics)
    }

    /// Its channels whose token ends within so many minutes (S2.3); the schedule's window, else
    /// 60, if left out.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn needing_refresh(
        &self,
        refresh_before_minutes: Option<u64>,
    ) -> Result<Vec<TokenExpirationInfo>, ClientError> {
        let call = self
            .at(Method::GET, &["channels", "needing-refresh"])
            .query("refresh_before_minutes", refresh_before_minutes);
        let expiring: Expiring = self.client.typed(&call).await?;
        Ok(expiring.channels)
    }
}
