//! Bodies: JSON, bounded, and told apart by what is wrong with them.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::explain::explain;
use crate::limits::BODY_MAX;
use crate::problem::Problem;

/// A JSON body that must be there.
pub(crate) struct Input<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (json, body) = read(request, state).await?;
        if !json {
            return Err(Problem::unsupported_media_type());
        }
        parse(&body).map(Self)
    }
}

/// A JSON body that may be left out; then it is `T::default()`.
pub(crate) struct OptionalInput<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalInput<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (json, body) = read(request, state).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        if !json {
            return Err(Problem::unsupported_media_type());
        }
        parse(&body).map(Self)
    }
}

/// A field that may be left out, but is not `null` when it is there.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

pub(super) async fn read<S: Send + Sync>(
    request: Request,
    state: &S,
) -> Result<(bool, Bytes), Problem> {
    let json = is_json(request.headers());
    match Bytes::from_request(request, state).await {
        Ok(body) => Ok((json, body)),
        Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))) => {
            Err(Problem::body_too_large(BODY_MAX))
        }
        Err(_) => Err(Problem::malformed(
            "incomplete_body",
            "The body ended before its announced length, or was not framed as announced.",
        )),
    }
}

/// Whether the body is declared as `application/json` or `application/…+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase())
        .unwrap_or_default();
    declared == "application/json"
        || declared
            .strip_prefix("application/")
            .is_some_and(|subtype| subtype.ends_with("+json"))
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
    must_be_an_object(text)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let value: T = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if cause.is_data() {
            Problem::invalid(vec![explain(&path, &cause.to_string())])
        } else {
            not_json(&cause)
        }
    })?;
    json.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// Refuses every other JSON value: serde would take a list for a structure, its
/// items for the fields in their order.
fn must_be_an_object(text: &str) -> Result<(), Problem> {
    if text.trim_start().starts_with('{') || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Ok(());
    }
    Err(Problem::invalid_field("body", "must be a JSON object"))
}

fn not_json(error: &serde_json::Error) -> Problem {
    let what = if error.is_eof() {
        "ends too early"
    } else {
        "is not JSON"
    };
    Problem::malformed(
        "malformed_json",
        format!(
            "The body {what}, at line {} column {}.",
            error.line(),
            error.column()
        ),
    )
}

fn not_utf8(body: &[u8], valid_up_to: usize) -> Problem {
    let before = &body[..valid_up_to];
    let line = before.split(|byte| *byte == b'\n').count();
    let column = 1 + before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .count();
    Problem::malformed(
        "not_utf8",
        format!("The body is not UTF-8, at line {line} column {column}."),
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_json_and_its_relatives_are_json() {
        let declared = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            is_json(&headers)
        };

        assert!(declared("application/json"));
        assert!(declared("Application/JSON; charset=utf-8"));
        assert!(declared("application/merge-patch+json"));
        assert!(!declared("application/x-www-form-urlencoded"));
        assert!(!declared("text/json"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
