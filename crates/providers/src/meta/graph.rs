//! The questions that the Graph API is asked: contracts §1.1–§1.5, and for a code.

use std::collections::BTreeSet;

use domain::{FreshTokens, GrantKind, Lifetime, Timestamp, Verdict, reason};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::Sha256;
use url::Url;

use crate::connect::{Granted, page};
use crate::dialogue::Dialogue;
use crate::hex::hex;
use crate::http::{Answer, base_url};
use crate::json::{lifetime, number, secret, text};
use crate::matrix::Facts;
use crate::{MetaSettings, RefreshError, SettingsError, Upstream};

use super::matrix::{MATRIX, error_facts, facts};
use super::usage::tell_usage;

/// How many pages of a person one answer lists; with two fields each they stay
/// below the cap of a body.
const PAGES_PER_ANSWER: &str = "100";

/// How many such answers are read: a person with more pages needs another person.
const ANSWERS_OF_PAGES: usize = 20;

/// Where the Graph API is, and as which app it is asked.
#[derive(Debug)]
pub(crate) struct Graph {
    /// With the version, without a final slash.
    base: String,
    /// Where people agree.
    dialog: Url,
    app_id: Option<String>,
    app_secret: Option<SecretString>,
}

/// The Graph API in one call, asked as an app.
pub(crate) struct GraphCall<'a> {
    graph: &'a Graph,
    app: App<'a>,
    dialogue: Dialogue<'a>,
}

/// What `debug_token` says of a living token.
pub(crate) struct Seen {
    /// `None` if it is of another kind than ours.
    pub(crate) kind: Option<GrantKind>,
    /// The page of a page's token, else the person or the system user.
    pub(crate) owner: Option<String>,
    /// `Never`, `Until`, or `Unknown` if it did not say.
    pub(crate) lifetime: Lifetime,
    /// The businesses whose WhatsApp it reaches.
    pub(crate) businesses: Vec<String>,
}

#[derive(Clone, Copy)]
struct App<'a> {
    id: &'a str,
    secret: &'a SecretString,
}

impl Graph {
    /// # Errors
    ///
    /// [`SettingsError`] if the address or the version cannot be asked.
    pub(crate) fn new(settings: MetaSettings) -> Result<Self, SettingsError> {
        let base = base_url("META_BASE_URL", &settings.base_url)?;
        let version = settings.graph_version;
        let numbers = version.strip_prefix('v').unwrap_or_default();
        let plain = numbers.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let dialog = match settings.authorize_url.as_deref() {
            Some(set) => page("META_AUTHORIZE_URL", set)?,
            None => page("META_GRAPH_VERSION", &usual_dialog(&version))?,
        };
        let base = match (version.is_empty(), numbers.is_empty() || !plain) {
            (true, _) => base,
            (false, false) => format!("{base}/{version}"),
            (false, true) => {
                return Err(SettingsError::Range {
                    setting: "META_GRAPH_VERSION",
                    allowed: "a version such as v25.0, or empty",
                });
            }
        };
        Ok(Self {
            base,
            dialog,
            app_id: settings.app_id.filter(|id| !id.is_empty()),
            app_secret: settings
                .app_secret
                .filter(|secret| !secret.expose_secret().is_empty()),
        })
    }

    /// The page where people agree.
    pub(crate) const fn dialog(&self) -> &Url {
        &self.dialog
    }

    /// What fails together: the app, whichever of its providers asks.
    pub(crate) fn upstream(&self) -> Upstream {
        let identity = format!("facebook:{}", self.app_id().unwrap_or_default());
        Upstream::app(identity, &self.base, self.app_secret.as_ref())
    }

    /// The app's id, if it is set.
    pub(crate) fn app_id(&self) -> Option<&str> {
        self.app_id.as_deref()
    }

    /// The app's secret, if it is set.
    pub(crate) const fn app_secret(&self) -> Option<&SecretString> {
        self.app_secret.as_ref()
    }

    /// The settings without which nothing can be asked.
    pub(crate) fn missing_settings(&self) -> Vec<&'static str> {
        let id = self.app_id.is_none().then_some("META_APP_ID");
        let secret = self.app_secret.is_none().then_some("META_APP_SECRET");
        id.into_iter().chain(secret).collect()
    }

    /// Begins a call; `None` if the app is not set.
    pub(crate) fn call<'a>(&'a self, dialogue: Dialogue<'a>) -> Option<GraphCall<'a>> {
        let app = App {
            id: self.app_id.as_deref()?,
            secret: self.app_secret.as_ref()?,
        };
        Some(GraphCall {
            graph: self,
            app,
            dialogue,
        })
    }
}

impl GraphCall<'_> {
    /// Exchanges a code for the first token, which may be short-lived.
    pub(crate) async fn code(
        &self,
        granted: &Granted<'_>,
    ) -> Result<(SecretString, Lifetime), RefreshError> {
        let query = [
            ("client_id", self.app.id),
            ("client_secret", self.app.secret.expose_secret()),
            ("redirect_uri", granted.redirect_uri),
            ("code", granted.code.expose_secret()),
        ];
        let (answer, body) = self.ask("oauth/access_token", &query).await?;
        let token = secret(&body, "access_token").ok_or_else(|| self.unknown(&answer, &body))?;
        Ok((token, lifetime(&body, "expires_in")))
    }

    /// Exchanges a living token for a fresh one (§1.1, §1.4).
    pub(crate) async fn exchange(
        &self,
        token: &SecretString,
        kind: Option<GrantKind>,
    ) -> Result<FreshTokens, RefreshError> {
        let mut query = vec![
            ("grant_type", "fb_exchange_token"),
            ("client_id", self.app.id),
            ("client_secret", self.app.secret.expose_secret()),
            ("fb_exchange_token", token.expose_secret()),
        ];
        if kind == Some(GrantKind::SystemUser) {
            query.push(("set_token_expires_in_60_days", "true"));
        }
        let (answer, body) = self.ask("oauth/access_token", &query).await?;
        let fresh = secret(&body, "access_token").ok_or_else(|| self.unknown(&answer, &body))?;
        Ok(FreshTokens::access(fresh, lifetime(&body, "expires_in")))
    }

    /// Asks what a token is (§1.3).
    ///
    /// # Errors
    ///
    /// A dead token is refused as `Reauthorize`, with Meta's reason.
    pub(crate) async fn look(&self, token: &SecretString) -> Result<Seen, RefreshError> {
        let app_token = SecretString::from(format!(
            "{}|{}",
            self.app.id,
            self.app.secret.expose_secret()
        ));
        let query = [
            ("input_token", token.expose_secret()),
            ("access_token", app_token.expose_secret()),
        ];
        let (answer, body) = self.ask("debug_token", &query).await?;
        let data = body.get("data").filter(|data| data.is_object());
        let data = data.ok_or_else(|| self.unknown(&answer, &body))?;
        let seen = Seen::of(data);
        let valid = data.get("is_valid").and_then(Value::as_bool);
        match valid {
            Some(true) if !seen.is_over(self.dialogue.call.now) => Ok(seen),
            Some(true) => Err(self.dead(reason::EXPIRED, &answer, Facts::default())),
            Some(false) => Err(self.found_dead(&answer, data)),
            None => Err(self.unknown(&answer, &body)),
        }
    }

    /// Derives a page's token from a person's (§1.2): `None` if the person no
    /// longer has a role on it. Without an id, the person's only page is meant.
    pub(crate) async fn page_token(
        &self,
        user_token: &SecretString,
        page: Option<&str>,
    ) -> Result<Option<(String, SecretString)>, RefreshError> {
        let proof = self.proof(user_token);
        let mut after = None::<String>;
        for _ in 0..ANSWERS_OF_PAGES {
            let mut query = vec![
                ("fields", "id,access_token"),
                ("limit", PAGES_PER_ANSWER),
                ("access_token", user_token.expose_secret()),
                ("appsecret_proof", &proof),
            ];
            query.extend(after.as_deref().map(|cursor| ("after", cursor)));
            let (answer, body) = self.ask("me/accounts", &query).await?;
            let pages = body.get("data").and_then(Value::as_array);
            let pages = pages.ok_or_else(|| self.unknown(&answer, &body))?;
            let next = next_cursor(&body);
            let found = match page {
                Some(id) => pages
                    .iter()
                    .find(|it| text(it, "id").as_deref() == Some(id)),
                None => pages.first().filter(|_| pages.len() == 1 && next.is_none()),
            };
            if let Some(found) = found {
                return Ok(text(found, "id").zip(secret(found, "access_token")));
            }
            match next {
                Some(cursor) if page.is_some() => after = Some(cursor),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// One `GET`; an answer with an `error`, or without success, is refused.
    async fn ask(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<(Answer, Value), RefreshError> {
        let address = format!("{}/{path}", self.graph.base);
        let mut url = Url::parse(&address).expect("the base address was parsed at the start");
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.dialogue.send(Request::new(Method::GET, url)).await?;
        match answer.json() {
            Some(body) if answer.is_success() && body.get("error").is_none() => {
                tell_usage(&answer.headers, self.dialogue.call.permit);
                Ok((answer, body))
            }
            body => {
                let facts = facts(&answer, body.as_ref());
                Err(self.dialogue.refused(&MATRIX, &facts, &answer.headers))
            }
        }
    }

    /// An answer that reports success and lacks what it should bring.
    fn unknown(&self, answer: &Answer, body: &Value) -> RefreshError {
        let facts = facts(answer, Some(body));
        self.dialogue.refused(&MATRIX, &facts, &answer.headers)
    }

    /// A token that `debug_token` calls invalid is dead, whatever it says besides.
    fn found_dead(&self, answer: &Answer, data: &Value) -> RefreshError {
        let facts = Facts {
            status: answer.status,
            understood: true,
            ..data.get("error").map_or_else(Facts::default, error_facts)
        };
        let now = self.dialogue.call.now;
        let why = match MATRIX.judge(&facts, &answer.headers, now) {
            (Verdict::Reauthorize, Some(why)) => why,
            _ => reason::REVOKED,
        };
        self.dead(why, answer, facts)
    }

    fn dead(&self, why: &str, answer: &Answer, facts: Facts) -> RefreshError {
        let facts = Facts {
            status: answer.status,
            ..facts
        };
        self.dialogue
            .refused_as(Verdict::Reauthorize, Some(why), &facts)
    }

    fn proof(&self, token: &SecretString) -> String {
        appsecret_proof(self.app.secret, token)
    }
}

impl Seen {
    fn of(data: &Value) -> Self {
        let kind = match text(data, "type").as_deref() {
            Some("USER") => Some(GrantKind::User),
            Some("PAGE") => Some(GrantKind::Page),
            Some("SYSTEM_USER") => Some(GrantKind::SystemUser),
            _ => None,
        };
        let owner = match kind {
            Some(GrantKind::Page) => text(data, "profile_id"),
            _ => text(data, "user_id"),
        };
        let lifetime = match number(data, "expires_at") {
            Some(0) => Lifetime::Never,
            Some(at) => Lifetime::Until(Timestamp::from_secs(at)),
            None => Lifetime::Unknown,
        };
        Self {
            kind,
            owner,
            lifetime,
            businesses: businesses(data),
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        matches!(self.lifetime, Lifetime::Until(end) if end <= now)
    }
}

/// What a token's scopes for WhatsApp are limited to (§1.3, `granular_scopes`).
fn businesses(data: &Value) -> Vec<String> {
    let scopes = data.get("granular_scopes").and_then(Value::as_array);
    let of_whatsapp = scopes.into_iter().flatten().filter(|scope| {
        text(scope, "scope").is_some_and(|scope| scope.starts_with("whatsapp_business"))
    });
    let targets = of_whatsapp.filter_map(|scope| scope.get("target_ids")?.as_array());
    let ids = targets.flatten().filter_map(Value::as_str);
    ids.map(str::to_owned)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// The page of Facebook Login in the version of the Graph API.
fn usual_dialog(version: &str) -> String {
    match version {
        "" => "https://www.facebook.com/dialog/oauth".to_owned(),
        version => format!("https://www.facebook.com/{version}/dialog/oauth"),
    }
}

/// Lower-case hexadecimal HMAC-SHA-256 of the token under the app's secret (§1.5).
fn appsecret_proof(app_secret: &SecretString, token: &SecretString) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(app_secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(token.expose_secret().as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Where the list goes on; Meta names a cursor on the last page too, but no `next`.
fn next_cursor(body: &Value) -> Option<String> {
    let paging = body.get("paging")?;
    paging.get("next")?;
    text(paging.get("cursors")?, "after")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_one_of_the_contracts_test_vector() {
        let proof = appsecret_proof(&"app_secret_fake".into(), &"EAA_ok".into());

        assert_eq!(
            proof,
            "9496cd0f1ec0eab9903e7787494e194ffb8b73bebf81fb891a08e1d762f74aa5"
        );
    }

    #[test]
    fn the_version_is_part_of_the_address_unless_it_is_empty() {
        let base = |version: &str| {
            let graph_version = version.to_owned();
            let settings = MetaSettings {
                graph_version,
                ..MetaSettings::default()
            };
            Graph::new(settings).map(|graph| graph.base).ok()
        };

        assert_eq!(
            base("v25.0").as_deref(),
            Some("https://graph.facebook.com/v25.0")
        );
        assert_eq!(base("").as_deref(), Some("https://graph.facebook.com"));
        for wrong in ["25.0", "v", "latest", "v25/..", "v25.0?x"] {
            assert_eq!(base(wrong), None, "{wrong}");
        }
    }
}
