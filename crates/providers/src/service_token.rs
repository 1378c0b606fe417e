//! Two-level service tokens (contracts §6): a long-lived token obtains short access
//! tokens at an address that the tenant may bring.

mod import;
mod matrix;

use std::time::Duration;

use async_trait::async_trait;
use domain::{DelaySource, FreshTokens, Grant, Lifetime, ProviderName, Verdict, Window, reason};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use reqwest::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::dialogue::Dialogue;
use crate::hex::hex;
use crate::http::{Answer, Http, base_url, bearer};
use crate::json::{seconds, secret};
use crate::{
    Accepted, Call, Egress, FieldError, ImportRequest, Provider, RefreshError, Refusal, Rotation,
    ServiceTokenSettings, SettingsError, Upstream, jwt,
};

static NAME: ProviderName = ProviderName::from_static("service_token");

/// The key of a grant under which the service token is kept.
const SERVICE_TOKEN: &str = "service_token";
const SETTING: &str = "SERVICE_TOKEN_BASE_URL";
const PATH: &str = "auth/service-token/refresh";

/// Where an answer tells no lifetime.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(15);
/// Renewed when so much is left, late from a minute on (§8.2).
const WINDOW: Window = Window::margin(Duration::from_mins(5), Duration::from_mins(1));

/// The provider `service_token`.
#[derive(Debug)]
pub(crate) struct ServiceToken {
    http: Http,
    egress: Egress,
    /// The operator's own address, for channels that bring none.
    base: Option<String>,
}

impl ServiceToken {
    /// `http` calls the operator's address, `egress` those of tenants.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] for an address that cannot be asked.
    pub(crate) fn new(
        http: Http,
        egress: Egress,
        settings: &ServiceTokenSettings,
    ) -> Result<Self, SettingsError> {
        let base = settings.base_url.as_deref();
        let base = base.map(|base| base_url(SETTING, base)).transpose()?;
        Ok(Self { http, egress, base })
    }
}

#[async_trait]
impl Provider for ServiceToken {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    /// The service token is not spent by its use.
    fn rotation(&self) -> Rotation {
        Rotation::Reusable
    }

    /// A tenant's token is its own app: one tenant's typo stops nobody else.
    fn app_identity(&self, grant: &Grant) -> String {
        let key = grant.key(SERVICE_TOKEN);
        let hash = Sha256::digest(key.map_or("", ExposeSecret::expose_secret).as_bytes());
        format!("{NAME}:{}", hex(&hash[..8]))
    }

    /// Tenants bring their own addresses.
    fn upstream(&self) -> Option<Upstream> {
        None
    }

    fn window(&self, _: &Grant, _: Option<Duration>) -> Window {
        WINDOW
    }

    fn accept(&self, import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
        import::accept(import, &self.egress, self.base.is_some())
    }

    async fn refresh(&self, call: &Call<'_>) -> Result<FreshTokens, RefreshError> {
        let key = call.grant.key(SERVICE_TOKEN);
        let Some((key, bearer)) = key.and_then(|key| Some((key, bearer(key)?))) else {
            return Err(Refusal::no_material(&NAME));
        };
        if has_ended(key, call) {
            return Err(Refusal::ours(&NAME, Verdict::Reauthorize, reason::EXPIRED));
        }
        match (&call.grant.base_url, &self.base) {
            (Some(base), _) => self.at_tenants(call, base, bearer).await,
            (None, Some(base)) => asked(&self.http, call, base, bearer).await,
            (None, None) => Err(Refusal::not_configured(&NAME)),
        }
    }
}

impl ServiceToken {
    /// Asks at an address that the tenant brought.
    async fn at_tenants(
        &self,
        call: &Call<'_>,
        base: &str,
        bearer: HeaderValue,
    ) -> Result<FreshTokens, RefreshError> {
        // The settings may have changed since the import.
        let url = self
            .egress
            .check(base)
            .map_err(|refusal| Refusal::not_callable(&NAME, refusal))?;
        let owner = self.app_identity(call.grant);
        let Some(_turn) = self.egress.turn(&owner, &url).await else {
            let verdict = Verdict::RateLimited {
                delay: None,
                source: DelaySource::ProviderDefault,
            };
            return Err(Refusal::ours(&NAME, verdict, reason::BUSY));
        };
        asked(self.egress.http(), call, base, bearer).await
    }
}

async fn asked(
    http: &Http,
    call: &Call<'_>,
    base: &str,
    bearer: HeaderValue,
) -> Result<FreshTokens, RefreshError> {
    let dialogue = Dialogue {
        http,
        provider: &NAME,
        call,
        app_secrets: &[],
    };
    let answer = dialogue.send(request(base, bearer)).await?;
    read(&dialogue, &answer)
}

/// A `POST` without a body.
fn request(base: &str, bearer: HeaderValue) -> Request {
    let url = format!("{base}/{PATH}");
    let url = Url::parse(&url).expect("the base address was parsed before");
    let mut request = Request::new(Method::POST, url);
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    // RFC 9110 section 8.6; servers answer 411 without it.
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    request
}

fn read(dialogue: &Dialogue<'_>, answer: &Answer) -> Result<FreshTokens, RefreshError> {
    let body = answer.json();
    let success = body.as_ref().filter(|_| answer.is_success());
    let Some((body, token)) = success.and_then(|it| Some((it, secret(it, "access_token")?))) else {
        let facts = matrix::facts(answer, body.as_ref());
        return Err(dialogue.refused(&matrix::MATRIX, &facts, &answer.headers));
    };
    let lifetime = seconds(body, "expires_in").unwrap_or(DEFAULT_LIFETIME);
    Ok(FreshTokens::access(token, Lifetime::For(lifetime)))
}

/// Whether the service token itself is over; one that is no JWT, or has no `exp`, never is.
fn has_ended(key: &SecretString, call: &Call<'_>) -> bool {
    jwt::times(key.expose_secret()).is_some_and(|times| times.expires_at <= call.now)
}
