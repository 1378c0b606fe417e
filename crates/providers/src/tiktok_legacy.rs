//! TikTok's first OAuth (contracts §4.3), which ended for web apps in 2024: only for
//! who asks for it by its name. Every refresh may spend the refresh token.

mod connect;
mod matrix;

use std::time::Duration;

use async_trait::async_trait;
use domain::{FreshTokens, Grant, Lifetime, ProviderName, Window};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, HeaderValue};
use reqwest::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::dialogue::Dialogue;
use crate::http::{Answer, Http, base_url};
use crate::json::{lifetime, seconds, secret, text};
use crate::{
    Accepted, Call, Connect, FieldError, ImportRequest, Provider, RefreshError, Refusal, Rotation,
    SettingsError, TikTokLegacySettings, TikTokSettings, Upstream, token_pair,
};

static NAME: ProviderName = ProviderName::from_static("tiktok_legacy");

/// The final slash is part of the address.
const CODE_PATH: &str = "/oauth/access_token/";

/// Where people agree, at the same address.
const PAGE_PATH: &str = "/platform/oauth/connect/";

/// The final slash is part of the address.
const TOKEN_PATH: &str = "/oauth/refresh_token/";

/// Its tokens live a day, as those of TikTok's accounts do (§8.2).
const WINDOW: Window = Window::margin(Duration::from_hours(3), Duration::from_mins(30));

/// The provider `tiktok_legacy`.
#[derive(Debug)]
pub(crate) struct TikTokLegacy {
    http: Http,
    token_url: Url,
    code_url: Url,
    page: Url,
    client_key: Option<String>,
    /// Only a code needs it.
    client_secret: Option<SecretString>,
    scopes: Vec<String>,
}

impl TikTokLegacy {
    /// `app` has the key, the secret and the scopes of the provider `tiktok`.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] for an address that cannot be asked.
    pub(crate) fn new(
        http: Http,
        settings: &TikTokLegacySettings,
        app: &TikTokSettings,
    ) -> Result<Self, SettingsError> {
        let base = base_url("TIKTOK_LEGACY_BASE_URL", &settings.base_url)?;
        let at = |path| {
            Url::parse(&format!("{base}{path}")).expect("a path after an address is an address")
        };
        Ok(Self {
            http,
            token_url: at(TOKEN_PATH),
            code_url: at(CODE_PATH),
            page: at(PAGE_PATH),
            client_key: app.client_key.clone().filter(|key| !key.is_empty()),
            client_secret: app
                .client_secret
                .clone()
                .filter(|secret| !secret.expose_secret().is_empty()),
            scopes: app.scopes.clone(),
        })
    }

    /// Everything stands in the query; a refresh sends no secret of the app.
    fn request(&self, key: &str, refresh_token: &SecretString) -> Request {
        let mut url = self.token_url.clone();
        url.query_pairs_mut()
            .append_pair("client_key", key)
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", refresh_token.expose_secret());
        let mut request = Request::new(Method::POST, url);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // RFC 9110 section 8.6; servers answer 411 without it.
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        request
    }
}

#[async_trait]
impl Provider for TikTokLegacy {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn rotation(&self) -> Rotation {
        Rotation::Rotating
    }

    fn app_identity(&self, _: &Grant) -> String {
        format!("{NAME}:{}", self.client_key.as_deref().unwrap_or_default())
    }

    fn upstream(&self) -> Option<Upstream> {
        let identity = format!("{NAME}:{}", self.client_key.as_deref().unwrap_or_default());
        Some(Upstream::app(identity, self.token_url.as_str(), None))
    }

    fn window(&self, _: &Grant, _: Option<Duration>) -> Window {
        WINDOW
    }

    fn missing_settings(&self) -> Vec<&'static str> {
        let key = self.client_key.is_none().then_some("TIKTOK_CLIENT_KEY");
        key.into_iter().collect()
    }

    fn connect(&self) -> Option<&dyn Connect> {
        Some(self)
    }

    fn accept(&self, import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
        let accepted = token_pair::accept(import)?;
        Ok(accepted.warned_of(&self.missing_settings()))
    }

    async fn refresh(&self, call: &Call<'_>) -> Result<FreshTokens, RefreshError> {
        let Some(key) = &self.client_key else {
            return Err(Refusal::not_configured(&NAME));
        };
        let Some(refresh_token) = &call.grant.refresh_token else {
            return Err(Refusal::no_material(&NAME));
        };
        let dialogue = Dialogue {
            http: &self.http,
            provider: &NAME,
            call,
            app_secrets: &[],
        };
        let answer = dialogue.send(self.request(key, refresh_token)).await?;
        read(&dialogue, &answer)
    }
}

/// A success says so twice: `message` is "success", and `data.error_code` is 0.
fn read(dialogue: &Dialogue<'_>, answer: &Answer) -> Result<FreshTokens, RefreshError> {
    let body = answer.json();
    let facts = matrix::facts(answer, body.as_ref());
    let success = body.as_ref().filter(|body| {
        let code = facts.code.as_deref();
        answer.is_success() && code == Some("0") && is_success(body)
    });
    let Some(fresh) = success.and_then(|body| tokens(body.get("data")?)) else {
        return Err(dialogue.refused(&matrix::MATRIX, &facts, &answer.headers));
    };
    dialogue.of_same_account(fresh, || facts)
}

fn is_success(body: &Value) -> bool {
    text(body, "message").as_deref() == Some("success")
}

/// The tokens of a successful answer; `None` if it brings no access token. Its
/// numbers may be strings.
fn tokens(data: &Value) -> Option<FreshTokens> {
    let access_token = secret(data, "access_token")?;
    Some(FreshTokens {
        refresh_token: secret(data, "refresh_token"),
        refresh_lifetime: seconds(data, "refresh_expires_in").map(Lifetime::For),
        scope: text(data, "scope"),
        external_id: text(data, "open_id"),
        ..FreshTokens::access(access_token, lifetime(data, "expires_in"))
    })
}
