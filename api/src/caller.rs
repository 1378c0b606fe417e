//! Who is asking, and what that one may do.

use axum::extract::FromRequestParts;
use domain::{ServiceTokenUid, SessionUid, TenantUid, UserUid};
use http::request::Parts;
use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::App;
use crate::access::{Right, Rights};
use crate::problem::Problem;

/// Who is asking. It exists only for requests that [`identify`] let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Which person or program.
    pub(crate) who: Who,
    /// What that one may do, in its tenant.
    pub(crate) rights: Rights,
    /// Its tenant; `None` for the holder of the admin token, who has none.
    pub(crate) tenant: Option<TenantUid>,
}

/// The kinds of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// The holder of the admin token.
    Admin,
    /// A person who logged in.
    User {
        /// Who.
        uid: UserUid,
        /// By which log-in.
        session: SessionUid,
    },
    /// A program with a service token, or with an access token made from one.
    ServiceToken(ServiceTokenUid),
}

impl Caller {
    /// The holder of the admin token: every right in every tenant.
    const fn admin() -> Self {
        Self {
            who: Who::Admin,
            rights: Rights::Everything,
            tenant: None,
        }
    }

    /// Whether the tenant exists for this caller: what is another's does not.
    pub(crate) fn sees(&self, tenant: TenantUid) -> bool {
        self.rights == Rights::Everything || self.tenant == Some(tenant)
    }

    /// Passes if the caller has the right.
    ///
    /// # Errors
    ///
    /// A 403 that names the right.
    pub(crate) fn require(&self, right: Right) -> Result<(), Problem> {
        if self.rights.include(right) {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "These credentials do not allow to {}.",
            right.in_words()
        )))
    }

    /// The account that limits and the audit log know the caller by: the same for
    /// every token of one person, and for a service token and the tokens made from it.
    pub(crate) fn account(&self) -> String {
        match self.who {
            Who::Admin => "admin".to_owned(),
            Who::User { uid, .. } => format!("user:{uid}"),
            Who::ServiceToken(uid) => format!("service_token:{uid}"),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::unauthorized("This address needs a bearer token."))
    }
}

/// Finds out who is asking.
///
/// # Errors
///
/// A 401 if the request has no bearer token, or one that is not valid.
#[expect(
    clippy::unused_async,
    reason = "people and service tokens are looked up"
)]
pub(crate) async fn identify(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let presented = bearer(headers)
        .ok_or_else(|| Problem::unauthorized("Send the header Authorization: Bearer <token>."))?;
    if is_admin(presented, &app.settings.admin_token) {
        return Ok(Caller::admin());
    }
    Err(Problem::unauthorized("The bearer token is not valid."))
}

/// The token of the only `Authorization` header; its scheme is matched without case (RFC 9110 §11.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case("bearer ") && !token.is_empty()).then_some(token)
}

/// An empty admin token lets nobody in.
fn is_admin(presented: &str, admin_token: &SecretString) -> bool {
    let secret = admin_token.expose_secret();
    !secret.is_empty() && same(presented.as_bytes(), secret.as_bytes())
}

/// Compares digests in constant time, so that neither content nor length of the
/// secret shows in how long it takes.
fn same(presented: &[u8], secret: &[u8]) -> bool {
    let (presented, secret) = (Sha256::digest(presented), Sha256::digest(secret));
    presented.as_slice().ct_eq(secret.as_slice()).into()
}

#[cfg(test)]
mod tests {
    use domain::Role;
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_one_bearer_header_with_the_whole_token_is_let_through() {
        let passes = |values: &[&'static str]| {
            bearer(&headers(values)).is_some_and(|token| is_admin(token, &"s3cret".into()))
        };

        assert!(passes(&["Bearer s3cret"]));
        assert!(passes(&["bearer  s3cret "]));
        assert!(!passes(&[]));
        assert!(!passes(&["Bearer "]));
        assert!(!passes(&["Bearer s3cre"]));
        assert!(!passes(&["Bearer s3cret2"]));
        assert!(!passes(&["Basic s3cret"]));
        assert!(!passes(&["Bearer s3cret", "Bearer s3cret"]));
        assert!(!is_admin("", &"".into()));
    }

    #[test]
    fn a_caller_sees_its_own_tenant_and_the_platform_sees_all() {
        let (own, other) = (TenantUid::generate(), TenantUid::generate());
        let owner = Caller {
            who: Who::ServiceToken(ServiceTokenUid::generate()),
            rights: Rights::Role(Role::Owner),
            tenant: Some(own),
        };

        assert!(owner.sees(own) && !owner.sees(other));
        assert!(Caller::admin().sees(own) && Caller::admin().sees(other));
    }
}
