//! What people look like in JSON, under the names of the seeds.

use domain::{Role, Scope, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use store::User;

use crate::App;
use crate::problem::Problem;

/// Who somebody is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PersonView {
    /// The uid of the person or of the service token; `admin` for the admin token's holder.
    pub(super) id: String,
    /// What people call the person or the token.
    pub(super) nombre: String,
    /// The address by which the person logs in; null for a program.
    pub(super) correo: Option<String>,
    /// The role in the tenant; null for a program.
    pub(super) role: Option<Role>,
    /// The tenant's id; null for the admin token's holder.
    pub(super) tenant_id: Option<String>,
    /// Whether this one may do everything in every tenant.
    pub(super) platform_admin: bool,
    /// What a program may do; not there for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scopes: Option<Vec<Scope>>,
}

impl PersonView {
    /// A person in the tenant with this id.
    pub(super) fn of(user: &User, tenant: String) -> Self {
        Self {
            id: user.uid.to_string(),
            nombre: user.name.clone(),
            correo: Some(user.email.clone()),
            role: Some(user.role),
            tenant_id: Some(tenant),
            platform_admin: user.platform_admin,
            scopes: None,
        }
    }

    /// The same, with the tenant looked up.
    ///
    /// # Errors
    ///
    /// 404 if the tenant has gone meanwhile; 503 if the database is away.
    pub(super) async fn load(app: &App, user: &User) -> Result<Self, Problem> {
        let tenant = app.store.tenant_by_uid(user.tenant).await?;
        let tenant = tenant.ok_or_else(|| Problem::not_found("tenant"))?;
        Ok(Self::of(user, tenant.id.to_string()))
    }
}

/// A person as those who manage the tenant see it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MemberView {
    #[serde(flatten)]
    person: PersonView,
    /// Since when the person may not log in; null may.
    disabled_at: Option<Timestamp>,
    /// When the person came.
    created_at: Timestamp,
}

impl MemberView {
    /// A person in the tenant with this id.
    pub(super) fn of(user: &User, tenant: String) -> Self {
        Self {
            person: PersonView::of(user, tenant),
            disabled_at: user.disabled_at,
            created_at: user.created_at,
        }
    }
}
