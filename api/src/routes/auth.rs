//! S1.2, S3.1, S3.2, S3.4, S4.1, S4.2: logging in, staying in, and logging out.

use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use domain::SessionUid;
use http::{HeaderMap, StatusCode};
use identity::{AccessOf, Digest, RefreshOf};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::{Rotation, Spend, User};

use crate::App;
use crate::access::Rights;
use crate::attempts;
use crate::caller::{self, Who};
use crate::extract::{Form, OptionalForm, Params};
use crate::problem::Problem;
use crate::trail::Trail;

/// An address and a password, under the names of every seed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginBody {
    /// The address; also as `email` or `username`.
    #[serde(alias = "email", alias = "username")]
    #[schemars(example = &"ada@example.com")]
    correo: String,
    /// The password.
    #[schemars(with = "String")]
    password: SecretString,
    /// What clients of OAuth 2.0's password grant send beside; it means nothing here.
    #[serde(default, rename = "grant_type")]
    _grant_type: Option<String>,
    #[serde(default, rename = "scope")]
    _scope: Option<String>,
    #[serde(default, rename = "client_id")]
    _client_id: Option<String>,
    #[serde(default, rename = "client_secret")]
    #[schemars(with = "Option<String>")]
    _client_secret: Option<SecretString>,
}

/// An access token and the refresh token that brings the next one.
#[derive(Serialize, JsonSchema)]
pub(super) struct TokenPair {
    access_token: String,
    token_type: &'static str,
    /// Seconds that the access token lives.
    expires_in: u64,
    refresh_token: String,
}

impl TokenPair {
    fn of(app: &App, of: RefreshOf, refresh: &SecretString) -> Self {
        let tokens = &app.accounts.tokens;
        let access = AccessOf::User {
            user: of.user,
            session: of.session,
        };
        let access = tokens.access(&access, app.accounts.clock.now());
        Self {
            access_token: access.expose_secret().to_owned(),
            token_type: "bearer",
            expires_in: tokens.lifetimes.access.as_secs(),
            refresh_token: refresh.expose_secret().to_owned(),
        }
    }
}

/// Logs a person in. Somebody who does not exist takes as long as a wrong password.
pub(super) async fn login(
    State(app): State<App>,
    trail: Trail,
    Form(body): Form<LoginBody>,
) -> Result<Json<TokenPair>, Problem> {
    let email = body.correo.trim().to_lowercase();
    attempts::on_account(&app, &email).await?;
    let found = app.store.login_of(&email).await?;
    let hash = found.as_ref().map(|login| login.password_hash.clone());
    let right = app.accounts.passwords.verify(body.password, hash).await;
    let user = found.filter(|_| right).map(|login| login.user);
    let user = user.ok_or_else(Problem::wrong_credentials)?;
    if user.disabled_at.is_some() {
        return Err(disabled());
    }
    open(&app, &user, &trail).await.map(Json)
}

fn disabled() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "account_disabled",
        "This account is disabled",
        "This account is disabled; an owner of your tenant can enable it again.",
    )
}

/// Begins a family of refresh tokens.
async fn open(app: &App, user: &User, trail: &Trail) -> Result<TokenPair, Problem> {
    let of = RefreshOf {
        user: user.uid,
        session: SessionUid::generate(),
    };
    let tokens = &app.accounts.tokens;
    let refresh = tokens.refresh(of, app.accounts.clock.now());
    let first = (of.session, Digest::of(refresh.expose_secret()).0);
    let trail = trail
        .clone()
        .by(format!("user:{}", user.uid))
        .within(user.tenant);
    let entry = trail.entry("auth.login", session_of(of.session));
    app.store
        .open_session(user.uid, first, tokens.lifetimes.refresh, &entry)
        .await?;
    Ok(TokenPair::of(app, of, &refresh))
}

fn session_of(session: SessionUid) -> String {
    format!("sessions/{session}")
}

/// A refresh token in the query, as one of the seeds sends it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshQuery {
    /// The refresh token, if it is not in the body.
    #[schemars(with = "Option<String>")]
    refresh_token: Option<SecretString>,
}

/// A refresh token in the body.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RefreshBody {
    /// The refresh token, if it is not in the query.
    #[schemars(with = "Option<String>")]
    refresh_token: Option<SecretString>,
    #[serde(rename = "grant_type")]
    _grant_type: Option<String>,
}

/// Spends a refresh token for a new pair. A second use is a replay and ends the
/// family; within the grace it gets one sibling pair, for a lost answer or a second tab.
pub(super) async fn refresh(
    State(app): State<App>,
    trail: Trail,
    Params(query): Params<RefreshQuery>,
    OptionalForm(body): OptionalForm<RefreshBody>,
) -> Result<Json<TokenPair>, Problem> {
    let spent = query.refresh_token.or(body.refresh_token);
    let spent = spent.ok_or_else(|| Problem::invalid_field("refresh_token", "is missing"))?;
    let (tokens, now) = (&app.accounts.tokens, app.accounts.clock.now());
    let of = tokens.read_refresh(spent.expose_secret(), now);
    let of = of.map_err(|_| Problem::log_in_again("The refresh token is not valid."))?;
    let fresh = tokens.refresh(of, now);
    let rotation = app.store.rotate(Spend {
        session: of.session,
        spent: Digest::of(spent.expose_secret()).0,
        fresh: Digest::of(fresh.expose_secret()).0,
        lifetime: tokens.lifetimes.refresh,
        grace: app.accounts.refresh_grace,
    });
    match rotation.await? {
        Rotation::Rotated(_) | Rotation::Sibling(_) => Ok(Json(TokenPair::of(&app, of, &fresh))),
        Rotation::SpentLately => Err(Problem::log_in_again(
            "The refresh token was used twice a moment ago; use the pair that came with it.",
        )),
        Rotation::Replayed(person) => {
            app.standings().forget();
            let trail = trail.by("anonymous".to_owned()).within(person.tenant);
            let entry = trail.entry("auth.replay", session_of(of.session));
            crate::trail::leave(&app, &entry).await;
            Err(Problem::log_in_again(
                "The refresh token was used before. Somebody may have a copy, so the session has ended.",
            ))
        }
        Rotation::Ended => Err(Problem::log_in_again("The session has ended.")),
    }
}

/// Ends the family of the refresh token in the request, else of the access token: 204.
pub(super) async fn logout(
    State(app): State<App>,
    trail: Trail,
    headers: HeaderMap,
    Params(query): Params<RefreshQuery>,
    OptionalForm(body): OptionalForm<RefreshBody>,
) -> Result<NoContent, Problem> {
    let refresh = query.refresh_token.or(body.refresh_token);
    let (user, session) = match refresh {
        Some(token) => {
            let now = app.accounts.clock.now();
            let of = app.accounts.tokens.read_refresh(token.expose_secret(), now);
            let of = of.map_err(|_| Problem::unauthorized("The refresh token is not valid."))?;
            (of.user, of.session)
        }
        None => match caller::identify(&app, &headers).await?.who {
            Who::User { uid, session } => (uid, session),
            Who::Admin | Who::ServiceToken(_) => {
                let detail = "Only a person's log-in can be ended; this token is none.";
                return Err(Problem::forbidden(detail));
            }
        },
    };
    let person = app.store.familiar(session).await?;
    let trail = trail.by(format!("user:{user}"));
    let trail = match person {
        Some(person) => trail.within(person.tenant),
        None => trail,
    };
    let entry = trail.entry("auth.logout", session_of(session));
    app.store.end_session(session, &entry).await?;
    app.standings().forget();
    Ok(NoContent)
}

/// An access token made from a service token.
#[derive(Serialize, JsonSchema)]
pub(super) struct ServiceAccess {
    access_token: String,
    token_type: &'static str,
    /// Seconds that the access token lives.
    expires_in: u64,
}

/// Makes an access token from the service token in the header (S3.4); it dies with it.
pub(super) async fn service_access(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Json<ServiceAccess>, Problem> {
    let refused = || Problem::unauthorized("Send a valid service token as bearer.");
    let presented = caller::bearer(&headers).ok_or_else(refused)?;
    let caller = caller::service_token(&app, presented).await?;
    let caller = caller.ok_or_else(refused)?;
    let (Who::ServiceToken(token), Rights::Scopes(scopes)) = (caller.who, caller.rights) else {
        return Err(refused());
    };
    let tokens = &app.accounts.tokens;
    let access = AccessOf::Service { token, scopes };
    let access = tokens.access(&access, app.accounts.clock.now());
    Ok(Json(ServiceAccess {
        access_token: access.expose_secret().to_owned(),
        token_type: "bearer",
        expires_in: tokens.lifetimes.access.as_secs(),
    }))
}
