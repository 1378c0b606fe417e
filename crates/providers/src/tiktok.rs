//! TikTok for Developers, OAuth v2 (contracts §4.1): every refresh spends the
//! refresh token.

mod connect;
mod matrix;

use std::slice::from_ref;
use std::time::Duration;

use async_trait::async_trait;
use domain::{FreshTokens, Grant, ProviderName, Window};
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::connect::page;
use crate::dialogue::Dialogue;
use crate::http::{Answer, Http, base_url, form};
use crate::json::{lifetime, seconds, secret, text};
use crate::{
    Accepted, Call, Connect, FieldError, ImportRequest, Provider, RefreshError, Refusal, Rotation,
    SettingsError, TikTokSettings, Upstream, token_pair,
};

static NAME: ProviderName = ProviderName::from_static("tiktok");

/// The final slash is part of the address.
const TOKEN_PATH: &str = "/v2/oauth/token/";

/// Due half an hour before the end of the two, late from five minutes on (§8.2).
const WINDOW: Window = Window::margin(Duration::from_mins(30), Duration::from_mins(5));

/// The provider `tiktok`.
#[derive(Debug)]
pub(crate) struct TikTok {
    http: Http,
    token_url: Url,
    page: Url,
    scopes: Vec<String>,
    client_key: Option<String>,
    client_secret: Option<SecretString>,
}

impl TikTok {
    /// # Errors
    ///
    /// [`SettingsError`] for an address that cannot be asked.
    pub(crate) fn new(http: Http, settings: TikTokSettings) -> Result<Self, SettingsError> {
        let base = base_url("TIKTOK_BASE_URL", &settings.base_url)?;
        let token_url = format!("{base}{TOKEN_PATH}");
        Ok(Self {
            http,
            page: page("TIKTOK_AUTHORIZE_URL", &settings.authorize_url)?,
            scopes: settings.scopes,
            token_url: Url::parse(&token_url).expect("a path after an address is an address"),
            client_key: settings.client_key.filter(|key| !key.is_empty()),
            client_secret: settings
                .client_secret
                .filter(|secret| !secret.expose_secret().is_empty()),
        })
    }

    /// The form of §4.1 and nothing else: no `client_id`, no scope.
    fn request(&self, key: &str, secret: &SecretString, refresh_token: &SecretString) -> Request {
        let mut request = Request::new(Method::POST, self.token_url.clone());
        form(
            &mut request,
            &[
                ("client_key", key),
                ("client_secret", secret.expose_secret()),
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh_token.expose_secret()),
            ],
        );
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(ACCEPT, json);
        request
    }
}

#[async_trait]
impl Provider for TikTok {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn rotation(&self) -> Rotation {
        Rotation::Rotating
    }

    fn app_identity(&self, _: &Grant) -> String {
        format!("tiktok:{}", self.client_key.as_deref().unwrap_or_default())
    }

    fn upstream(&self) -> Option<Upstream> {
        let identity = format!("tiktok:{}", self.client_key.as_deref().unwrap_or_default());
        let secret = self.client_secret.as_ref();
        Some(Upstream::app(identity, self.token_url.as_str(), secret))
    }

    fn window(&self, _: &Grant, _: Option<Duration>) -> Window {
        WINDOW
    }

    fn missing_settings(&self) -> Vec<&'static str> {
        let key = self.client_key.is_none().then_some("TIKTOK_CLIENT_KEY");
        let secret = self
            .client_secret
            .is_none()
            .then_some("TIKTOK_CLIENT_SECRET");
        key.into_iter().chain(secret).collect()
    }

    fn connect(&self) -> Option<&dyn Connect> {
        Some(self)
    }

    fn accept(&self, import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
        let accepted = token_pair::accept(import)?;
        Ok(accepted.warned_of(&self.missing_settings()))
    }

    async fn refresh(&self, call: &Call<'_>) -> Result<FreshTokens, RefreshError> {
        let (Some(key), Some(secret)) = (&self.client_key, &self.client_secret) else {
            return Err(Refusal::not_configured(&NAME));
        };
        let Some(refresh_token) = &call.grant.refresh_token else {
            return Err(Refusal::no_material(&NAME));
        };
        let dialogue = Dialogue {
            http: &self.http,
            provider: &NAME,
            call,
            app_secrets: from_ref(secret),
        };
        let request = self.request(key, secret, refresh_token);
        let answer = dialogue.send(request).await?;
        read(&dialogue, &answer)
    }
}

/// A body with an `error` is an error at any status, also at 200.
fn read(dialogue: &Dialogue<'_>, answer: &Answer) -> Result<FreshTokens, RefreshError> {
    let body = answer.json();
    let facts = || matrix::facts(answer, body.as_ref());
    let tokens = body
        .as_ref()
        .filter(|body| answer.is_success() && !matrix::is_error(body))
        .and_then(tokens);
    match tokens {
        Some(fresh) => dialogue.of_same_account(fresh, facts),
        None => Err(dialogue.refused(&matrix::MATRIX, &facts(), &answer.headers)),
    }
}

/// The tokens of a successful answer; `None` if it brings no access token.
fn tokens(body: &Value) -> Option<FreshTokens> {
    let access_token = secret(body, "access_token")?;
    Some(FreshTokens {
        refresh_token: secret(body, "refresh_token"),
        refresh_lifetime: seconds(body, "refresh_expires_in").map(domain::Lifetime::For),
        scope: text(body, "scope"),
        external_id: text(body, "open_id"),
        ..FreshTokens::access(access_token, lifetime(body, "expires_in"))
    })
}
