//! S5.1 for people: `GET`, `POST /connect/{provider}` and `GET /connect/callback`.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use domain::{ErrorClass, ProviderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use providers::{Asking, Connected, Granted, Provider, RefreshError};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::App;
use crate::connect::{self, Brought, Browser, Goal, Page, Ticket, bring, challenge};
use crate::extract::{Form, path_param};
use crate::openapi::{Sketch, Takes};
use crate::problem::Problem;
use crate::trail::{self, Trail};

/// Longest text of a provider that a page shows.
const SHOWN: usize = 300;

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
    Said(query): Said<LinkQuery>,
) -> Result<Response, Problem> {
    let Some(token) = query.token else {
        return Ok(no_link(&app).into_response());
    };
    let Some(ticket) = Ticket::look(&app, &provider, &token).await? else {
        return Ok(no_link(&app).into_response());
    };
    let page = match &ticket.goal {
        Goal::New { display_name, .. } => {
            let what = display_name.as_ref().map(|name| format!(" as “{name}”"));
            page_of(&app, &format!("Connect {}", title(&provider))).says(format!(
                "{} asks you to connect an account at {}{}.",
                ticket.tenant_name,
                title(&provider),
                what.unwrap_or_default()
            ))
        }
        Goal::Repair { display_name, .. } => {
            page_of(&app, &format!("Connect “{display_name}” again")).says(format!(
                "{} asks you to connect “{display_name}” at {} again. Choose the same account \
                 there as before.",
                ticket.tenant_name,
                title(&provider)
            ))
        }
    };
    let page = page
        .notes("You agree at the provider's own pages; your password stays there.")
        .notes(format!(
            "This link can be used once, until {}.",
            ticket.expires_at
        ));
    Ok(page.asks("Go on", token).into_response())
}

/// Uses the link up and sends the browser to the provider.
pub(super) async fn go(
    State(app): State<App>,
    At(provider): At,
    headers: HeaderMap,
    Form(body): Form<GoBody>,
) -> Result<Response, Problem> {
    let Some(ticket) = Ticket::take(&app, &provider, &body.token).await? else {
        return Ok(no_link(&app).into_response());
    };
    let (Some(provider), Some(redirect_uri), Some(public_url)) = (
        ticket.provider(&app),
        connect::callback_url(&app),
        app.settings.public_url.as_deref(),
    ) else {
        return Ok(not_set_up(&app, &ticket.provider).into_response());
    };
    let Some(way) = provider.connect().filter(|way| way.missing().is_empty()) else {
        return Ok(not_set_up(&app, &ticket.provider).into_response());
    };
    let browser = Browser::of(&headers, public_url);
    let browser = browser.unwrap_or_else(|| Browser::unknown(public_url));
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
        return Ok(no_consent(&app).into_response());
    };
    let Some(ticket) = connect::end(&app, &browser, state).await? else {
        return Ok(no_consent(&app).into_response());
    };
    let (Some(provider), Some(redirect_uri)) = (ticket.provider(&app), connect::callback_url(&app))
    else {
        return Ok(not_set_up(&app, &ticket.provider).into_response());
    };
    let Some(code) = query.code.filter(|_| query.error.is_none()) else {
        let told = query.error_description.or_else(|| query.error.clone());
        return no_code(&app, &ticket, (query.error, told)).await;
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
        Ok(answer) => answer,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Problem::internal_error()),
    }
}

/// A consent with the code that it brought.
struct Consent {
    ticket: Ticket,
    provider: Arc<dyn Provider>,
    code: SecretString,
    verifier: SecretString,
    redirect_uri: String,
}

impl Consent {
    async fn complete(self, app: &App, trail: Trail) -> Result<Response, Problem> {
        let connected = match self.exchange(app).await? {
            Ok(connected) => connected,
            Err(error) => return refused(app, &self.ticket, &error).await,
        };
        let warning = connected.accepted.warning.clone();
        let brought = bring(app, &self.ticket, &self.provider, connected).await?;
        note(app, &self.ticket, &brought, &trail).await;
        told(app, &self.ticket, brought, warning).await
    }

    async fn exchange(&self, app: &App) -> Result<Result<Connected, RefreshError>, Problem> {
        let account = match &self.ticket.goal {
            Goal::New { .. } => None,
            Goal::Repair { channel, .. } => {
                let channel = app.store.channel_by_uid(*channel).await?;
                channel.and_then(|channel| channel.external_id)
            }
        };
        let granted = Granted {
            code: &self.code,
            verifier: &self.verifier,
            redirect_uri: &self.redirect_uri,
            account: account.as_deref(),
            now: app.store.now().await?,
        };
        let way = self
            .provider
            .connect()
            .expect("a ticket finds no other provider");
        Ok(way.exchange(&granted).await)
    }
}

/// Writes down what came of a consent; the one who made the link has done it.
async fn note(app: &App, ticket: &Ticket, brought: &Brought, trail: &Trail) {
    let (action, channel) = match brought {
        Brought::Made(channel) => ("channel.connect", channel),
        Brought::Repaired(channel) => ("channel.repair", channel),
        Brought::Waits(channel) => ("channel.new_account", channel),
        Brought::OtherAccount { .. } | Brought::Taken | Brought::Gone => return,
    };
    tracing::info!(
        tenant.id = %ticket.tenant_id,
        channel.id = %channel.id,
        provider = %ticket.provider,
        outcome = action,
        "a person connected an account"
    );
    let trail = trail.clone().by(ticket.by.clone()).within(ticket.tenant);
    let target = format!("tenants/{}/channels/{}", ticket.tenant_id, channel.id);
    trail::leave(app, &trail.entry(action, target)).await;
}

/// The page that says what came of it.
async fn told(
    app: &App,
    ticket: &Ticket,
    brought: Brought,
    warning: Option<String>,
) -> Result<Response, Problem> {
    let name = &app.settings.app_name;
    let page = match brought {
        Brought::Made(channel) => {
            Page::success(name, format!("“{}” is connected", channel.display_name))
                .says("Its access is kept fresh from here on. You can close this page.")
        }
        Brought::Repaired(channel) => {
            Page::success(name, format!("“{}” works again", channel.display_name))
                .says("Its access is kept fresh from here on. You can close this page.")
        }
        Brought::Waits(channel) => Page::waiting(name, "One more step for somebody else")
            .says(format!(
                "Nobody can tell whether this is the account that “{}” had before. An owner of \
                 {} has to confirm it within 24 hours.",
                channel.display_name, ticket.tenant_name
            ))
            .says("You can close this page."),
        Brought::OtherAccount { brought } => {
            Page::failure(name, StatusCode::CONFLICT, "This is another account")
                .says(format!(
                    "You agreed as “{}”, which is not the account that was connected before. \
                     Nothing was changed.",
                    shortened(&brought)
                ))
                .says("Log out at the provider, or choose the right account there.")
                .offers("Try again", again(app, ticket).await?)
        }
        Brought::Taken => Page::failure(name, StatusCode::CONFLICT, "This id is taken")
            .says("There is another channel with the id that this one was to have.")
            .says(ASK_FOR_ANOTHER),
        Brought::Gone => Page::failure(name, StatusCode::NOT_FOUND, "This channel is gone")
            .says("It was deleted meanwhile; nothing was stored."),
    };
    let page = warning
        .map(|text| format!("Beware: {text}."))
        .into_iter()
        .fold(page, Page::notes);
    Ok(page.into_response())
}

/// The page for who comes back without a code: 403 if the person said no.
async fn no_code(
    app: &App,
    ticket: &Ticket,
    (error, told): (Option<String>, Option<String>),
) -> Result<Response, Problem> {
    let name = &app.settings.app_name;
    let at = title(&ticket.provider);
    let denied = error.as_deref() == Some("access_denied");
    let page = if denied {
        Page::failure(name, StatusCode::FORBIDDEN, "Not connected")
            .says(format!("You did not agree at {at}. Nothing was changed."))
    } else {
        tracing::warn!(
            provider = %ticket.provider,
            error = shortened(error.as_deref().unwrap_or("no code")),
            "a consent brought no code"
        );
        Page::failure(name, StatusCode::BAD_GATEWAY, "Not connected").says(format!(
            "{at} sent you back without a permission. Nothing was changed."
        ))
    };
    let told = told.map(|text| format!("{at} says: {}", shortened(&text)));
    let page = told.into_iter().fold(page, Page::notes);
    Ok(page
        .offers("Try again", again(app, ticket).await?)
        .into_response())
}

/// The page for a code that brought nothing.
async fn refused(app: &App, ticket: &Ticket, error: &RefreshError) -> Result<Response, Problem> {
    let (class, details) = (error.verdict().class(), error.details());
    let at = title(&ticket.provider);
    tracing::warn!(
        provider = %ticket.provider,
        tenant.id = %ticket.tenant_id,
        error.class = class.as_str(),
        reason = details.reason.as_deref().unwrap_or_default(),
        error = error as &dyn std::error::Error,
        "the code of a consent brought nothing"
    );
    let text = match class {
        ErrorClass::ReauthRequired | ErrorClass::NoRefreshMaterial => {
            format!("{at} did not accept the permission; it may have taken too long.")
        }
        ErrorClass::Misconfigured => {
            format!("The connection to {at} is not set up rightly; its operator has to look at it.")
        }
        ErrorClass::RateLimited => format!("{at} has too many requests at the moment."),
        ErrorClass::Retryable => format!("{at} does not answer rightly at the moment."),
        _ => format!("{at} refused."),
    };
    let page = Page::failure(
        &app.settings.app_name,
        StatusCode::BAD_GATEWAY,
        "Not connected",
    )
    .says(format!("{text} Nothing was changed."));
    let message = details.provider_message.as_deref();
    let message = message.map(|text| format!("{at} says: {}", shortened(text)));
    let trace = details.trace_id.map(|id| format!("Trace: {id}"));
    let page = message.into_iter().chain(trace).fold(page, Page::notes);
    Ok(page
        .offers("Try again", again(app, ticket).await?)
        .into_response())
}

const ASK_FOR_ANOTHER: &str = "Ask whoever gave you the link for another one.";

async fn again(app: &App, ticket: &Ticket) -> Result<Option<String>, Problem> {
    let now = app.store.now().await?;
    Ok(ticket.again(app, now).await?)
}

fn page_of(app: &App, heading: &str) -> Page {
    Page::question(&app.settings.app_name, heading)
}

/// Unknown, used and expired links look alike.
fn no_link(app: &App) -> Page {
    let name = &app.settings.app_name;
    Page::failure(name, StatusCode::NOT_FOUND, "This link does not work")
        .says("It was used already, has expired, or is not complete.")
        .says(ASK_FOR_ANOTHER)
}

fn no_consent(app: &App) -> Page {
    let name = &app.settings.app_name;
    Page::failure(
        name,
        StatusCode::NOT_FOUND,
        "There is nothing to come back to",
    )
    .says(
        "This page was opened before, took too long, or was opened in another browser than \
             the one in which you began. Nothing was changed.",
    )
    .says(ASK_FOR_ANOTHER)
}

fn not_set_up(app: &App, provider: &ProviderName) -> Page {
    let name = &app.settings.app_name;
    Page::failure(name, StatusCode::BAD_GATEWAY, "Not connected").says(format!(
        "{} is not set up here; the operator has to look at it.",
        title(provider)
    ))
}

/// What people call a provider.
fn title(provider: &ProviderName) -> String {
    match provider.as_str() {
        "facebook" => "Facebook".to_owned(),
        "instagram" => "Instagram".to_owned(),
        "whatsapp" => "WhatsApp".to_owned(),
        "tiktok" | "tiktok_legacy" => "TikTok".to_owned(),
        "tiktok_business" => "TikTok for Business".to_owned(),
        other => other.trim_start_matches("oauth2:").to_owned(),
    }
}

/// A text from outside, for a page and for the log.
fn shortened(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).take(SHOWN).collect()
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
