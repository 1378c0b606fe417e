//! The tenant and the channel of a request, loaded once and checked in one place.

use std::any::Any;
use std::time::Instant;

use axum::RequestPartsExt as _;
use axum::extract::{FromRequestParts, RawPathParams};
use domain::{EndpointUid, Name, TenantUid};
use http::request::Parts;
use store::{Batch, Channel, ServiceToken, Tenant};
use uuid::Uuid;

use super::Job;
use super::job;
use crate::App;
use crate::access::Right;
use crate::problem::Problem;

/// The built-in tenant.
const PLATFORM: &str = "platform";

/// What the path of a request names; the gate looks whose it is.
pub(crate) enum Place {
    /// Nothing that belongs to a tenant.
    Nowhere,
    /// A tenant, and perhaps something in it.
    Tenant(Tenant),
    /// A job.
    Job(Box<Job>),
    /// A batch, under its id.
    Batch(Uuid, Batch),
    /// A service token.
    ServiceToken(ServiceToken),
}

impl Place {
    /// Loads what the path names, for a caller who needs this right.
    ///
    /// # Errors
    ///
    /// A 404 if there is none; 503 if the database is away.
    pub(crate) async fn load(parts: &mut Parts, app: &App, right: Right) -> Result<Self, Problem> {
        let params = parts.extract::<RawPathParams>().await;
        let Ok(params) = params else {
            // Not UTF-8: the name of nothing.
            return Err(Problem::not_found("address"));
        };
        let named = |name: &str| params.iter().find(|(key, _)| *key == name);
        if let Some((_, tenant)) = named("tenant") {
            let tenant = match right {
                Right::ReadTokens => tenant_known(app, tenant).await,
                _ => tenant_named(app, tenant).await,
            };
            return tenant.map(Self::Tenant);
        }
        if let Some((_, id)) = named("job") {
            return job::load(app, id).await.map(|job| Self::Job(Box::new(job)));
        }
        if let Some((_, id)) = named("batch") {
            return batch_named(app, id)
                .await
                .map(|(id, batch)| Self::Batch(id, batch));
        }
        if let Some((_, id)) = named("service_token") {
            return service_token(app, id).await.map(Self::ServiceToken);
        }
        Ok(Self::Nowhere)
    }

    /// Whose it is.
    pub(crate) fn owner(&self) -> Option<TenantUid> {
        match self {
            Self::Nowhere => None,
            Self::Tenant(tenant) => Some(tenant.uid),
            Self::Job(job) => Some(job.tenant.uid),
            Self::Batch(_, batch) => Some(batch.tenant),
            Self::ServiceToken(token) => Some(token.tenant),
        }
    }

    /// The 404 for a caller who must not know that it is there: the same as if it were not.
    pub(crate) fn missing(&self) -> Problem {
        Problem::not_found(match self {
            Self::Nowhere => "address",
            Self::Tenant(_) => "tenant",
            Self::Job(_) => "job",
            Self::Batch(..) => "batch",
            Self::ServiceToken(_) => "service token",
        })
    }

    /// Leaves it where the extractors find it.
    pub(crate) fn leave_in(self, parts: &mut Parts) {
        match self {
            Self::Nowhere => {}
            Self::Tenant(tenant) => drop(parts.extensions.insert(InTenant(tenant))),
            Self::Job(job) => drop(parts.extensions.insert(OnJob(*job))),
            Self::Batch(id, batch) => drop(parts.extensions.insert(OnBatch(id, batch))),
            Self::ServiceToken(token) => drop(parts.extensions.insert(OnServiceToken(token))),
        }
    }
}

/// The tenant in the path; the gate has let the caller pass.
#[derive(Clone, Debug)]
pub(crate) struct InTenant(pub(crate) Tenant);

/// The job in the path; the gate has let the caller pass.
#[derive(Clone, Debug)]
pub(crate) struct OnJob(pub(crate) Job);

/// The batch in the path and its id; the gate has let the caller pass.
#[derive(Clone, Debug)]
pub(crate) struct OnBatch(pub(crate) Uuid, pub(crate) Batch);

/// The tenant in the path and the name of a channel, which is not looked for yet; the gate has
/// let the caller pass.
#[derive(Clone, Debug)]
pub(crate) struct InChannel(pub(crate) Tenant, pub(crate) Name);

/// The service token in the path; the gate has let the caller pass.
#[derive(Clone, Debug)]
pub(crate) struct OnServiceToken(pub(crate) ServiceToken);

/// The channel in the path with its tenant; the gate has let the caller pass.
#[derive(Clone, Debug)]
pub(crate) struct OnChannel(pub(crate) Tenant, pub(crate) Channel);

/// The webhook that the path names, with its tenant; whether there is one, and whether it is
/// that tenant's, is found out with what is done to it.
#[derive(Clone, Debug)]
pub(crate) struct OnWebhook(pub(crate) Tenant, pub(crate) EndpointUid);

impl<S: Send + Sync> FromRequestParts<S> for InTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        left_by_the_gate(parts)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OnJob {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        left_by_the_gate(parts)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OnBatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        left_by_the_gate(parts)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InChannel {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let InTenant(tenant) = left_by_the_gate(parts)?;
        let name = path_param(parts, "channel").await;
        let name = name.and_then(|name| name.parse().ok());
        Ok(Self(
            tenant,
            name.ok_or_else(|| Problem::not_found("channel"))?,
        ))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OnServiceToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        left_by_the_gate(parts)
    }
}

impl FromRequestParts<App> for OnChannel {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let InChannel(tenant, name) = InChannel::from_request_parts(parts, app).await?;
        let channel = app.store.channel(tenant.uid, &name).await?;
        Ok(Self(
            tenant,
            channel.ok_or_else(|| Problem::not_found("channel"))?,
        ))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OnWebhook {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let InTenant(tenant) = left_by_the_gate(parts)?;
        let id = path_param(parts, "webhook").await;
        let uid = id.and_then(|id| id.parse().ok());
        Ok(Self(
            tenant,
            uid.ok_or_else(|| Problem::not_found("webhook"))?,
        ))
    }
}

/// A handler that asks for more than its address names is a fault of ours; it sees nothing.
fn left_by_the_gate<T: Any + Clone + Send + Sync>(parts: &mut Parts) -> Result<T, Problem> {
    parts.extensions.get::<T>().cloned().ok_or_else(|| {
        tracing::error!("a handler asked for what its address does not name");
        Problem::internal_error()
    })
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
async fn tenant_named(app: &App, name: &str) -> Result<Tenant, Problem> {
    let missing = || Problem::not_found("tenant");
    let name: Name = name.parse().map_err(|_| missing())?;
    let found = app.store.tenant(&name).await?;
    if found.is_none() && name.as_str() == PLATFORM {
        // It is there for whoever asks first: an operator who wants to hear of breakers.
        return Ok(app.store.platform_tenant().await?);
    }
    found.ok_or_else(missing)
}

/// The same, or what was found less than a second ago.
async fn tenant_known(app: &App, name: &str) -> Result<Tenant, Problem> {
    let known = name.parse().ok().and_then(|id| app.tenancy().of(&id));
    if let Some(tenant) = known {
        return Ok(tenant);
    }
    let asked_at = Instant::now();
    let tenant = tenant_named(app, name).await?;
    app.tenancy().remember(asked_at, &tenant);
    Ok(tenant)
}

async fn batch_named(app: &App, id: &str) -> Result<(Uuid, Batch), Problem> {
    let missing = || Problem::not_found("batch");
    let id = Uuid::try_parse(id).map_err(|_| missing())?;
    let batch = app.store.batch(id).await?.ok_or_else(missing)?;
    Ok((id, batch))
}

async fn service_token(app: &App, id: &str) -> Result<ServiceToken, Problem> {
    let missing = || Problem::not_found("service token");
    let uid = id.parse().map_err(|_| missing())?;
    app.store.service_token(uid).await?.ok_or_else(missing)
}
