//! What stands around every handler: size, time, panics, headers and the log.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, header};

use crate::App;
use crate::caller;
use crate::limits::BODY_MAX;
use crate::problem::Problem;

/// Answers an unknown address. Which ones there are under `/api/` is told to
/// nobody without a token.
pub(crate) async fn unknown_address(State(app): State<App>, request: Request) -> Problem {
    if !request.uri().path().starts_with("/api/") {
        return Problem::not_found("address");
    }
    match caller::identify(&app, request.headers()).await {
        Ok(_) => Problem::not_found("address"),
        Err(problem) => problem,
    }
}

/// Answers a known address with a method that it does not have.
pub(crate) async fn wrong_method(method: Method) -> Problem {
    Problem::method_not_allowed(&method)
}

/// Answers for a handler that panicked. The panic hook has logged it already;
/// its payload may quote anything, so it goes nowhere from here.
pub(crate) fn panicked(_payload: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    Problem::internal_error().into_response()
}

/// Refuses a body that announces more than is allowed, also where no handler would read it.
pub(crate) async fn bound_body(request: Request, next: Next) -> Response {
    if announced(request.headers()).is_some_and(|length| length > BODY_MAX as u64) {
        drain(request.into_body()).await;
        return Problem::body_too_large(BODY_MAX).into_response();
    }
    next.run(request).await
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Reads some of a refused body: a connection that closes on unread bytes is
/// reset, and its client would never see the answer.
async fn drain(body: Body) {
    const ENOUGH: usize = 8 * BODY_MAX;
    let reading = async {
        let mut chunks = body.into_data_stream();
        let mut seen = 0;
        while let Some(Ok(chunk)) = chunks.next().await {
            seen += chunk.len();
            if seen > ENOUGH {
                break;
            }
        }
    };
    // Whoever sends that slowly does not need the answer.
    let _ = tokio::time::timeout(Duration::from_secs(2), reading).await;
}

/// Bounds the time of a whole request, its body included.
pub(crate) async fn bound_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.settings.request_timeout;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::retry_later(
            "timeout",
            "The request took too long; what it began may go on.",
            Duration::from_secs(1),
        )
        .into_response(),
    }
}

/// Adds the headers that every answer carries.
pub(crate) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Pages bring a policy of their own; an answer for programs needs nothing.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Logs one line per request: the route's pattern, never the query.
pub(crate) async fn log(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let begun = Instant::now();
    let response = next.run(request).await;
    tracing::debug!(
        http.method = %method,
        http.route = route.as_ref().map_or("-", MatchedPath::as_str),
        http.status = response.status().as_u16(),
        duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        "answered a request"
    );
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::to_bytes;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_answers_500_without_a_word_of_it() {
        async fn handler() {
            panic!("planted-access-token")
        }
        let router: Router = Router::new()
            .route("/", get(handler))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(axum::middleware::from_fn(harden));

        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();

        assert_eq!(response.status(), 500);
        assert_eq!(
            response.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff"
        );
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let body = to_bytes(response.into_body(), BODY_MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            body.contains("internal_error") && !body.contains("planted"),
            "{body}"
        );
    }
}
