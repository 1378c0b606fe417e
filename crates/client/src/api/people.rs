//! Who calls, who belongs to a tenant, and the service tokens of programs.

use domain::{Role, Scope, Timestamp};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{Page, Paging, TenantApi, object};
use crate::{Call, Client, ClientError};

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Person {
    /// The id of the person or of the service token.
    pub id: String,
    /// What people call the person or the token.
    pub nombre: String,
    /// The address by which the person logs in; `None` for a program.
    pub correo: Option<String>,
    /// The role in the tenant; `None` for a program.
    pub role: Option<Role>,
    /// The tenant's id; `None` for the holder of the admin token.
    pub tenant_id: Option<String>,
    /// Whether this one may do everything in every tenant.
    pub platform_admin: bool,
    /// What a program may do.
    #[serde(default)]
    pub scopes: Option<Vec<Scope>>,
}

/// A person of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// Since when the person may not log in.
    pub disabled_at: Option<Timestamp>,
    /// When the person came.
    pub created_at: Timestamp,
}

/// Who is invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInvitation {
    /// What people call the person.
    pub name: String,
    /// The address by which the person will log in.
    pub email: String,
    /// The role that the person will have.
    pub role: Role,
}

/// An invitation that was made.
#[derive(Clone, Debug, Deserialize)]
pub struct Invitation {
    /// Its id.
    pub id: String,
    /// What the invited person needs; shown this once.
    pub invitation_token: SecretString,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

/// A service token to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewServiceToken {
    /// What people call it.
    pub name: String,
    /// How long it lives, 30 to 365; `None` is eternal.
    pub days: Option<u32>,
    /// What it may do; empty is `channels:read`.
    pub scopes: Vec<Scope>,
    /// In which tenant; the caller's own if left out.
    pub tenant_id: Option<String>,
}

/// A service token.
#[derive(Clone, Debug, Deserialize)]
pub struct ServiceToken {
    /// Its id.
    pub id: String,
    /// The tenant's id.
    pub tenant_id: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None` never does.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The token itself, when it is made; never again.
    #[serde(default)]
    pub token: Option<SecretString>,
}

impl Client {
    /// Who the caller is.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn me(&self) -> Result<Person, ClientError> {
        self.typed(&Call::new(Method::GET, &["me"])).await
    }

    /// Changes the caller's password and ends all his other log-ins.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; 422 names `current` if it is wrong, `new` if it is too short.
    pub async fn change_password(
        &self,
        current: &SecretString,
        new: &SecretString,
    ) -> Result<(), ClientError> {
        let body = json!({ "current": current.expose_secret(), "new": new.expose_secret() });
        let call = Call::new(Method::POST, &["me", "password"]).body(body);
        self.call(&call).await.map(drop)
    }

    /// Makes a service token (S3.3).
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; 403 for scopes beyond the caller's own rights.
    pub async fn create_service_token(
        &self,
        new: NewServiceToken,
    ) -> Result<ServiceToken, ClientError> {
        let scopes = (!new.scopes.is_empty()).then_some(new.scopes);
        let eternal = new.days.is_none().then_some(true);
        let body = object([
            ("name", json!(new.name)),
            ("days", json!(new.days)),
            ("eternal", json!(eternal)),
            ("scopes", json!(scopes)),
            ("tenant_id", json!(new.tenant_id)),
        ]);
        let call = Call::new(Method::POST, &["service-tokens"]).body(body);
        self.typed(&call).await
    }

    /// Lists the service tokens of a tenant, the caller's own if left out.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn service_tokens(
        &self,
        tenant_id: Option<&str>,
        paging: &Paging,
    ) -> Result<Page<ServiceToken>, ClientError> {
        let call = Call::new(Method::GET, &["service-tokens"]).query("tenant_id", tenant_id);
        self.typed(&paging.on(call)).await
    }

    /// Revokes a service token; the access tokens that were made from it die with it.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn revoke_service_token(&self, id: &str) -> Result<(), ClientError> {
        let call = Call::new(Method::DELETE, &["service-tokens", id]);
        self.call(&call).await.map(drop)
    }
}

impl TenantApi<'_> {
    /// Lists the people of the tenant.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn users(&self, paging: &Paging) -> Result<Page<Member>, ClientError> {
        let call = self.at(Method::GET, &["users"]);
        self.client.typed(&paging.on(call)).await
    }

    /// Invites somebody.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; 409 if somebody has registered with this address.
    pub async fn invite(&self, new: NewInvitation) -> Result<Invitation, ClientError> {
        let body = json!({ "nombre": new.name, "correo": new.email, "role": new.role });
        let call = self.at(Method::POST, &["users"]).body(body);
        self.client.typed(&call).await
    }
}
