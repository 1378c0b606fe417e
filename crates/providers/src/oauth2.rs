//! Any OAuth 2.0 provider that a description fits (RFC 6749 section 6, contracts §7):
//! `oauth2:<name>`, described by the settings, by the catalogue, or by both.

mod answer;
mod catalogue;
mod connect;
mod consent;
mod description;
mod matrix;
mod request;
mod settings;

use std::time::Duration;

use async_trait::async_trait;
use domain::{FreshTokens, Grant, Lifetime, ProviderName, Window};

use crate::dialogue::Dialogue;
use crate::http::{Answer, Http};
use crate::{
    Accepted, Call, Connect, FieldError, ImportRequest, Provider, RefreshError, Refusal, Rotation,
    SettingsError, Upstream, token_pair,
};

use description::Description;

pub use settings::{AuthStyle, BodyFormat, ErrorWords, OAuth2Settings, TokenRotation};

/// The provider `oauth2:<name>`.
#[derive(Debug)]
pub(crate) struct OAuth2 {
    http: Http,
    name: ProviderName,
    described: Description,
}

impl OAuth2 {
    /// # Errors
    ///
    /// [`SettingsError`] for a name or a description that cannot work.
    pub(crate) fn new(
        http: Http,
        name: &str,
        settings: OAuth2Settings,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            http,
            described: Description::of(name, settings)?,
            name: format!("oauth2:{name}").into(),
        })
    }

    fn read(&self, dialogue: &Dialogue<'_>, answer: &Answer) -> Result<FreshTokens, RefreshError> {
        let body = answer::body(answer);
        let described = &self.described;
        let fresh = body
            .as_ref()
            .filter(|body| answer.is_success() && !answer::is_error(body))
            .and_then(|body| answer::tokens(body, described));
        fresh.ok_or_else(|| {
            let facts = matrix::facts(answer, body.as_ref());
            let now = dialogue.call.now;
            let (verdict, reason) = described.rules.judge(&facts, &answer.headers, now);
            dialogue.refused_as(verdict, reason, &facts)
        })
    }
}

#[async_trait]
impl Provider for OAuth2 {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn rotation(&self) -> Rotation {
        match self.described.rotation {
            TokenRotation::Always | TokenRotation::Sometimes => Rotation::Rotating,
            TokenRotation::Never => Rotation::Reusable,
        }
    }

    fn app_identity(&self, _: &Grant) -> String {
        format!("{}:{}", self.name, self.described.app.id)
    }

    fn upstream(&self) -> Option<Upstream> {
        let app = &self.described.app;
        let identity = format!("{}:{}", self.name, app.id);
        let address = self.described.token_url.as_str();
        Some(Upstream::app(identity, address, app.secret()))
    }

    fn window(&self, _: &Grant, _: Option<Duration>) -> Window {
        Window::GENERIC
    }

    fn connect(&self) -> Option<&dyn Connect> {
        Some(self)
    }

    /// An `external_id` is kept for people: no standard says where an answer names
    /// the account.
    fn accept(&self, import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
        token_pair::accept(import)
    }

    async fn refresh(&self, call: &Call<'_>) -> Result<FreshTokens, RefreshError> {
        let Some(refresh_token) = &call.grant.refresh_token else {
            return match (&call.grant.access_token, call.access_expires_at) {
                // A consent brought no more: it lasts until somebody takes it back.
                (Some(_), None) => Ok(FreshTokens::unchanged(Lifetime::Never)),
                _ => Err(Refusal::no_material(&self.name)),
            };
        };
        let app = &self.described.app;
        let dialogue = Dialogue {
            http: &self.http,
            provider: &self.name,
            call,
            app_secrets: &app.secrets,
        };
        let request = request::refresh(&self.described, refresh_token);
        let answer = dialogue.send(request).await?;
        self.read(&dialogue, &answer)
    }
}
