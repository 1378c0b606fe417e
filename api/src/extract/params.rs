//! Query parameters: strict, and named when they are wrong.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use store::PageRequest;

use super::explain::explain;
use crate::limits::{PAGE_DEFAULT, PAGE_MAX};
use crate::problem::{FieldError, Problem};

/// The query of a request; unknown, repeated and ill-formed parameters are refused.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// A whole number within a range.
///
/// # Errors
///
/// What is allowed, under the name of the field.
pub(crate) fn within(
    field: &str,
    value: i64,
    range: std::ops::RangeInclusive<i64>,
) -> Result<i64, FieldError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let message = format!(
        "must be a whole number from {} to {}",
        range.start(),
        range.end()
    );
    Err(FieldError::new(field, message))
}

/// Which page of a list is wanted, from its two parameters.
///
/// # Errors
///
/// A 422 that names `limit` outside of 1–200, or a `cursor` that no list returned.
pub(crate) fn page_request<K: FromStr>(
    cursor: Option<&str>,
    limit: Option<i64>,
) -> Result<PageRequest<K>, Problem> {
    Ok(PageRequest {
        limit: page_limit(limit)?,
        after: cursor.map(parse_cursor).transpose()?,
    })
}

/// The `limit` of a list, or the usual size.
///
/// # Errors
///
/// A 422 that names `limit`, outside of 1–200.
pub(crate) fn page_limit(limit: Option<i64>) -> Result<u32, Problem> {
    let Some(limit) = limit else {
        return Ok(PAGE_DEFAULT);
    };
    let limit =
        within("limit", limit, 1..=PAGE_MAX).map_err(|error| Problem::invalid(vec![error]))?;
    Ok(u32::try_from(limit).expect("the range above fits"))
}

/// What a cursor continues after.
fn parse_cursor<K: FromStr>(cursor: &str) -> Result<K, Problem> {
    cursor.parse().map_err(|_| {
        Problem::invalid_field("cursor", "must be the next_cursor of a page of this list")
    })
}

pub(super) fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = || form_urlencoded::parse(query.as_bytes());
    // The decoder puts this character where the bytes are no text.
    if pairs().any(|(name, value)| name.contains('\u{fffd}') || value.contains('\u{fffd}')) {
        return Err(Problem::malformed(
            "not_utf8",
            "The query is not UTF-8 once its percent signs are decoded.",
        ));
    }
    let query = serde_urlencoded::Deserializer::new(pairs());
    serde_path_to_error::deserialize(query).map_err(|error| {
        let path = error.path().to_string();
        Problem::invalid(vec![explain(&path, &error.into_inner().to_string())])
    })
}
