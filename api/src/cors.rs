//! Which browsers' pages may call the API from elsewhere.

use std::time::Duration;

use axum::Router;
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::App;

/// How long a browser may remember what it was allowed.
const REMEMBER: Duration = Duration::from_mins(10);

/// Lets pages of these origins call, `*` those of all; without any, nothing says
/// so, and browsers keep to their own origin. Cookies are never asked for.
pub(crate) fn open_to(origins: &[String], router: Router<App>) -> Router<App> {
    if origins.is_empty() {
        return router;
    }
    router.layer(layer(origins))
}

fn layer(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let named = origins.iter();
        AllowOrigin::list(named.filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("idempotency-replayed"),
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
            HeaderName::from_static("x-request-id"),
        ])
        .max_age(REMEMBER)
}
