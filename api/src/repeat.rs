//! `Idempotency-Key`: a request that is sent again is not carried out again.
//!
//! What succeeded is remembered for a day under the account and its key; what was
//! refused is not, so that it can be mended and sent again under the same key
//! (draft-ietf-httpapi-idempotency-key-header-07).

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cache::{Begun, Claim, StoredAnswer};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tracing::Instrument as _;

use crate::App;
use crate::caller::Caller;
use crate::limits::BODY_MAX;
use crate::problem::Problem;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was given before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_MAX: usize = 255;
/// How long an answer is remembered.
const KEEP: Duration = Duration::from_hours(24);
/// Beyond the time of a request, how long one that nobody answered keeps its key.
const PATIENCE: Duration = Duration::from_secs(30);
/// The headers that an answer is repeated with.
const KEPT_HEADERS: [HeaderName; 2] = [header::CONTENT_TYPE, header::LOCATION];

/// An answer that shows a secret: it is never remembered, only that it was given.
pub(crate) struct ShownOnce<T>(pub(crate) T);

/// The mark that [`ShownOnce`] leaves on its answer.
#[derive(Clone, Copy)]
struct Secret;

impl<T: Serialize> IntoResponse for ShownOnce<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.0).into_response();
        response.extensions_mut().insert(Secret);
        response
    }
}

/// Runs a request, unless it is a `POST` with a key under which it was run before.
pub(crate) async fn run(app: &App, caller: &Caller, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    let answered = match key(request.headers()) {
        Ok(key) => once(app, (caller.account(), key), request, next).await,
        Err(problem) => Err(problem),
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// The key: 1–255 visible ASCII characters; quotes around it are part of it.
fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(bad_key());
    };
    let text = value.to_str().map_err(|_| bad_key())?;
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > KEY_MAX || !visible {
        return Err(bad_key());
    }
    Ok(text.to_owned())
}

fn bad_key() -> Problem {
    Problem::malformed(
        "bad_idempotency_key",
        format!("Send one header Idempotency-Key with 1 to {KEY_MAX} visible ASCII characters."),
    )
}

async fn once(
    app: &App,
    (account, key): (String, String),
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_MAX)
        .await
        .map_err(|_| Problem::body_too_large(BODY_MAX))?;
    let address = parts.uri.path_and_query().map_or("", |it| it.as_str());
    let fingerprint = fingerprint(&key, address, &body);
    let patience = app.settings.request_timeout + PATIENCE;
    let begun = app.cache.begin((&account, &key), &fingerprint, patience);
    match begun.await {
        Ok(Begun::First(claim)) => {
            let request = Request::from_parts(parts, Body::from(body));
            Ok(carry_out(app.clone(), claim, request, next).await)
        }
        Ok(Begun::InFlight) => Err(in_flight()),
        Ok(Begun::Other) => Err(other_request()),
        Ok(Begun::Answered(Some(answer))) => Ok(replay(answer)),
        Ok(Begun::Answered(None)) => Err(not_repeated()),
        // Carried out without being remembered it could be carried out twice.
        Err(error) => Err(Problem::unavailable("Redis", &error)),
    }
}

/// Tells requests with one key apart. The key is part of it, and is stored nowhere:
/// so nobody can try out what a short secret in the body might be.
fn fingerprint(key: &str, address: &str, body: &Bytes) -> String {
    let mut hash = Sha256::new();
    for part in [key.as_bytes(), address.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// Runs the request as a task: a client that hangs up must find its answer when it asks again.
async fn carry_out(app: App, claim: Claim, request: Request, next: Next) -> Response {
    let running = async move {
        let response = next.run(request).await;
        remember(&app, claim, response).await
    };
    match tokio::spawn(running.in_current_span()).await {
        Ok(response) => response,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Problem::internal_error().into_response(),
    }
}

async fn remember(app: &App, claim: Claim, response: Response) -> Response {
    if !response.status().is_success() {
        tell(app.cache.abandon(claim).await);
        return response;
    }
    if response.extensions().get::<Secret>().is_some() {
        tell(app.cache.finish(claim, None, KEEP).await);
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return Problem::internal_error().into_response();
    };
    let answer = stored(parts.status, &parts.headers, &body);
    tell(app.cache.finish(claim, answer.as_ref(), KEEP).await);
    Response::from_parts(parts, Body::from(body))
}

/// The request is done either way; its key stays taken until its time ends.
fn tell(stored: Result<(), cache::CacheError>) {
    if let Err(error) = stored {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "an answer is not remembered"
        );
    }
}

/// `None` for what is too large to be kept, or is no text.
fn stored(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Option<StoredAnswer> {
    if body.len() > BODY_MAX {
        return None;
    }
    let kept = |name: &HeaderName| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    Some(StoredAnswer {
        status: status.as_u16(),
        headers: KEPT_HEADERS.iter().filter_map(kept).collect(),
        body: std::str::from_utf8(body).ok()?.to_owned(),
    })
}

fn replay(answer: StoredAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn in_flight() -> Problem {
    Problem::conflict(
        "idempotency_in_flight",
        "A request with this Idempotency-Key is being carried out; ask again in a moment.",
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

fn other_request() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "The Idempotency-Key belongs to another request",
        "This Idempotency-Key was sent with another address or body; each request needs its own.",
    )
}

fn not_repeated() -> Problem {
    Problem::conflict(
        "answer_not_repeated",
        "This request was carried out before, and is not carried out again. Its answer showed a \
         secret, which is not kept; ask with another Idempotency-Key for another one.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_key_is_one_header_of_visible_characters() {
        assert!(key(&headers(&["8e03978e-40d5-43dd"])).is_ok());
        assert!(key(&headers(&["\"quoted\""])).is_ok());
        for bad in [&["a b"][..], &[""], &["a", "b"]] {
            assert!(key(&headers(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_request_is_told_apart_by_key_address_and_body() {
        let body = Bytes::from_static(b"{}");
        let print = |key, address, body: &Bytes| fingerprint(key, address, body);

        let one = print("k", "/a", &body);

        assert_eq!(one, print("k", "/a", &body));
        assert_ne!(one, print("l", "/a", &body));
        assert_ne!(one, print("k", "/b", &body));
        assert_ne!(one, print("k", "/a", &Bytes::from_static(b"[]")));
    }
}
