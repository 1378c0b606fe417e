//! Instagram Login (contracts §2): a living token that is a day old is exchanged
//! for one of 60 more days; nothing is spent, and only a consent names an app.

mod connect;

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    DelaySource, Details, FreshTokens, Grant, GrantKind, Lifetime, ProviderName, Timestamp,
    Verdict, Window, reason,
};
use reqwest::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::connect::page;
use crate::dialogue::Dialogue;
use crate::http::{Answer, Http, base_url};
use crate::json::{lifetime, secret};
use crate::meta::import;
use crate::meta::matrix::{MATRIX, facts, is_app_limit};
use crate::meta::usage::tell_usage;
use crate::{
    Accepted, Call, Connect, FieldError, ImportRequest, InstagramSettings, Provider, RefreshError,
    Refusal, Rotation, SettingsError, Upstream,
};

static NAME: ProviderName = ProviderName::from_static("instagram");

const KINDS: [(&str, GrantKind); 1] = [("user", GrantKind::User)];

/// "At least 24 hours old": a hard rule of the provider.
const MIN_AGE: Duration = Duration::from_hours(24);

/// The provider `instagram`.
#[derive(Debug)]
pub(crate) struct Instagram {
    http: Http,
    base: String,
    page: Url,
    code_url: Url,
    app_id: Option<String>,
    app_secret: Option<SecretString>,
    scopes: Vec<String>,
}

impl Instagram {
    /// # Errors
    ///
    /// [`SettingsError`] for an address that cannot be asked.
    pub(crate) fn new(http: Http, settings: InstagramSettings) -> Result<Self, SettingsError> {
        let base = base_url("INSTAGRAM_BASE_URL", &settings.base_url)?;
        Ok(Self {
            http,
            base,
            page: page("INSTAGRAM_AUTHORIZE_URL", &settings.authorize_url)?,
            code_url: page("INSTAGRAM_CODE_URL", &settings.code_url)?,
            app_id: settings.app_id.filter(|id| !id.is_empty()),
            app_secret: settings
                .app_secret
                .filter(|secret| !secret.expose_secret().is_empty()),
            scopes: settings.scopes,
        })
    }
}

#[async_trait]
impl Provider for Instagram {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn rotation(&self) -> Rotation {
        Rotation::Reusable
    }

    /// The requests name no app.
    fn app_identity(&self, _: &Grant) -> String {
        NAME.to_string()
    }

    fn upstream(&self) -> Option<Upstream> {
        Some(Upstream::app(NAME.to_string(), &self.base, None))
    }

    fn throttles_app(&self, details: &Details) -> bool {
        is_app_limit(details)
    }

    fn window(&self, _: &Grant, _: Option<Duration>) -> Window {
        Window::SIXTY_DAYS
    }

    fn connect(&self) -> Option<&dyn Connect> {
        Some(self)
    }

    fn accept(&self, import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
        import::accept(import, &KINDS)
    }

    async fn refresh(&self, call: &Call<'_>) -> Result<FreshTokens, RefreshError> {
        let Some(token) = &call.grant.access_token else {
            return Err(Refusal::no_material(&NAME));
        };
        if let Some(end) = call.access_expires_at {
            if end <= call.now {
                return Err(Refusal::ours(&NAME, Verdict::Reauthorize, reason::EXPIRED));
            }
            let issued_at = call.grant.issued_at.unwrap_or(call.now);
            if Window::SIXTY_DAYS.too_young(issued_at, end, call.now) {
                return Ok(FreshTokens::unchanged(Lifetime::Until(end)));
            }
        }
        let dialogue = Dialogue {
            http: &self.http,
            provider: &NAME,
            call,
            app_secrets: &[],
        };
        match self.refreshed(&dialogue, token).await {
            Err(refused @ RefreshError::Refused(_)) => {
                Err(self.doubted(&dialogue, token, refused).await)
            }
            result => result,
        }
    }
}

impl Instagram {
    /// The same string back is a success too: its end moved.
    async fn refreshed(
        &self,
        dialogue: &Dialogue<'_>,
        token: &SecretString,
    ) -> Result<FreshTokens, RefreshError> {
        let query = [("grant_type", "ig_refresh_token")];
        let (answer, body) = self
            .ask(dialogue, "refresh_access_token", &query, token)
            .await?;
        let Some(fresh) = secret(&body, "access_token") else {
            let facts = facts(&answer, Some(&body));
            return Err(dialogue.refused(&MATRIX, &facts, &answer.headers));
        };
        Ok(FreshTokens::access(fresh, lifetime(&body, "expires_in")))
    }

    /// What a refusal is after a look at the token's profile.
    ///
    /// "Unsupported request - method type: get" is said of tokens of the wrong
    /// family and of dead ones, and what is said of a token younger than a day is
    /// not documented. So a dead token needs a person and a young one waits,
    /// whatever the refusal said.
    async fn doubted(
        &self,
        dialogue: &Dialogue<'_>,
        token: &SecretString,
        refused: RefreshError,
    ) -> RefreshError {
        let young = young_until(dialogue.call);
        let doubtful = match last(&refused) {
            Verdict::Fatal => true,
            // A refusal that names its cause needs no second opinion.
            Verdict::Reauthorize => {
                let unspecific = refused.details().reason.as_deref() == Some(reason::REVOKED);
                young.is_some() && unspecific
            }
            _ => false,
        };
        if !doubtful {
            return refused;
        }
        let profile = self.ask(dialogue, "me", &[("fields", "user_id")], token);
        match (profile.await, young) {
            (Err(dead), _) if last(&dead) == Verdict::Reauthorize => dead,
            (Err(error), _) if is_of_dead_or_strange_token(&error) => {
                judged(refused, Verdict::Reauthorize, reason::REVOKED)
            }
            (_, Some(until)) => {
                let verdict = Verdict::RateLimited {
                    delay: Some(until.since(dialogue.call.now)),
                    source: DelaySource::ProviderDefault,
                };
                judged(refused, verdict, reason::TOO_YOUNG)
            }
            (_, None) => refused,
        }
    }

    /// One `GET`; an answer with an `error`, or without success, is refused.
    async fn ask(
        &self,
        dialogue: &Dialogue<'_>,
        path: &str,
        query: &[(&str, &str)],
        token: &SecretString,
    ) -> Result<(Answer, Value), RefreshError> {
        let address = format!("{}/{path}", self.base);
        let mut url = Url::parse(&address).expect("the base address was parsed at the start");
        url.query_pairs_mut()
            .extend_pairs(query)
            .append_pair("access_token", token.expose_secret());
        let answer = dialogue.send(Request::new(Method::GET, url)).await?;
        match answer.json() {
            Some(body) if answer.is_success() && body.get("error").is_none() => {
                tell_usage(&answer.headers, dialogue.call.permit);
                Ok((answer, body))
            }
            body => {
                let facts = facts(&answer, body.as_ref());
                Err(dialogue.refused(&MATRIX, &facts, &answer.headers))
            }
        }
    }
}

/// When the token will be old enough; `None` if it is.
fn young_until(call: &Call<'_>) -> Option<Timestamp> {
    let until = call.grant.issued_at?.plus(MIN_AGE);
    (until > call.now).then_some(until)
}

/// Every request can be called unsupported if the token is dead or of another family.
fn is_of_dead_or_strange_token(error: &RefreshError) -> bool {
    let message = error.details().provider_message.unwrap_or_default();
    message.starts_with("Unsupported request")
}

/// What an error is in the end.
fn last(error: &RefreshError) -> Verdict {
    error.verdict().at_attempt(u32::MAX)
}

/// The refusal with what was found out about it.
fn judged(refused: RefreshError, verdict: Verdict, why: &str) -> RefreshError {
    match refused {
        RefreshError::Refused(mut refusal) => {
            refusal.verdict = verdict;
            refusal.details.reason = Some(why.to_owned());
            RefreshError::Refused(refusal)
        }
        other => other,
    }
}
