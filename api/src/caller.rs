//! Who is asking, and what that one may do.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::TenantUid;
use http::request::Parts;
use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::App;
use crate::problem::Problem;

/// What a request needs to be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// See channels, schedules, histories and figures of a tenant.
    ReadChannels,
    /// Import and delete channels.
    WriteChannels,
    /// Refresh, schedule and pause.
    Refresh,
    /// See jobs.
    ReadJobs,
    /// Retry and cancel jobs.
    WriteJobs,
    /// Create, list and delete tenants; see what spans them.
    Platform,
}

impl Right {
    /// What the right allows, as a sentence's end.
    const fn in_words(self) -> &'static str {
        match self {
            Self::ReadChannels => "see channels",
            Self::WriteChannels => "import and delete channels",
            Self::Refresh => "refresh and schedule channels",
            Self::ReadJobs => "see jobs",
            Self::WriteJobs => "retry and cancel jobs",
            Self::Platform => "act for the platform",
        }
    }
}

/// Who is asking. It exists only for requests that [`authenticate`] let through.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    identity: Identity,
}

/// The kinds of callers.
#[derive(Clone, Copy, Debug)]
enum Identity {
    /// The holder of the admin token: every right in every tenant.
    Admin,
}

impl Caller {
    /// Whether the tenant exists for this caller: what is another's does not.
    pub(crate) const fn sees(&self, _tenant: TenantUid) -> bool {
        match self.identity {
            Identity::Admin => true,
        }
    }

    /// Passes if the caller has the right.
    ///
    /// # Errors
    ///
    /// A 403 that names the right.
    pub(crate) fn require(&self, right: Right) -> Result<(), Problem> {
        if self.has(right) {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "These credentials do not allow to {}.",
            right.in_words()
        )))
    }

    const fn has(&self, _right: Right) -> bool {
        match self.identity {
            Identity::Admin => true,
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

/// Finds out who is asking, or answers 401.
pub(crate) async fn authenticate(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Response {
    match identify(request.headers(), &app.settings.admin_token) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn identify(headers: &HeaderMap, admin_token: &SecretString) -> Result<Caller, Problem> {
    let presented = bearer(headers)
        .ok_or_else(|| Problem::unauthorized("Send the header Authorization: Bearer <token>."))?;
    if same(presented, admin_token.expose_secret().as_bytes()) {
        return Ok(Caller {
            identity: Identity::Admin,
        });
    }
    Err(Problem::unauthorized("The bearer token is not valid."))
}

/// The token of the only `Authorization` header; its scheme is matched without case (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?.as_bytes(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

/// Compares digests in constant time, so that neither content nor length of the
/// secret shows in how long it takes.
fn same(presented: &[u8], secret: &[u8]) -> bool {
    let (presented, secret) = (Sha256::digest(presented), Sha256::digest(secret));
    presented.as_slice().ct_eq(secret.as_slice()).into()
}

#[cfg(test)]
mod tests {
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
        let passes = |values: &[&'static str]| identify(&headers(values), &"s3cret".into()).is_ok();

        assert!(passes(&["Bearer s3cret"]));
        assert!(passes(&["bearer  s3cret "]));
        assert!(!passes(&[]));
        assert!(!passes(&["Bearer "]));
        assert!(!passes(&["Bearer s3cre"]));
        assert!(!passes(&["Bearer s3cret2"]));
        assert!(!passes(&["Basic s3cret"]));
        assert!(!passes(&["Bearer s3cret", "Bearer s3cret"]));
    }
}
