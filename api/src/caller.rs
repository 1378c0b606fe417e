//! Who is asking, and what that one may do.

use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use domain::{ServiceTokenUid, SessionUid, TenantUid, Timestamp, UserUid};
use http::request::Parts;
use http::{HeaderMap, header};
use identity::{AccessOf, Digest, Tokens};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use store::ServiceToken;
use subtle::ConstantTimeEq;

use crate::App;
use crate::access::{Right, Rights};
use crate::accounts::Standing;
use crate::problem::Problem;

/// How precisely it is known when a service token was used last.
const USE_NOTED_EVERY: Duration = Duration::from_mins(1);

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

    fn of(who: Who, standing: Standing) -> Self {
        let (tenant, rights) = match standing {
            Standing::Person {
                tenant,
                platform_admin: true,
                ..
            } => (tenant, Rights::Everything),
            Standing::Person { tenant, role, .. } => (tenant, Rights::Role(role)),
            Standing::Program { tenant, scopes, .. } => (tenant, Rights::Scopes(scopes)),
        };
        Self {
            who,
            rights,
            tenant: Some(tenant),
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
pub(crate) async fn identify(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let presented = bearer(headers)
        .ok_or_else(|| Problem::unauthorized("Send the header Authorization: Bearer <token>."))?;
    if is_admin(presented, &app.settings.admin_token) {
        return Ok(Caller::admin());
    }
    let now = app.accounts.clock.now();
    let caller = match app.accounts.tokens.read_access(presented, now) {
        Ok(AccessOf::User { user, session }) => {
            let who = Who::User { uid: user, session };
            standing(app, who).await?.map(|it| Caller::of(who, it))
        }
        Ok(AccessOf::Service { token, scopes }) => {
            let who = Who::ServiceToken(token);
            let caller = standing(app, who).await?.map(|it| Caller::of(who, it));
            caller.map(|caller| Caller {
                rights: Rights::Scopes(scopes),
                ..caller
            })
        }
        Err(_) => service_token(app, presented).await?,
    };
    caller.ok_or_else(|| Problem::unauthorized("The bearer token is not valid."))
}

/// The program that bears this service token; `None` if it is none that lives.
///
/// # Errors
///
/// 503 if the database is away.
pub(crate) async fn service_token(app: &App, presented: &str) -> Result<Option<Caller>, Problem> {
    let Some(uid) = Tokens::claimed_service(presented) else {
        return Ok(None);
    };
    let who = Who::ServiceToken(uid);
    let standing = standing(app, who).await?;
    let proven = standing.filter(|it| it.is_of(Digest::of(presented)));
    Ok(proven.map(|it| Caller::of(who, it)))
}

/// What the database says of a caller, or said less than a second ago.
async fn standing(app: &App, who: Who) -> Result<Option<Standing>, Problem> {
    if let Some(standing) = app.standings().of(who) {
        return Ok(Some(standing));
    }
    let asked_at = Instant::now();
    let found = match who {
        Who::Admin => None,
        Who::User { session, .. } => app.store.familiar(session).await?.map(Standing::from),
        Who::ServiceToken(uid) => {
            let token = app.store.living_service_token(uid).await?;
            token
                .inspect(|token| note_use(app, token))
                .map(Standing::from)
        }
    };
    if let Some(standing) = &found {
        app.standings().remember(who, asked_at, standing.clone());
    }
    Ok(found)
}

/// Writes down that a service token is in use, without making its bearer wait.
fn note_use(app: &App, token: &ServiceToken) {
    let now = app.accounts.clock.now();
    let lately = |at: Timestamp| now.since(at) < USE_NOTED_EVERY;
    if token.last_used_at.is_some_and(lately) {
        return;
    }
    let (store, uid) = (app.store.clone(), token.uid);
    tokio::spawn(async move {
        if let Err(error) = store.touch_service_token(uid).await {
            tracing::debug!(%error, "the use of a service token was not noted");
        }
    });
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

/// Whether two secrets are the same.
///
/// Compares digests in constant time, so that neither content nor length of the
/// secret shows in how long it takes.
pub(crate) fn same(presented: &[u8], secret: &[u8]) -> bool {
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
