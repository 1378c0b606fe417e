//! How people connect a person or a page at Facebook: the manual flow of Facebook Login
//! (developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow), then an
//! exchange for a long-lived token (contracts §1.1), and for a page its token (§1.2).

use async_trait::async_trait;
use domain::{FreshTokens, Grant, GrantKind, Lifetime};
use secrecy::SecretString;
use url::Url;

use crate::connect::{Asking, Connect, Connected, Granted, accepted, asked};
use crate::meta::graph::Seen;
use crate::meta::keeper::Keeper;
use crate::{Accepted, RefreshError, Refusal};

use super::{Facebook, NAME, USER_ACCESS_TOKEN};

#[async_trait]
impl Connect for Facebook {
    fn missing(&self) -> Vec<String> {
        let missing = self.graph.missing_settings();
        missing.into_iter().map(str::to_owned).collect()
    }

    fn authorize_url(&self, asking: &Asking<'_>) -> Url {
        let app = self.graph.app_id().unwrap_or_default();
        let scopes = self.scopes.join(",");
        asked(
            self.graph.dialog(),
            asking,
            &[("client_id", app), ("scope", &scopes)],
        )
    }

    async fn exchange(&self, granted: &Granted<'_>) -> Result<Connected, RefreshError> {
        let long = self.long_lived(granted).await?;
        let held = Grant {
            access_token: Some(long.clone()),
            ..granted.secrets()
        };
        let call = granted.call(&held, None);
        let dialogue = self.dialogue(&call);
        let graph = self.graph.call(dialogue);
        let graph = graph.ok_or_else(|| Refusal::not_configured(&NAME))?;
        let seen = graph.look(&long).await?;
        let Some(wanted) = granted
            .account
            .filter(|id| Some(*id) != seen.owner.as_deref())
        else {
            return Ok(Connected::of(person(long, seen, granted)));
        };
        let Some((page, token)) = graph.page_token(&long, Some(wanted)).await? else {
            return Ok(Connected::of(person(long, seen, granted)));
        };
        let lifetime = graph.look(&token).await?.lifetime;
        let fresh = FreshTokens {
            kind: Some(GrantKind::Page),
            external_id: Some(page),
            ..FreshTokens::access(token, lifetime)
        };
        let mut page = accepted(fresh, granted.now);
        page.grant.keys.insert(USER_ACCESS_TOKEN.to_owned(), long);
        Ok(Connected::of(page))
    }
}

impl Facebook {
    /// The code for a token of an hour or two, and that for one of 60 days.
    async fn long_lived(&self, granted: &Granted<'_>) -> Result<SecretString, RefreshError> {
        let consent = granted.secrets();
        let call = granted.call(&consent, None);
        let graph = self.graph.call(self.dialogue(&call));
        let graph = graph.ok_or_else(|| Refusal::not_configured(&NAME))?;
        let (short, lifetime) = graph.code(granted).await?;
        let held = Grant {
            access_token: Some(short.clone()),
            ..consent.clone()
        };
        let call = granted.call(&held, ends_at(lifetime, granted));
        let graph = self.graph.call(self.dialogue(&call));
        let graph = graph.ok_or_else(|| Refusal::not_configured(&NAME))?;
        let keeper = Keeper {
            provider: &NAME,
            call: &call,
            graph: &graph,
        };
        let fresh = keeper.exchanged(&short, None).await?;
        Ok(fresh.access_token.unwrap_or(short))
    }
}

fn ends_at(lifetime: Lifetime, granted: &Granted<'_>) -> Option<domain::Timestamp> {
    lifetime.ends_at(granted.now)
}

fn person(token: SecretString, seen: Seen, granted: &Granted<'_>) -> Accepted {
    let fresh = FreshTokens {
        kind: seen.kind,
        external_id: seen.owner,
        ..FreshTokens::access(token, seen.lifetime)
    };
    accepted(fresh, granted.now)
}
