//! Tickets: who asks whom for what, for as long as a link or a consent lives.

use std::sync::Arc;
use std::time::Duration;

use cache::{CacheError, Purpose};
use domain::{ChannelUid, ProviderName, TenantUid, Timestamp};
use providers::Provider;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::Browser;
use crate::App;

/// How long a person may take at the provider's pages.
const CONSENT_TTL: Duration = Duration::from_mins(15);
/// A link with less time left is not worth being shown.
const SHORTEST: Duration = Duration::from_secs(10);

/// What a connect link stands for. It holds no secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ticket {
    /// Whose channel it is about.
    pub(crate) tenant: TenantUid,
    /// The id of that tenant.
    pub(crate) tenant_id: String,
    /// What people call that tenant.
    pub(crate) tenant_name: String,
    /// Where the person is sent.
    pub(crate) provider: ProviderName,
    /// What comes of it.
    pub(crate) goal: Goal,
    /// The account that made the link.
    pub(crate) by: String,
    /// When the link ends.
    pub(crate) expires_at: Timestamp,
}

/// What a connect link is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// A channel comes into being.
    New {
        /// Its id; one is made up if there is none.
        id: Option<String>,
        /// What people will call it; else what the provider calls the account.
        display_name: Option<String>,
    },
    /// A channel gets new credentials of the same account.
    Repair {
        /// Which one.
        channel: ChannelUid,
        /// What people call it.
        display_name: String,
    },
}

impl Ticket {
    /// The provider, if there is still one of this name that people connect.
    pub(crate) fn provider(&self, app: &App) -> Option<Arc<dyn Provider>> {
        let provider = app.providers.get(&self.provider)?;
        provider.connect().is_some().then_some(provider)
    }

    /// A token that opens this ticket once.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not store it.
    pub(crate) async fn issue(&self, app: &App, ttl: Duration) -> Result<SecretString, CacheError> {
        app.cache.issue(of_links(&self.provider), self, ttl).await
    }

    /// A link to try once more with, if there is time left for it.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not store it.
    pub(crate) async fn again(
        &self,
        app: &App,
        now: Timestamp,
    ) -> Result<Option<String>, CacheError> {
        let left = self.expires_at.since(now);
        if left < SHORTEST {
            return Ok(None);
        }
        let token = self.issue(app, left).await?;
        Ok(link(app, &self.provider, &token))
    }

    /// What a link's token opens, without using it up.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub(crate) async fn look(
        app: &App,
        provider: &ProviderName,
        token: &SecretString,
    ) -> Result<Option<Self>, CacheError> {
        app.cache.peek(of_links(provider), token).await
    }

    /// The same, and the token is used up.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub(crate) async fn take(
        app: &App,
        provider: &ProviderName,
        token: &SecretString,
    ) -> Result<Option<Self>, CacheError> {
        app.cache.consume(of_links(provider), token).await
    }
}

/// Begins a consent: the `state` with which this browser, and no other, ends it.
///
/// # Errors
///
/// [`CacheError`] if Redis does not store it.
pub(crate) async fn begin(
    app: &App,
    ticket: &Ticket,
    browser: &Browser,
) -> Result<SecretString, CacheError> {
    let purpose = of_consents(browser);
    app.cache.issue(purpose, ticket, CONSENT_TTL).await
}

/// Ends a consent, once. What another browser brings looks as if it had never been.
///
/// # Errors
///
/// [`CacheError`] if Redis does not answer.
pub(crate) async fn end(
    app: &App,
    browser: &Browser,
    state: &SecretString,
) -> Result<Option<Ticket>, CacheError> {
    app.cache.consume(of_consents(browser), state).await
}

/// The address of a connect link; `None` if nobody knows under which address people
/// reach this API.
pub(crate) fn link(app: &App, provider: &ProviderName, token: &SecretString) -> Option<String> {
    let base = app.settings.public_url.as_deref()?;
    let token = token.expose_secret();
    Some(format!("{base}/connect/{provider}?token={token}"))
}

/// The address to which providers send browsers back.
pub(crate) fn callback_url(app: &App) -> Option<String> {
    let base = app.settings.public_url.as_deref()?;
    Some(format!("{base}/connect/callback"))
}

fn of_links(provider: &ProviderName) -> Purpose<'_> {
    Purpose {
        name: "connect",
        scope: provider.as_str(),
    }
}

fn of_consents(browser: &Browser) -> Purpose<'_> {
    Purpose {
        name: "consent",
        scope: browser.as_str(),
    }
}
