//! The platform's own Facturify account (S0): a channel of the built-in tenant, made from
//! the settings and kept fresh by the fleet like any other.
//!
//! One refresh is in flight however many processes ask, because all of them ask for the
//! one job of that channel (S0.7). The copy in Redis is for those who look for it there.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cache::Copy;
use domain::{
    AttemptOutcome, AttemptRecord, ChannelState, Details, ErrorClass, Grant, Name, ProviderName,
    TenantUid, Timestamp,
};
use http::{HeaderValue, StatusCode, header};
use providers::{
    Accepted, FACTURIFY_OF_SETTINGS, ImportRequest, Provider, facturify_anew, is_facturify_anew,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use store::{CreateError, Facts, Held, NewGrant};
use tokio::time::{Instant, sleep};

use crate::App;
use crate::dispatch::{self, Wish};
use crate::problem::Problem;
use crate::routes::imports::{Named, new_channel};
use crate::tokens::{self, Token};
use crate::wait::{self, End};

static PROVIDER: ProviderName = ProviderName::from_static("facturify");
/// The channel in the built-in tenant.
const CHANNEL: &str = "facturify";
/// How long a caller waits for Facturify: its time-out, and a retry or two.
const PATIENCE: Duration = Duration::from_secs(45);
/// Between two looks at the channel.
const PAUSE: Duration = Duration::from_secs(5);
/// Others may change the channel while we do; so often we look again.
const TRIES: usize = 5;

/// The account of `FACTURIFY_API_KEY` and `FACTURIFY_API_SECRET`.
#[derive(Clone, Debug)]
pub struct FacturifyAccount {
    /// Its key.
    pub api_key: SecretString,
    /// Its secret.
    pub api_secret: SecretString,
    /// A token that lives for less is refreshed before it is handed out.
    pub buffer: Duration,
}

/// Makes the channel at start, so that its life begins without anyone asking (S0.5), and
/// keeps the copy in Redis as the fleet refreshes the token.
pub(crate) async fn attend(app: App) {
    if app.settings.facturify.is_none() {
        return;
    }
    let mut well = true;
    while !app.stopping().is_cancelled() {
        let looked = present(&app).await;
        if looked.is_err() && well {
            tracing::warn!("the Facturify account cannot be looked at");
        }
        well = looked.is_ok();
        if let Ok(Some(token)) = looked {
            published(&app, token).await;
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = app.stopping().cancelled() => {}
        }
    }
}

/// Obtains a new token with the key, in place of the one that lives (S0.1).
///
/// # Errors
///
/// 502 with the provider's status if it refuses; 503 if it is not done in time.
pub(crate) async fn obtain(app: &App) -> Result<Token, Problem> {
    let before = account(app).await?;
    let mut held = before.clone();
    for _ in 0..TRIES {
        let grant = tokens::grant(app, &held)?;
        if is_facturify_anew(&grant) || grant.access_token.is_none() {
            break;
        }
        if replace(
            app,
            &held,
            facturify_anew(grant),
            held.channel.access_expires_at,
        )
        .await?
        {
            held = account(app).await?;
            break;
        }
        // Somebody else was faster. If a new token is there by now, it is ours as well.
        held = account(app).await?;
        if let Some(token) = tokens::open(app, held.clone())?
            && !is_facturify_anew(&tokens::grant(app, &held)?)
            && held.channel.generation > before.channel.generation
        {
            return Ok(token);
        }
    }
    refreshed(app, held).await
}

/// Refreshes the token; if Facturify refuses that, obtains a new one (S0.2).
///
/// # Errors
///
/// As [`obtain`].
pub(crate) async fn refresh(app: &App) -> Result<Token, Problem> {
    let held = account(app).await?;
    refreshed(app, held).await
}

/// A valid token, refreshed first if it ends within the buffer (S0.3).
///
/// # Errors
///
/// As [`obtain`].
pub(crate) async fn valid(app: &App) -> Result<Token, Problem> {
    let held = account(app).await?;
    let buffer = app.settings.facturify.as_ref().map(|it| it.buffer);
    match tokens::valid(app, held, buffer.unwrap_or_default()).await {
        Ok(token) => Ok(published(app, token).await),
        Err(problem) => {
            let last = account(app).await?.channel.last_error;
            Err(last.map_or(problem, |last| refused(last.class, &last.details, last.at)))
        }
    }
}

/// The token as it stands; nobody is asked (S0.4).
///
/// # Errors
///
/// 503 if the database is away.
pub(crate) async fn present(app: &App) -> Result<Option<Token>, Problem> {
    tokens::open(app, account(app).await?)
}

/// The channel of the account; it is made, or given the keys of the settings, if it has others.
async fn account(app: &App) -> Result<Held, Problem> {
    let settings = app.settings.facturify.as_ref();
    let settings = settings.ok_or_else(not_configured)?;
    let name: Name = CHANNEL.parse().expect("a good name");
    let tenant = app.store.platform_tenant().await?.uid;
    for _ in 0..TRIES {
        match app.store.held(tenant, &name).await? {
            None => make(app, tenant, &name, accepted(app, settings).await?).await?,
            Some(held) if is_of(&tokens::grant(app, &held)?, settings) => return Ok(held),
            Some(held) => {
                let grant = accepted(app, settings).await?.grant;
                replace(app, &held, grant, None).await?;
            }
        }
    }
    Err(Problem::conflict(
        "facturify_changing",
        "The Facturify account is being changed by processes with different settings.",
    ))
}

fn not_configured() -> Problem {
    Problem::conflict(
        "facturify_not_configured",
        "The platform has no Facturify account: FACTURIFY_API_KEY and FACTURIFY_API_SECRET are not set.",
    )
}

fn is_of(grant: &Grant, account: &FacturifyAccount) -> bool {
    let has = |name, wanted: &SecretString| {
        let key = grant.key(name).map(SecretString::expose_secret);
        key == Some(wanted.expose_secret())
    };
    has("api_key", &account.api_key) && has("api_secret", &account.api_secret)
}

/// What an import of these keys would make.
async fn accepted(app: &App, account: &FacturifyAccount) -> Result<Accepted, Problem> {
    let credentials = json!({
        "api_key": account.api_key.expose_secret(),
        "api_secret": account.api_secret.expose_secret(),
    });
    let Value::Object(credentials) = credentials else {
        unreachable!("it was written as an object");
    };
    accept(app, credentials, app.store.now().await?)
}

fn accept(app: &App, credentials: Map<String, Value>, now: Timestamp) -> Result<Accepted, Problem> {
    let accepted = provider(app)?.accept(&ImportRequest { credentials, now });
    let accepted = accepted.map_err(|_| {
        let detail = "FACTURIFY_API_KEY or FACTURIFY_API_SECRET is not one that Facturify gives.";
        Problem::conflict("facturify_not_configured", detail)
    })?;
    Ok(Accepted {
        external_id: Some(FACTURIFY_OF_SETTINGS.to_owned()),
        ..accepted
    })
}

fn provider(app: &App) -> Result<std::sync::Arc<dyn Provider>, Problem> {
    app.providers.get(&PROVIDER).ok_or_else(not_configured)
}

/// Several processes may do it at once: one of them succeeds.
async fn make(
    app: &App,
    tenant: TenantUid,
    name: &Name,
    accepted: Accepted,
) -> Result<(), Problem> {
    let named = Named {
        tenant,
        id: name.clone(),
        display_name: "Facturify".to_owned(),
        local_name: None,
    };
    let now = app.store.now().await?;
    let channel = new_channel(app, named, provider(app)?.as_ref(), &accepted, now);
    match app.store.import_channels(vec![channel]).await.pop() {
        Some(Err(CreateError::Store(error))) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Stores a grant that is due at once; `false` if somebody else was faster.
async fn replace(
    app: &App,
    held: &Held,
    grant: Grant,
    access_expires_at: Option<Timestamp>,
) -> Result<bool, Problem> {
    let channel = &held.channel;
    let generation = channel.generation.next();
    let grant = NewGrant {
        generation,
        sealed: app.vault.seal(channel.uid, generation, &grant),
        facts: Facts {
            state: ChannelState::Active,
            reason: None,
            access_expires_at,
            refresh_expires_at: None,
            refresh_due_at: Some(held.now),
            external_id: Some(FACTURIFY_OF_SETTINGS.to_owned()),
            has_refresh_material: true,
        },
        app_identity: Some(provider(app)?.app_identity(&grant)),
    };
    let replaced = app.store.replace_grant(channel.uid, grant).await?;
    Ok(replaced.is_some())
}

/// Has the channel's job run now, and waits for what comes of it.
async fn refreshed(app: &App, held: Held) -> Result<Token, Problem> {
    let asked_at = held.now;
    let id = dispatch::one(app, &held.channel, Wish::Now).await?;
    match wait::for_attempt(app, &id, Instant::now() + PATIENCE).await? {
        End::Record(record) | End::ServedBy(record) => ended(app, *record).await,
        End::Live(_) => {
            let last = account(app).await?.channel.last_error;
            let last = last.filter(|error| error.at >= asked_at);
            Err(last.map_or_else(not_in_time, |last| {
                refused(last.class, &last.details, last.at)
            }))
        }
    }
}

async fn ended(app: &App, record: AttemptRecord) -> Result<Token, Problem> {
    if let AttemptOutcome::Failed(class) = record.outcome {
        return Err(refused(class, &record.details, record.started_at));
    }
    match present(app).await? {
        Some(token) => Ok(published(app, token).await),
        None => Err(not_in_time()),
    }
}

/// 502, so that nobody takes the provider's 401 for that of his own log-in (S0.6).
fn refused(class: ErrorClass, details: &Details, at: Timestamp) -> Problem {
    let status = details.http_status;
    let detail = match (status, &details.provider_message) {
        (Some(status), Some(words)) => format!("Facturify answered {status}: {words}"),
        (Some(status), None) => format!("Facturify answered {status}."),
        (None, _) => "Facturify gave no answer.".to_owned(),
    };
    let title = "The provider did not give a token";
    let problem = Problem::new(StatusCode::BAD_GATEWAY, "provider_refused", title, detail)
        .with_member("error", class.as_str())
        .with_member("provider_status", status);
    match details.retry_at {
        Some(retry_at) => {
            let pause = retry_at.since(at).as_secs().max(1);
            problem.with_header(header::RETRY_AFTER, HeaderValue::from(pause))
        }
        None => problem,
    }
}

fn not_in_time() -> Problem {
    Problem::retry_later(
        "facturify_pending",
        "Facturify's token is still being refreshed.",
        PAUSE,
    )
}

/// Leaves a sealed copy in Redis, which ends with the token.
async fn published(app: &App, token: Token) -> Token {
    let sealed = STANDARD.encode(&token.held.sealed.envelope);
    let ttl = token.ttl.unwrap_or_default();
    if let Err(error) = app.cache.publish(Copy::FacturifyToken, &sealed, ttl).await {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "the copy of the Facturify token was not written"
        );
    }
    token
}
