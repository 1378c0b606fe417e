//! The tenant and the channel of a request, loaded once and checked in one place.

use axum::RequestPartsExt as _;
use axum::extract::{FromRequestParts, RawPathParams};
use domain::Name;
use http::request::Parts;
use store::{Channel, Tenant};

use crate::App;
use crate::caller::{Caller, Right};
use crate::problem::Problem;

/// The tenant in the path. It is only given out with a right that is checked.
pub(crate) struct InTenant {
    caller: Caller,
    tenant: Tenant,
}

impl InTenant {
    /// The tenant, if the caller may do this in it.
    ///
    /// # Errors
    ///
    /// A 403 that names the right.
    pub(crate) fn with(self, right: Right) -> Result<Tenant, Problem> {
        self.caller.require(right)?;
        Ok(self.tenant)
    }
}

impl FromRequestParts<App> for InTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = parts.extract::<Caller>().await?;
        let missing = || Problem::not_found("tenant");
        let name = path_name(parts, "tenant").await.ok_or_else(missing)?;
        let tenant = app.store.tenant(&name).await?.ok_or_else(missing)?;
        if !caller.sees(tenant.uid) {
            return Err(missing());
        }
        Ok(Self { caller, tenant })
    }
}

/// The channel in the path, with its tenant. It is only given out with a right that is checked.
pub(crate) struct OnChannel {
    within: InTenant,
    channel: Channel,
}

impl OnChannel {
    /// Tenant and channel, if the caller may do this there.
    ///
    /// # Errors
    ///
    /// A 403 that names the right.
    pub(crate) fn with(self, right: Right) -> Result<(Tenant, Channel), Problem> {
        Ok((self.within.with(right)?, self.channel))
    }
}

impl FromRequestParts<App> for OnChannel {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let within = InTenant::from_request_parts(parts, app).await?;
        let missing = || Problem::not_found("channel");
        let name = path_name(parts, "channel").await.ok_or_else(missing)?;
        let channel = app.store.channel(within.tenant.uid, &name).await?;
        Ok(Self {
            channel: channel.ok_or_else(missing)?,
            within,
        })
    }
}

/// One parameter of the path; `None` if it is not there or not UTF-8.
pub(crate) async fn path_param(parts: &mut Parts, name: &str) -> Option<String> {
    let params = parts.extract::<RawPathParams>().await.ok()?;
    params
        .iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// What cannot be a name is the name of nothing.
async fn path_name(parts: &mut Parts, name: &str) -> Option<Name> {
    path_param(parts, name).await?.parse().ok()
}
