//! Facturify (contracts §5): a key obtains a short token, which is refreshed at
//! once to a long one, and that again before its end.

mod import;
mod matrix;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::{Details, FreshTokens, Grant, Lifetime, Margin, ProviderName, Timestamp, Window};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::dialogue::Dialogue;
use crate::hex::hex;
use crate::http::{Answer, Http, base_url, bearer, positive};
use crate::json::{seconds, secret};
use crate::matrix::{Facts, Matrix};
use crate::{
    Accepted, Call, FacturifySettings, FieldError, ImportRequest, Provider, RefreshError,
    RefreshMethod, Refusal, Rotation, SettingsError, Upstream, jwt,
};

static NAME: ProviderName = ProviderName::from_static("facturify");

const API_KEY: &str = "api_key";
const API_SECRET: &str = "api_secret";

/// What a grant's scope says of a token from `/auth`: no secret, and the only
/// way to tell it from a refreshed one.
const FROM_AUTH: &str = "auth";
/// What a grant's scope says when a new token is wanted in place of the one that lives.
const ANEW: &str = "anew";
/// What a grant's scope says of a refreshed token.
const FROM_REFRESH: &str = "token/refresh";

/// A token from `/auth` that lives less is refreshed at once (S0.5).
const SHORT_LIVED: Duration = Duration::from_mins(5);
/// "Wait 5 s" after it was obtained (S0.5).
const AFTER_AUTH: Duration = Duration::from_secs(5);
/// A refresh later than this is late (§8.2).
const LATEST: Duration = Duration::from_secs(30);

/// The pause before the first retry within a call; the queue makes the long ones.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No pause within a call is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The provider `facturify`.
#[derive(Debug)]
pub(crate) struct Facturify {
    http: Http,
    auth_url: Url,
    refresh_url: Url,
    settings: FacturifySettings,
    /// Whether `token/refresh` took the other method than the one that is set.
    swapped: AtomicBool,
}

impl Facturify {
    /// # Errors
    ///
    /// [`SettingsError`] for an address that cannot be asked, and values out of range.
    pub(crate) fn new(http: Http, settings: FacturifySettings) -> Result<Self, SettingsError> {
        let base = base_url("FACTURIFY_BASE_URL", &settings.base_url)?;
        positive("FACTURIFY_TIMEOUT", settings.timeout)?;
        if !settings.retry_backoff.is_finite() || settings.retry_backoff < 1.0 {
            return Err(SettingsError::Range {
                setting: "FACTURIFY_RETRY_BACKOFF",
                allowed: "at least 1",
            });
        }
        let url = |path| {
            Url::parse(&format!("{base}/api/v1/{path}"))
                .expect("a path after an address is an address")
        };
        Ok(Self {
            http,
            auth_url: url("auth"),
            refresh_url: url("token/refresh"),
            settings,
            swapped: AtomicBool::new(false),
        })
    }
}

/// The same Facturify grant, whose next refresh obtains a new token with the key instead of
/// refreshing the one that lives (S0.1). That one stays in it until the new one is there.
#[must_use]
pub fn facturify_anew(grant: Grant) -> Grant {
    Grant {
        scope: Some(ANEW.to_owned()),
        ..grant
    }
}

/// The `external_id` of the channel that the settings' own account has. Its operator, not a
/// tenant, must mend a wrong key: that is `misconfigured` (contracts §5.4).
pub const FACTURIFY_OF_SETTINGS: &str = "settings";

/// Whether [`facturify_anew`] was asked for and is not done yet.
#[must_use]
pub fn is_facturify_anew(grant: &Grant) -> bool {
    grant.scope.as_deref() == Some(ANEW)
}

#[async_trait]
impl Provider for Facturify {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn rotation(&self) -> Rotation {
        Rotation::Reusable
    }

    /// A tenant's key is its own app: one tenant's typo stops nobody else.
    fn app_identity(&self, grant: &Grant) -> String {
        let key = grant.key(API_KEY).map_or("", ExposeSecret::expose_secret);
        let hash = Sha256::digest(key.as_bytes());
        format!("facturify:{}", hex(&hash[..8]))
    }

    /// All keys go to one address.
    fn upstream(&self) -> Option<Upstream> {
        Some(Upstream::address("facturify", self.auth_url.as_str()))
    }

    /// Limits are those of a key.
    fn throttles_app(&self, _: &Details) -> bool {
        false
    }

    fn window(&self, grant: &Grant, lifetime: Option<Duration>) -> Window {
        let buffered = Window::margin(self.settings.buffer, LATEST);
        let from_auth = grant.scope.as_deref() == Some(FROM_AUTH);
        if from_auth && lifetime.is_none_or(|it| it < SHORT_LIVED) {
            return Window {
                target: Margin::AfterIssue(AFTER_AUTH),
                ..buffered
            };
        }
        buffered
    }

    fn accept(&self, import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
        import::accept(import)
    }

    async fn refresh(&self, call: &Call<'_>) -> Result<FreshTokens, RefreshError> {
        let keys = (call.grant.key(API_KEY), call.grant.key(API_SECRET));
        let (Some(key), Some(secret)) = keys else {
            return Err(Refusal::no_material(&NAME));
        };
        let dialogue = Dialogue {
            http: &self.http,
            provider: &NAME,
            call,
            app_secrets: &[],
        };
        let bearer = call.grant.access_token.as_ref().and_then(bearer);
        if let Some(bearer) = bearer
            && !is_facturify_anew(call.grant)
            && let Some(fresh) = self.refreshed(&dialogue, &bearer).await?
        {
            return Ok(fresh);
        }
        self.obtained(&dialogue, key, secret).await
    }
}

impl Facturify {
    /// Refreshes the current token; `None` if a new one must be obtained instead.
    async fn refreshed(
        &self,
        dialogue: &Dialogue<'_>,
        bearer: &HeaderValue,
    ) -> Result<Option<FreshTokens>, RefreshError> {
        let swapped = self.swapped.load(Ordering::Relaxed);
        let mut answer = self.ask_refresh(dialogue, bearer, swapped).await?;
        if matrix::is_wrong_method(&said(&answer)) {
            answer = self.ask_refresh(dialogue, bearer, !swapped).await?;
            if !matrix::is_wrong_method(&said(&answer)) {
                self.swapped.store(!swapped, Ordering::Relaxed);
            }
        }
        if matrix::starts_over(&said(&answer)) {
            return Ok(None);
        }
        read(dialogue, &answer, &matrix::REFRESH, FROM_REFRESH).map(Some)
    }

    async fn ask_refresh(
        &self,
        dialogue: &Dialogue<'_>,
        bearer: &HeaderValue,
        swapped: bool,
    ) -> Result<Answer, RefreshError> {
        let post = (self.settings.refresh_method == RefreshMethod::Post) != swapped;
        let method = if post { Method::POST } else { Method::GET };
        self.patiently(dialogue, || {
            let mut request = self.request(method.clone(), &self.refresh_url);
            let headers = request.headers_mut();
            headers.insert(AUTHORIZATION, bearer.clone());
            if post {
                // RFC 9110 section 8.6; servers answer 411 without it.
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            request
        })
        .await
    }

    /// Obtains a new token with the key.
    async fn obtained(
        &self,
        dialogue: &Dialogue<'_>,
        key: &SecretString,
        secret: &SecretString,
    ) -> Result<FreshTokens, RefreshError> {
        let answer = self
            .patiently(dialogue, || {
                let body = json!({
                    API_KEY: key.expose_secret(), API_SECRET: secret.expose_secret(),
                });
                let mut request = self.request(Method::POST, &self.auth_url);
                let json = HeaderValue::from_static("application/json");
                request.headers_mut().insert(CONTENT_TYPE, json);
                *request.body_mut() = Some(Body::from(body.to_string()));
                request
            })
            .await?;
        let matrix = match dialogue.call.external_id {
            Some(FACTURIFY_OF_SETTINGS) => &matrix::AUTH_OF_SETTINGS,
            _ => &matrix::AUTH,
        };
        read(dialogue, &answer, matrix, FROM_AUTH)
    }

    /// Sends a request, and again after a short pause while nobody can be
    /// reached or the answer is 5xx (S0.6), as long as that is permitted. A
    /// request without an answer is not repeated here: waiting for it took long
    /// enough.
    async fn patiently(
        &self,
        dialogue: &Dialogue<'_>,
        request: impl Fn() -> Request,
    ) -> Result<Answer, RefreshError> {
        let mut outcome = dialogue.send(request()).await;
        let mut pause = FIRST_PAUSE;
        for _ in 0..self.settings.max_retries {
            if !may_pass(&outcome) {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = pause
                .mul_f64(self.settings.retry_backoff)
                .min(LONGEST_PAUSE);
            match dialogue.send(request()).await {
                Err(RefreshError::NotPermitted(_)) => break,
                next => outcome = next,
            }
        }
        outcome
    }

    fn request(&self, method: Method, url: &Url) -> Request {
        let mut request = Request::new(method, url.clone());
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(ACCEPT, json);
        *request.timeout_mut() = Some(self.settings.timeout);
        request
    }
}

fn may_pass(outcome: &Result<Answer, RefreshError>) -> bool {
    match outcome {
        Ok(answer) => answer.status >= 500,
        Err(error) => matches!(error, RefreshError::NotSent { .. }),
    }
}

fn said(answer: &Answer) -> Facts {
    matrix::facts(answer, answer.json().as_ref())
}

/// The token of a successful answer, marked with where it came from.
fn read(
    dialogue: &Dialogue<'_>,
    answer: &Answer,
    matrix: &Matrix,
    from: &str,
) -> Result<FreshTokens, RefreshError> {
    let body = answer.json().filter(|_| answer.is_success());
    let jwt = body.as_ref().and_then(|body| body.get("jwt"));
    let Some((jwt, token)) = jwt.and_then(|jwt| Some((jwt, secret(jwt, "token")?))) else {
        return Err(dialogue.refused(matrix, &said(answer), &answer.headers));
    };
    let lifetime = lifetime(jwt, &token, dialogue.call.now);
    Ok(FreshTokens {
        scope: Some(from.to_owned()),
        ..FreshTokens::access(token, lifetime)
    })
}

/// `min(now + expires_in, exp)`: nothing proves the unit of `expires_in`, and the
/// smaller one is safe under either reading (§5.4).
fn lifetime(jwt: &Value, token: &SecretString, now: Timestamp) -> Lifetime {
    let told = seconds(jwt, "expires_in");
    let times = jwt::times(token.expose_secret());
    if let (Some(told), Some(times)) = (told, times) {
        warn_of_disagreement(told, times);
    }
    match (told, times.map(|times| times.expires_at)) {
        (Some(told), Some(exp)) if exp < now.plus(told) => Lifetime::Until(exp),
        (Some(told), _) => Lifetime::For(told),
        (None, Some(exp)) => Lifetime::Until(exp),
        (None, None) => Lifetime::Unknown,
    }
}

fn warn_of_disagreement(told: Duration, times: jwt::Times) {
    let Some(issued_at) = times.issued_at else {
        return;
    };
    let meant = times.expires_at.since(issued_at);
    if told.abs_diff(meant) > meant.max(told) / 20 {
        tracing::warn!(
            provider = "facturify",
            expires_in_secs = told.as_secs(),
            jwt_secs = meant.as_secs(),
            "a token's expires_in and its own exp disagree; the earlier end is used"
        );
    }
}
