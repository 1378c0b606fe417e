//! S0.1–S0.4: `/api/v1/facturify/auth/token`, with the paths, names and numbers that its users know.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::App;
use crate::facturify;
use crate::problem::Problem;
use crate::reads;
use crate::repeat::ShownOnce;
use crate::tokens::Token;
use crate::trail::Trail;

/// A token that was obtained or refreshed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FacturifyIssued")]
pub(super) struct Issued {
    message: &'static str,
    jwt: Jwt,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FacturifyJwt")]
struct Jwt {
    token: String,
    /// Seconds for which it lives from its issue: 240 if obtained, 43 200 if refreshed.
    expires_in: u64,
}

impl Issued {
    fn of(message: &'static str, token: &Token) -> ShownOnce<Self> {
        ShownOnce(Self {
            message,
            jwt: Jwt {
                token: token.secret.expose_secret().to_owned(),
                expires_in: rounded_up(token.lifetime.or(token.ttl)),
            },
        })
    }
}

/// Obtains a new token (S0.1).
pub(super) async fn obtain(State(app): State<App>) -> Result<ShownOnce<Issued>, Problem> {
    let token = facturify::obtain(&app).await?;
    Ok(Issued::of("A new token was obtained.", &token))
}

/// Refreshes the token (S0.2).
pub(super) async fn refresh(State(app): State<App>) -> Result<ShownOnce<Issued>, Problem> {
    let token = facturify::refresh(&app).await?;
    Ok(Issued::of("The token was refreshed.", &token))
}

/// A token that is valid now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FacturifyToken")]
pub(super) struct Valid {
    token: String,
    /// Whole seconds for which it still lives.
    ttl: u64,
}

/// Gives a valid token, refreshed first if needed (S0.3).
pub(super) async fn show(State(app): State<App>, trail: Trail) -> Result<Json<Valid>, Problem> {
    let token = facturify::valid(&app).await?;
    let target = "facturify/auth/token".to_owned();
    reads::note(&app, &trail, token.held.channel.uid, target);
    Ok(Json(Valid {
        token: token.secret.expose_secret().to_owned(),
        ttl: token.ttl.unwrap_or_default().as_secs(),
    }))
}

/// The token's state; zeros if there is none.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FacturifyStatus")]
pub(super) struct Status {
    has_token: bool,
    ttl: u64,
    expires_in: u64,
}

/// Tells the state of the token without asking Facturify (S0.4).
pub(super) async fn status(State(app): State<App>) -> Result<Json<Status>, Problem> {
    let token = facturify::present(&app).await?;
    let (ttl, lifetime) = token
        .as_ref()
        .map_or((None, None), |token| (token.ttl, token.lifetime));
    Ok(Json(Status {
        has_token: token.is_some(),
        ttl: ttl.unwrap_or_default().as_secs(),
        expires_in: rounded_up(lifetime.or(ttl)),
    }))
}

/// Facturify counts whole seconds, of which some milliseconds are gone when we store it.
fn rounded_up(duration: Option<Duration>) -> u64 {
    let millis = duration.unwrap_or_default().as_millis();
    u64::try_from(millis.div_ceil(1000)).unwrap_or(u64::MAX)
}
