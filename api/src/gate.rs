//! What stands before every handler: who asks, whose the thing is, and whether that one may.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use crate::App;
use crate::access::Right;
use crate::caller::{self, Caller};
use crate::extract::Place;
use crate::origin::Origin;
use crate::problem::Problem;
use crate::repeat;
use crate::table::Action;
use crate::throttle::{self, Bucket, Spent};
use crate::trail::{self, Trail};

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

/// Who passed, and what is noted about it.
struct Passed {
    caller: Caller,
    trail: Trail,
    spent: Option<Spent>,
}

/// Lets through who may: 401 without a valid token, 429 beyond the account's quota, 404
/// for what is another tenant's, 403 for too little right within the own one. What the
/// path names is loaded on the way, and the extractors hand it on. A change that
/// succeeded is written down.
pub(crate) async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let passed = match pass(&gate, &mut parts).await {
        Ok(passed) => passed,
        Err(problem) => return problem.into_response(),
    };
    let path = parts.uri.path().to_owned();
    let request = Request::from_parts(parts, body);
    let mut response = repeat::run(&gate.app, &passed.caller, request, next).await;
    if let Some(action) = gate.action
        && response.status().is_success()
        && !response.headers().contains_key(repeat::REPLAYED)
    {
        let target = trail::target(&path, response.headers());
        trail::leave(&gate.app, &passed.trail.entry(action, target)).await;
    }
    if let Some(spent) = passed.spent {
        spent.tell(response.headers_mut());
    }
    response
}

async fn pass(gate: &Gate, parts: &mut Parts) -> Result<Passed, Problem> {
    let caller = caller::identify(&gate.app, &parts.headers).await?;
    let spent = throttle::spend(&gate.app, Bucket::of(gate.right), &caller).await?;
    let place = Place::load(parts, &gate.app, gate.right).await?;
    let owner = place.owner();
    if owner.is_some_and(|owner| !caller.sees(owner)) {
        return Err(place.missing());
    }
    caller.require(gate.right)?;
    let origin = parts.extensions.get::<Origin>().copied();
    let origin = origin.ok_or_else(Problem::internal_error)?;
    let trail = Trail::of(&caller, owner, origin);
    parts.extensions.insert(caller.clone());
    place.leave_in(parts);
    Ok(Passed {
        caller,
        trail,
        spent,
    })
}
