//! What is said to the person at each turn of the way.

use domain::{ErrorClass, ProviderName, Timestamp};
use http::StatusCode;
use providers::RefreshError;
use secrecy::SecretString;

use super::{Brought, Goal, Page, Ticket, link};
use crate::App;
use crate::problem::Problem;

/// Longest text of a provider that a page shows.
const SHOWN: usize = 300;
const ASK_FOR_ANOTHER: &str = "Ask whoever gave you the link for another one.";

/// Who asks for what; the button uses the link up.
pub(crate) fn question(app: &App, ticket: &Ticket, token: SecretString) -> Page {
    let at = title(&ticket.provider);
    let page = match &ticket.goal {
        Goal::New { display_name, .. } => {
            let what = display_name.as_ref().map(|name| format!(" as “{name}”"));
            page_of(app, &format!("Connect {at}")).says(format!(
                "{} asks you to connect an account at {at}{}.",
                ticket.tenant_name,
                what.unwrap_or_default()
            ))
        }
        Goal::Repair { display_name, .. } => {
            page_of(app, &format!("Connect “{display_name}” again")).says(format!(
                "{} asks you to connect “{display_name}” at {at} again. Choose the same account \
                 there as before.",
                ticket.tenant_name
            ))
        }
    };
    page.notes("You agree at the provider's own pages; your password stays there.")
        .notes(format!(
            "This link can be used once, until {}.",
            minute(ticket.expires_at)
        ))
        .asks("Go on", token)
}

/// The page that says what came of it.
pub(crate) async fn told(
    app: &App,
    ticket: &Ticket,
    brought: Brought,
    warning: Option<String>,
) -> Result<Page, Problem> {
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
    Ok(page)
}

/// The page for who comes back without a code: 403 if the person said no.
pub(crate) async fn no_code(
    app: &App,
    ticket: &Ticket,
    (error, told): (Option<String>, Option<String>),
) -> Result<Page, Problem> {
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
    Ok(page.offers("Try again", again(app, ticket).await?))
}

/// The page for a code that brought nothing.
pub(crate) async fn refused(
    app: &App,
    ticket: &Ticket,
    error: &RefreshError,
) -> Result<Page, Problem> {
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
    Ok(page.offers("Try again", again(app, ticket).await?))
}

async fn again(app: &App, ticket: &Ticket) -> Result<Option<String>, Problem> {
    let now = app.store.now().await?;
    Ok(ticket.again(app, now).await?)
}

fn page_of(app: &App, heading: &str) -> Page {
    Page::question(&app.settings.app_name, heading)
}

/// Unknown, used and expired links look alike.
pub(crate) fn no_link(app: &App) -> Page {
    let name = &app.settings.app_name;
    Page::failure(name, StatusCode::NOT_FOUND, "This link does not work")
        .says("It was used already, has expired, or is not complete.")
        .says(ASK_FOR_ANOTHER)
}

/// The page for who presses a button that he was not shown; the link stays good.
pub(crate) async fn not_asked(
    app: &App,
    provider: &ProviderName,
    token: &SecretString,
) -> Result<Page, Problem> {
    if Ticket::look(app, provider, token).await?.is_none() {
        return Ok(no_link(app));
    }
    let name = &app.settings.app_name;
    let page = Page::failure(name, StatusCode::FORBIDDEN, "Open the link itself")
        .says("Its button only works in a browser that opened the link, and that keeps cookies.");
    Ok(page.offers("Open it", link(app, provider, token)))
}

/// There is no such consent: it was ended before, took too long, or began elsewhere.
pub(crate) fn no_consent(app: &App) -> Page {
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

/// The settings of the provider, or of this server, are not what they must be.
pub(crate) fn not_set_up(app: &App, provider: &ProviderName) -> Page {
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

/// A time for people: `2026-11-21 07:31 UTC`.
fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    let minute: String = text.chars().take("2026-11-21T07:31".len()).collect();
    format!("{} UTC", minute.replace('T', " "))
}

/// A text from outside, for a page and for the log.
fn shortened(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).take(SHOWN).collect()
}
