//! Where a request came from, and the id by which it is found again.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use uuid::Uuid;

use crate::App;
use crate::problem::Problem;
use crate::proxies;

/// The header in which every answer names its request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The id of the request, made here; the log, the audit log and the answer have it.
    pub(crate) request_id: Uuid,
    /// Who sent it, as far as trusted proxies tell; `None` where the host knows no peer.
    pub(crate) address: Option<IpAddr>,
}

/// Notes the origin, and names the request in its answer.
pub(crate) async fn note(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let trusted = &app.settings.trusted_proxies;
    let origin = Origin {
        request_id: Uuid::now_v7(),
        address: peer.map(|peer| proxies::client(peer.0.ip(), request.headers(), trusted)),
    };
    request.extensions_mut().insert(origin);
    let mut response = next.run(request).await;
    let id = origin.request_id.as_simple().to_string();
    let id = HeaderValue::from_str(&id).expect("hex digits can stand in a header");
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let origin = parts.extensions.get::<Self>().copied();
        origin.ok_or_else(Problem::internal_error)
    }
}
