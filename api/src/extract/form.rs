//! Bodies that may be JSON or a form, as the seeds' own clients send them.

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::{input, params};
use crate::problem::Problem;

/// A body that must be there: JSON, or `application/x-www-form-urlencoded`.
pub(crate) struct Form<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let form = is_form(request.headers());
        let (json, body) = input::read(request, state).await?;
        match (json, form) {
            (true, _) => input::parse(&body).map(Self),
            (_, true) => parse(&body).map(Self),
            _ => Err(Problem::unsupported_media_type()),
        }
    }
}

/// The same, but it may be left out; then it is `T::default()`.
pub(crate) struct OptionalForm<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let form = is_form(request.headers());
        let (json, body) = input::read(request, state).await?;
        match (json, form) {
            _ if body.is_empty() => Ok(Self(T::default())),
            (true, _) => input::parse(&body).map(Self),
            (_, true) => parse(&body).map(Self),
            _ => Err(Problem::unsupported_media_type()),
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let not_utf8 = |_| Problem::malformed("not_utf8", "The form is not UTF-8.");
    params::parse(std::str::from_utf8(body).map_err(not_utf8)?)
}

fn is_form(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE);
    declared
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| {
            essence
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}
