//! Facebook Login: tokens of people, pages and system users (contracts §1).
//!
//! Nothing here is spent by a refresh: a living token is exchanged for a fresh
//! one, a page's token is derived anew, and a token that never ends is only
//! looked at.

mod connect;
mod import;

use std::slice::from_ref;
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    Details, FreshTokens, Grant, GrantKind, Lifetime, ProviderName, Verdict, Window, reason,
};
use secrecy::{ExposeSecret, SecretString};

use crate::dialogue::Dialogue;
use crate::http::Http;
use crate::meta::graph::Graph;
use crate::meta::keeper::{Keeper, is_mismatch, unchanged};
use crate::meta::matrix::is_app_limit;
use crate::{
    Accepted, Call, Connect, FieldError, ImportRequest, MetaSettings, Provider, RefreshError,
    Refusal, Rotation, SettingsError, Upstream,
};

static NAME: ProviderName = ProviderName::from_static("facebook");

/// The key of a grant under which a page keeps the token of its person.
const USER_ACCESS_TOKEN: &str = "user_access_token";

/// The provider `facebook`.
#[derive(Debug)]
pub(crate) struct Facebook {
    http: Http,
    graph: Graph,
    /// What people are asked for.
    scopes: Vec<String>,
}

impl Facebook {
    /// # Errors
    ///
    /// [`SettingsError`] for an address or a version that cannot be asked.
    pub(crate) fn new(http: Http, settings: MetaSettings) -> Result<Self, SettingsError> {
        let scopes = settings.scopes.clone();
        let graph = Graph::new(settings)?;
        Ok(Self {
            http,
            graph,
            scopes,
        })
    }

    fn dialogue<'a>(&'a self, call: &'a Call<'a>) -> Dialogue<'a> {
        Dialogue {
            http: &self.http,
            provider: &NAME,
            call,
            app_secrets: self.graph.app_secret().map_or(&[], from_ref),
        }
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

    fn upstream(&self) -> Option<Upstream> {
        Some(self.graph.upstream())
    }

    fn throttles_app(&self, details: &Details) -> bool {
        is_app_limit(details)
    }

    fn window(&self, _: &Grant, _: Option<Duration>) -> Window {
        Window::SIXTY_DAYS
    }

    fn missing_settings(&self) -> Vec<&'static str> {
        self.graph.missing_settings()
    }

    fn connect(&self) -> Option<&dyn Connect> {
        Some(self)
    }

    fn accept(&self, import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
        let accepted = import::accept(import)?;
        Ok(accepted.warned_of(&self.missing_settings()))
    }

    async fn refresh(&self, call: &Call<'_>) -> Result<FreshTokens, RefreshError> {
        let Some(graph) = self.graph.call(self.dialogue(call)) else {
            return Err(Refusal::not_configured(&NAME));
        };
        let Some(token) = &call.grant.access_token else {
            return Err(Refusal::no_material(&NAME));
        };
        let keeper = Keeper {
            provider: &NAME,
            call,
            graph: &graph,
        };
        match call.grant.kind {
            Some(GrantKind::Page) => page(&keeper, token).await,
            kind => keeper.exchanged(token, kind).await,
        }
    }
}

/// Keeps the token of a page: derived anew from its person's token, or only watched.
async fn page(keeper: &Keeper<'_>, token: &SecretString) -> Result<FreshTokens, RefreshError> {
    let call = keeper.call;
    let user_token = call.grant.key(USER_ACCESS_TOKEN);
    let mut owner = None;
    if keeper.known_end().is_none() || (call.external_id.is_none() && user_token.is_some()) {
        match (keeper.look(token).await, user_token) {
            (Ok(seen), _) if seen.lifetime == Lifetime::Never => return Ok(unchanged(seen)),
            (Ok(seen), _) => owner = seen.owner,
            (Err(error), Some(_)) if error.verdict() == Verdict::Reauthorize => {}
            (Err(error), _) => return Err(error),
        }
    }
    let Some(user_token) = user_token else {
        return Err(Refusal::no_material(&NAME));
    };
    let page = call.external_id.map(str::to_owned).or(owner);
    derive(keeper, token, user_token, page.as_deref()).await
}

/// Derives a page's token from its person's, and asks how long it lives.
async fn derive(
    keeper: &Keeper<'_>,
    old: &SecretString,
    user_token: &SecretString,
    page: Option<&str>,
) -> Result<FreshTokens, RefreshError> {
    let Some((id, fresh)) = keeper.graph.page_token(user_token, page).await? else {
        return Err(match page {
            Some(_) => Refusal::ours(&NAME, Verdict::Reauthorize, reason::PAGE_ROLE_LOST),
            None => Refusal::no_material(&NAME),
        });
    };
    let is_old = fresh.expose_secret() == old.expose_secret();
    let lifetime = match keeper.look(&fresh).await {
        Ok(seen) => seen.lifetime,
        Err(error) if is_old || is_mismatch(&error) || is_dead(&error) => return Err(error),
        Err(_) => Lifetime::Unknown,
    };
    Ok(FreshTokens {
        kind: Some(GrantKind::Page),
        external_id: Some(id),
        ..FreshTokens::access(fresh, lifetime)
    })
}

/// Whether the provider says that the token it has just given lives no more.
fn is_dead(error: &RefreshError) -> bool {
    error.verdict() == Verdict::Reauthorize
}
