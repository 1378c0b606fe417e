//! Facebook Login: tokens of people, pages and system users (contracts §1).
//!
//! Nothing here is spent by a refresh: a living token is exchanged for a fresh
//! one, a page's token is derived anew, and a token that never ends is only
//! looked at.

mod import;

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    ChannelState, FreshTokens, Grant, GrantKind, Lifetime, ProviderName, Timestamp, Verdict,
    Window, reason,
};
use secrecy::{ExposeSecret, SecretString};

use crate::dialogue::Dialogue;
use crate::http::Http;
use crate::meta::graph::{Graph, GraphCall, Seen};
use crate::{
    Accepted, Call, FieldError, ImportRequest, MetaSettings, Provider, RefreshError, Refusal,
    Rotation, SettingsError,
};

static NAME: ProviderName = ProviderName::from_static("facebook");

/// The key of a grant under which a page keeps the token of its person.
const USER_ACCESS_TOKEN: &str = "user_access_token";

/// A token whose end is found out to be nearer than this is exchanged at once:
/// the margin of [`Window::SIXTY_DAYS`] with all of its jitter.
const NEAR: Duration = Duration::from_hours(15 * 24);

/// The provider `facebook`.
#[derive(Debug)]
pub(crate) struct Facebook {
    http: Http,
    graph: Graph,
}

impl Facebook {
    /// # Errors
    ///
    /// [`SettingsError`] for an address or a version that cannot be asked.
    pub(crate) fn new(http: Http, settings: MetaSettings) -> Result<Self, SettingsError> {
        let graph = Graph::new(settings)?;
        Ok(Self { http, graph })
    }
}

#[async_trait]
impl Provider for Facebook {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn rotation(&self) -> Rotation {
        Rotation::Reusable
    }

    fn app_identity(&self, _: &Grant) -> String {
        format!("facebook:{}", self.graph.app_id().unwrap_or_default())
    }

    fn window(&self, _: &Grant, _: Option<Duration>) -> Window {
        Window::SIXTY_DAYS
    }

    fn missing_settings(&self) -> Vec<&'static str> {
        self.graph.missing_settings()
    }

    fn accept(&self, import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
        let accepted = import::accept(import)?;
        Ok(accepted.warned_of(&self.missing_settings()))
    }

    async fn refresh(&self, call: &Call<'_>) -> Result<FreshTokens, RefreshError> {
        let dialogue = Dialogue {
            http: &self.http,
            provider: &NAME,
            call,
            app_secret: self.graph.app_secret(),
        };
        let Some(graph) = self.graph.call(dialogue) else {
            return Err(Refusal::not_configured(&NAME));
        };
        let Some(token) = &call.grant.access_token else {
            return Err(Refusal::no_material(&NAME));
        };
        match call.grant.kind {
            Some(GrantKind::Page) => page(call, &graph, token).await,
            kind => person(call, &graph, token, kind).await,
        }
    }
}

/// Keeps the token of a person or of a system user.
async fn person(
    call: &Call<'_>,
    graph: &GraphCall<'_>,
    token: &SecretString,
    kind: Option<GrantKind>,
) -> Result<FreshTokens, RefreshError> {
    let Some(end) = known_end(call) else {
        let seen = same_owner(call, graph.look(token).await?)?;
        return match (seen.kind, seen.lifetime) {
            (Some(GrantKind::Page), Lifetime::Until(_)) => Err(Refusal::no_material(&NAME)),
            (_, Lifetime::Until(end)) if end.since(call.now) < NEAR => {
                exchange(call, graph, token, seen.kind.or(kind)).await
            }
            _ => Ok(unchanged(seen)),
        };
    };
    if end <= call.now {
        return Err(Refusal::ours(&NAME, Verdict::Reauthorize, reason::EXPIRED));
    }
    match exchange(call, graph, token, kind).await {
        Err(refused) if kind.is_none() && is_fatal(&refused) => {
            as_system_user(call, graph, token, refused).await
        }
        result => result,
    }
}

/// Keeps the token of a page: derived anew from its person's token, or only watched.
async fn page(
    call: &Call<'_>,
    graph: &GraphCall<'_>,
    token: &SecretString,
) -> Result<FreshTokens, RefreshError> {
    let user_token = call.grant.key(USER_ACCESS_TOKEN);
    let mut owner = None;
    if known_end(call).is_none() || (call.external_id.is_none() && user_token.is_some()) {
        match (graph.look(token).await, user_token) {
            (Ok(seen), _) if seen.lifetime == Lifetime::Never => {
                return Ok(unchanged(same_owner(call, seen)?));
            }
            (Ok(seen), _) => owner = same_owner(call, seen)?.owner,
            (Err(error), Some(_)) if error.verdict() == Verdict::Reauthorize => {}
            (Err(error), _) => return Err(error),
        }
    }
    let Some(user_token) = user_token else {
        return Err(Refusal::no_material(&NAME));
    };
    let page = call.external_id.map(str::to_owned).or(owner);
    derive(call, graph, token, user_token, page.as_deref()).await
}

/// Derives a page's token from its person's, and asks how long it lives.
async fn derive(
    call: &Call<'_>,
    graph: &GraphCall<'_>,
    old: &SecretString,
    user_token: &SecretString,
    page: Option<&str>,
) -> Result<FreshTokens, RefreshError> {
    let Some((id, fresh)) = graph.page_token(user_token, page).await? else {
        return Err(match page {
            Some(_) => Refusal::ours(&NAME, Verdict::Reauthorize, reason::PAGE_ROLE_LOST),
            None => Refusal::no_material(&NAME),
        });
    };
    let is_old = fresh.expose_secret() == old.expose_secret();
    let lifetime = match graph.look(&fresh).await {
        Ok(seen) => same_owner(call, seen)?.lifetime,
        Err(error) if is_old => return Err(error),
        Err(_) => Lifetime::Unknown,
    };
    Ok(FreshTokens {
        kind: Some(GrantKind::Page),
        external_id: Some(id),
        ..FreshTokens::access(fresh, lifetime)
    })
}

/// Exchanges a token, and looks at the fresh one if its end was not told.
async fn exchange(
    call: &Call<'_>,
    graph: &GraphCall<'_>,
    token: &SecretString,
    kind: Option<GrantKind>,
) -> Result<FreshTokens, RefreshError> {
    let mut fresh = graph.exchange(token, kind).await?;
    fresh.kind = kind;
    if fresh.lifetime != Lifetime::Unknown {
        return Ok(fresh);
    }
    let Some(token) = &fresh.access_token else {
        return Ok(fresh);
    };
    // If the look fails, the fresh token is stored all the same; the next
    // refresh looks again.
    if let Ok(seen) = graph.look(token).await {
        let seen = same_owner(call, seen)?;
        fresh.lifetime = seen.lifetime;
        fresh.kind = seen.kind.or(kind);
        fresh.external_id = seen.owner;
    }
    Ok(fresh)
}

/// A second try for a token of unknown kind: Meta refuses the exchange of some
/// system users' tokens without the parameter that only theirs take (§1.4).
async fn as_system_user(
    call: &Call<'_>,
    graph: &GraphCall<'_>,
    token: &SecretString,
    refused: RefreshError,
) -> Result<FreshTokens, RefreshError> {
    let seen = same_owner(call, graph.look(token).await?)?;
    match (seen.kind, seen.lifetime) {
        (_, Lifetime::Never) => Ok(unchanged(seen)),
        (Some(GrantKind::SystemUser), _) => exchange(call, graph, token, seen.kind).await,
        _ => Err(refused),
    }
}

/// The end that is known and needs no look first.
fn known_end(call: &Call<'_>) -> Option<Timestamp> {
    let looked_at = call.state == ChannelState::NeverExpires;
    call.access_expires_at.filter(|_| !looked_at)
}

/// # Errors
///
/// `identity_mismatch` if the token belongs to another account than the channel's.
fn same_owner(call: &Call<'_>, seen: Seen) -> Result<Seen, RefreshError> {
    match (call.external_id, &seen.owner) {
        (Some(expected), Some(owner)) if expected != owner => Err(Refusal::ours(
            &NAME,
            Verdict::Fatal,
            reason::IDENTITY_MISMATCH,
        )),
        _ => Ok(seen),
    }
}

fn unchanged(seen: Seen) -> FreshTokens {
    FreshTokens {
        kind: seen.kind,
        external_id: seen.owner,
        ..FreshTokens::unchanged(seen.lifetime)
    }
}

fn is_fatal(error: &RefreshError) -> bool {
    matches!(error, RefreshError::Refused(_))
        && error.verdict().at_attempt(u32::MAX) == Verdict::Fatal
}
