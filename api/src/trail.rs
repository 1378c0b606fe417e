//! The line that a change leaves in the audit log.

use axum::extract::FromRequestParts;
use domain::TenantUid;
use http::request::Parts;
use http::{HeaderMap, header};
use serde_json::Value;
use store::AuditEntry;

use crate::App;
use crate::caller::Caller;
use crate::extract::InTenant;
use crate::origin::Origin;
use crate::problem::Problem;

/// Who does something, where, and from where: a handler that writes its own line makes
/// it of this, so that it is stored together with the change.
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    actor: String,
    tenant: Option<TenantUid>,
    origin: Origin,
}

impl Trail {
    /// The trail of somebody who is not known yet: a person that registers or logs in.
    pub(crate) fn of_nobody(origin: Origin) -> Self {
        Self {
            actor: "anonymous".to_owned(),
            tenant: None,
            origin,
        }
    }

    /// The trail of a caller; in the tenant that the path names, else in its own.
    pub(crate) fn of(caller: &Caller, tenant: Option<TenantUid>, origin: Origin) -> Self {
        Self {
            actor: caller.account(),
            tenant: tenant.or(caller.tenant),
            origin,
        }
    }

    /// The account.
    pub(crate) fn actor(&self) -> &str {
        &self.actor
    }

    /// The same, by this account.
    pub(crate) fn by(self, actor: String) -> Self {
        Self { actor, ..self }
    }

    /// The same, in this tenant.
    pub(crate) fn within(self, tenant: TenantUid) -> Self {
        Self {
            tenant: Some(tenant),
            ..self
        }
    }

    /// The line: what it is called, and what it was done to.
    pub(crate) fn entry(&self, action: &'static str, target: impl Into<String>) -> AuditEntry {
        AuditEntry {
            tenant: self.tenant,
            actor: self.actor.clone(),
            action,
            target: target.into(),
            address: self.origin.address,
            request_id: self.origin.request_id,
            details: Value::Null,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Trail {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let origin = Origin::from_request_parts(parts, state).await?;
        let Some(caller) = parts.extensions.get::<Caller>() else {
            return Ok(Self::of_nobody(origin));
        };
        let tenant = parts.extensions.get::<InTenant>();
        Ok(Self::of(caller, tenant.map(|it| it.0.uid), origin))
    }
}

/// Writes the line of a change that its handler has made. The change stands already,
/// so a log that cannot be written is a fault to be told, and no reason to answer otherwise.
pub(crate) async fn leave(app: &App, entry: &AuditEntry) {
    if let Err(error) = app.store.audit(entry).await {
        tracing::error!(
            audit.action = entry.action,
            request.id = %entry.request_id,
            error = &error as &dyn std::error::Error,
            "a change is not in the audit log"
        );
    }
}

/// What a request was done to: what it has made, else what its path names.
pub(crate) fn target(path: &str, answer: &HeaderMap) -> String {
    let made = answer.get(header::LOCATION).and_then(|it| it.to_str().ok());
    let whole = made.unwrap_or(path);
    let part = whole.strip_prefix("/api/v1/").unwrap_or(whole);
    part.to_owned()
}
