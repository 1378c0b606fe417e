//! What stands before every handler: who asks, whose the thing is, and whether that one may.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use crate::App;
use crate::access::Right;
use crate::caller::{self, Caller};
use crate::extract::Place;
use crate::problem::Problem;
use crate::repeat;
use crate::table::Action;
use crate::throttle::{self, Bucket, Spent};

/// What one address asks for before its handler runs.
#[derive(Clone)]
pub(crate) struct Gate {
    app: App,
    right: Right,
    action: Action,
}

impl Gate {
    /// The gate of an address that needs this right; the audit log calls what passes it `action`.
    pub(crate) const fn new(app: App, right: Right, action: Action) -> Self {
        Self { app, right, action }
    }
}

/// Lets through who may: 401 without a valid token, 429 beyond the account's quota, 404
/// for what is another tenant's, 403 for too little right within the own one. What the
/// path names is loaded on the way, and the extractors hand it on.
pub(crate) async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let (caller, spent) = match pass(&gate, &mut parts).await {
        Ok(passed) => passed,
        Err(problem) => return problem.into_response(),
    };
    let request = Request::from_parts(parts, body);
    let mut response = repeat::run(&gate.app, &caller, request, next).await;
    if let Some(spent) = spent {
        spent.tell(response.headers_mut());
    }
    response
}

async fn pass(gate: &Gate, parts: &mut Parts) -> Result<(Caller, Option<Spent>), Problem> {
    let caller = caller::identify(&gate.app, &parts.headers).await?;
    let spent = throttle::spend(&gate.app, Bucket::of(gate.right), &caller).await?;
    let place = Place::load(parts, &gate.app).await?;
    if place.owner().is_some_and(|owner| !caller.sees(owner)) {
        return Err(place.missing());
    }
    caller.require(gate.right)?;
    parts.extensions.insert(caller.clone());
    place.leave_in(parts);
    Ok((caller, spent))
}
