//! TikTok's API for Business (contracts §4.2): accounts, whose every refresh spends
//! the refresh token, and advertisers, whose tokens never end.

mod connect;
mod import;
mod matrix;

use std::slice::from_ref;
use std::time::Duration;

use async_trait::async_trait;
use domain::{FreshTokens, Grant, Lifetime, ProviderName, Window};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::connect::page;
use crate::dialogue::Dialogue;
use crate::http::{Answer, Http, base_url};
use crate::json::{lifetime, seconds, secret, text};
use crate::{
    Accepted, Call, Connect, FieldError, ImportRequest, Provider, RefreshError, Refusal, Rotation,
    SettingsError, TikTokBusinessSettings, Upstream,
};

static NAME: ProviderName = ProviderName::from_static("tiktok_business");

/// The final slash is part of the address.
const CODE_PATH: &str = "/open_api/v1.3/tt_user/oauth2/token/";

/// The final slash is part of the address.
const TOKEN_PATH: &str = "/open_api/v1.3/tt_user/oauth2/refresh_token/";

/// Due three hours before the end of the day, late from half an hour on (§8.2).
const WINDOW: Window = Window::margin(Duration::from_hours(3), Duration::from_mins(30));

/// The provider `tiktok_business`.
#[derive(Debug)]
pub(crate) struct TikTokBusiness {
    http: Http,
    token_url: Url,
    code_url: Url,
    page: Url,
    scopes: Vec<String>,
    app_id: Option<String>,
    app_secret: Option<SecretString>,
}

impl TikTokBusiness {
    /// # Errors
    ///
    /// [`SettingsError`] for an address that cannot be asked.
    pub(crate) fn new(http: Http, settings: TikTokBusinessSettings) -> Result<Self, SettingsError> {
        let base = base_url("TIKTOK_BUSINESS_BASE_URL", &settings.base_url)?;
        let at = |path| {
            Url::parse(&format!("{base}{path}")).expect("a path after an address is an address")
        };
        Ok(Self {
            http,
            token_url: at(TOKEN_PATH),
            code_url: at(CODE_PATH),
            page: page("TIKTOK_BUSINESS_AUTHORIZE_URL", &settings.authorize_url)?,
            scopes: settings.scopes,
            app_id: settings.app_id.filter(|id| !id.is_empty()),
            app_secret: settings
                .app_secret
                .filter(|secret| !secret.expose_secret().is_empty()),
        })
    }

    fn request(&self, id: &str, secret: &SecretString, refresh_token: &SecretString) -> Request {
        let body = json!({
            "client_id": id,
            "client_secret": secret.expose_secret(),
            "grant_type": "refresh_token",
            "refresh_token": refresh_token.expose_secret(),
        });
        let mut request = Request::new(Method::POST, self.token_url.clone());
        let json = HeaderValue::from_static("application/json");
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, json.clone());
        headers.insert(ACCEPT, json);
        *request.body_mut() = Some(Body::from(body.to_string()));
        request
    }
}

#[async_trait]
impl Provider for TikTokBusiness {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn rotation(&self) -> Rotation {
        Rotation::Rotating
    }

    fn app_identity(&self, _: &Grant) -> String {
        format!("{NAME}:{}", self.app_id.as_deref().unwrap_or_default())
    }

    fn upstream(&self) -> Option<Upstream> {
        let identity = format!("{NAME}:{}", self.app_id.as_deref().unwrap_or_default());
        let secret = self.app_secret.as_ref();
        Some(Upstream::app(identity, self.token_url.as_str(), secret))
    }

    fn window(&self, _: &Grant, _: Option<Duration>) -> Window {
        WINDOW
    }

    fn missing_settings(&self) -> Vec<&'static str> {
        let id = self.app_id.is_none().then_some("TIKTOK_APP_ID");
        let secret = self.app_secret.is_none().then_some("TIKTOK_APP_SECRET");
        id.into_iter().chain(secret).collect()
    }

    fn connect(&self) -> Option<&dyn Connect> {
        Some(self)
    }

    fn accept(&self, import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
        let accepted = import::accept(import)?;
        if accepted.grant.refresh_token.is_none() {
            return Ok(accepted);
        }
        Ok(accepted.warned_of(&self.missing_settings()))
    }

    /// An advertiser's token needs nothing, and no documented call tells its health.
    async fn refresh(&self, call: &Call<'_>) -> Result<FreshTokens, RefreshError> {
        let Some(refresh_token) = &call.grant.refresh_token else {
            return match (&call.grant.access_token, call.access_expires_at) {
                (Some(_), None) => Ok(FreshTokens::unchanged(Lifetime::Never)),
                _ => Err(Refusal::no_material(&NAME)),
            };
        };
        let (Some(id), Some(secret)) = (&self.app_id, &self.app_secret) else {
            return Err(Refusal::not_configured(&NAME));
        };
        let dialogue = Dialogue {
            http: &self.http,
            provider: &NAME,
            call,
            app_secrets: from_ref(secret),
        };
        let request = self.request(id, secret, refresh_token);
        let answer = dialogue.send(request).await?;
        read(&dialogue, &answer)
    }
}

/// `code` 0 is success; the status is 200 for everything.
fn read(dialogue: &Dialogue<'_>, answer: &Answer) -> Result<FreshTokens, RefreshError> {
    let body = answer.json();
    let facts = matrix::facts(answer, body.as_ref());
    let success = answer.is_success() && facts.code.as_deref() == Some("0");
    let data = body.as_ref().filter(|_| success);
    let Some(fresh) = data.and_then(|body| tokens(body.get("data")?)) else {
        return Err(dialogue.refused(&matrix::MATRIX, &facts, &answer.headers));
    };
    dialogue.of_same_account(fresh, || facts)
}

/// The tokens of a successful answer; `None` if it brings no access token.
fn tokens(data: &Value) -> Option<FreshTokens> {
    let access_token = secret(data, "access_token")?;
    Some(FreshTokens {
        refresh_token: secret(data, "refresh_token"),
        refresh_lifetime: seconds(data, "refresh_token_expires_in").map(Lifetime::For),
        scope: text(data, "scope"),
        external_id: text(data, "open_id"),
        ..FreshTokens::access(access_token, lifetime(data, "expires_in"))
    })
}
