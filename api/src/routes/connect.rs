//! S5.1 for people: `GET`, `POST /connect/{provider}` and `GET /connect/callback`.

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use domain::ProviderName;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use providers::{Asking, Provider};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::App;
use crate::connect::{self, Browser, Consent, Ticket, challenge, words};
use crate::extract::{Form, path_param};
use crate::openapi::{Sketch, Takes};
use crate::problem::Problem;
use crate::trail::Trail;

/// The provider in the path.
pub(super) struct At(ProviderName);

/// A query of which nothing is wrong: what is not known or cannot be read is not there.
/// Whoever sends a browser here may add what he likes (RFC 6749 section 4.1.2).
pub(super) struct Said<T>(T);

/// What a connect link brings.
#[derive(Default, Deserialize, JsonSchema)]
pub(super) struct LinkQuery {
    /// The token of the link.
    #[schemars(with = "String")]
    token: Option<SecretString>,
}

/// What the button of the page brings.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GoBody {
    /// The token of the link.
    #[schemars(with = "String")]
    token: SecretString,
}

/// What a provider sends a browser back with (RFC 6749 section 4.1.2).
#[derive(Default, Deserialize, JsonSchema)]
pub(super) struct BackQuery {
    /// What the browser was sent with.
    #[schemars(with = "String")]
    state: Option<SecretString>,
    /// The code of the consent.
    #[schemars(with = "Option<String>")]
    code: Option<SecretString>,
    /// Why there is none.
    error: Option<String>,
    /// The same in words.
    error_description: Option<String>,
}

/// Asks the person whether it shall be; nothing is used up, so that whoever looks at a
/// link before the person does burns nothing.
pub(super) async fn ask(
    State(app): State<App>,
    At(provider): At,
    headers: HeaderMap,
    Said(query): Said<LinkQuery>,
) -> Result<Response, Problem> {
    let Some(token) = query.token else {
        return Ok(words::no_link(&app).into_response());
    };
    let Some(ticket) = Ticket::look(&app, &provider, &token).await? else {
        return Ok(words::no_link(&app).into_response());
    };
    let page = words::question(&app, &ticket, token);
    let public_url = app.settings.public_url.as_deref().unwrap_or_default();
    let browser = Browser::of(&headers, public_url);
    let browser = browser.unwrap_or_else(|| Browser::unknown(public_url));
    Ok(([(header::SET_COOKIE, browser.cookie())], page).into_response())
}

/// Uses the link up and sends the browser to the provider. Other sites cannot press the
/// button for the person: theirs would come without the cookie of the page.
pub(super) async fn go(
    State(app): State<App>,
    At(provider): At,
    headers: HeaderMap,
    Form(body): Form<GoBody>,
) -> Result<Response, Problem> {
    let public_url = app.settings.public_url.as_deref().unwrap_or_default();
    let Some(browser) = Browser::of(&headers, public_url) else {
        return Ok(words::not_asked(&app, &provider, &body.token)
            .await?
            .into_response());
    };
    let Some(ticket) = Ticket::take(&app, &provider, &body.token).await? else {
        return Ok(words::no_link(&app).into_response());
    };
    let provider = ticket.provider(&app);
    let way = provider.as_deref().and_then(Provider::connect);
    let way = way.filter(|way| way.missing().is_empty());
    let (Some(way), Some(redirect_uri)) = (way, connect::callback_url(&app)) else {
        return Ok(words::not_set_up(&app, &ticket.provider).into_response());
    };
    let state = connect::begin(&app, &ticket, &browser).await?;
    let to = way.authorize_url(&Asking {
        redirect_uri: &redirect_uri,
        state: state.expose_secret(),
        challenge: &challenge(&browser.verifier(&state)),
    });
    let mut to = HeaderValue::from_str(to.as_str()).expect("an address is visible ASCII");
    to.set_sensitive(true);
    let headers = [
        (header::LOCATION, to),
        (header::SET_COOKIE, browser.cookie()),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

/// Takes the browser back from the provider, exchanges what it brings, and says what came
/// of it. A second time, and in another browser, there is nothing to come back to.
pub(super) async fn back(
    State(app): State<App>,
    trail: Trail,
    headers: HeaderMap,
    Said(query): Said<BackQuery>,
) -> Result<Response, Problem> {
    let public_url = app.settings.public_url.as_deref().unwrap_or_default();
    let (Some(state), Some(browser)) = (&query.state, Browser::of(&headers, public_url)) else {
        return Ok(words::no_consent(&app).into_response());
    };
    let Some(ticket) = connect::end(&app, &browser, state).await? else {
        return Ok(words::no_consent(&app).into_response());
    };
    let (Some(provider), Some(redirect_uri)) = (ticket.provider(&app), connect::callback_url(&app))
    else {
        return Ok(words::not_set_up(&app, &ticket.provider).into_response());
    };
    let Some(code) = query.code.filter(|_| query.error.is_none()) else {
        let told = query.error_description.or_else(|| query.error.clone());
        let page = words::no_code(&app, &ticket, (query.error, told)).await?;
        return Ok(page.into_response());
    };
    let consent = Consent {
        verifier: browser.verifier(state),
        code,
        redirect_uri,
        ticket,
        provider,
    };
    // A task: the code is spent, whether the browser waits for the answer or not.
    let task = async move { consent.complete(&app, trail).await }.in_current_span();
    match tokio::spawn(task).await {
        Ok(page) => Ok(page?.into_response()),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Problem::internal_error()),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for At {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let name = path_param(parts, "provider").await;
        let name = name.ok_or_else(|| Problem::not_found("address"))?;
        Ok(Self(ProviderName::from(name)))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequestParts<S> for Said<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(serde_urlencoded::from_str(query).unwrap_or_default()))
    }
}

impl Takes for At {
    fn draw(_: &mut Sketch<'_>) {}
}

impl<T: JsonSchema> Takes for Said<T> {
    fn draw(sketch: &mut Sketch<'_>) {
        sketch.query::<T>();
    }
}
