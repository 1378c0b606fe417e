//! One provider as the settings and the catalogue describe it together.

use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::SettingsError;
use crate::http::endpoint;

use super::catalogue::{self, Entry};
use super::consent::Consent;
use super::matrix::Rules;
use super::request;
use super::settings::{AuthStyle, BodyFormat, OAuth2Settings, TokenRotation};

const NAME_MAX: usize = 32;

/// All that a refresh needs to know of a provider.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) token_url: Url,
    pub(super) app: App,
    pub(super) body: BodyFormat,
    pub(super) rotation: TokenRotation,
    /// Where the answer tells no lifetime.
    pub(super) default_expires_in: Option<Duration>,
    /// The member that holds the tokens where the answer itself does not.
    pub(super) nested: Option<String>,
    pub(super) rules: Rules,
    pub(super) consent: Consent,
}

/// Our app at the provider.
#[derive(Debug)]
pub(super) struct App {
    pub(super) id: String,
    /// The Basic header; `None` if the app names itself in the body.
    pub(super) basic: Option<HeaderValue>,
    /// The secret, then its form in the Basic header; empty for a public client.
    pub(super) secrets: Vec<SecretString>,
}

impl App {
    /// `None` for a public client.
    pub(super) fn secret(&self) -> Option<&SecretString> {
        self.secrets.first()
    }

    fn new(id: String, secret: Option<SecretString>, style: AuthStyle) -> Self {
        let secret = secret.filter(|secret| !secret.expose_secret().is_empty());
        let encoded = secret.as_ref().map(|secret| request::basic(&id, secret));
        let basic = match (style, &encoded) {
            (AuthStyle::Basic, Some(encoded)) => Some(header(encoded)),
            _ => None,
        };
        Self {
            id,
            basic,
            secrets: secret.into_iter().chain(encoded).collect(),
        }
    }
}

impl Description {
    /// What the settings say, then the catalogue's entry of that name, then the usual.
    ///
    /// # Errors
    ///
    /// [`SettingsError::OAuth2`] for a bad name, an app without id, and a token
    /// endpoint that is not known or that secrets must not be sent to.
    pub(super) fn of(name: &str, settings: OAuth2Settings) -> Result<Self, SettingsError> {
        check_name(name)?;
        let entry = catalogue::entry(name);
        let is_known = entry.is_some();
        let entry = entry.unwrap_or_default();
        if settings.client_id.is_empty() {
            let allowed = "the id of an app at the provider";
            return Err(wrong(name, "client_id", "is not set", allowed));
        }
        let style = settings.auth_style.or(entry.auth_style);
        let consent = Consent::of(name, &settings, &entry)?;
        Ok(Self {
            token_url: token_url(name, settings.token_url, &entry, is_known)?,
            app: App::new(
                settings.client_id,
                settings.client_secret,
                style.unwrap_or_default(),
            ),
            body: settings.body.or(entry.body).unwrap_or_default(),
            rotation: settings.rotation.or(entry.rotation).unwrap_or_default(),
            default_expires_in: settings.default_expires_in.or(entry.default_expires_in()),
            rules: Rules::of(&settings.errors, &entry.errors()),
            nested: entry.nested,
            consent,
        })
    }
}

fn check_name(name: &str) -> Result<(), SettingsError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(SettingsError::OAuth2 {
        key: format!("providers.oauth2.{name:?}"),
        problem: "is no name of a provider".to_owned(),
        allowed: "1 to 32 of a-z, 0-9 and _".to_owned(),
    })
}

fn token_url(
    name: &str,
    set: Option<String>,
    entry: &Entry,
    is_known: bool,
) -> Result<Url, SettingsError> {
    let allowed = "an https:// address (http:// only on a loopback address) without user, query \
                   and fragment";
    let Some(given) = set.or_else(|| entry.token_url.clone()) else {
        let problem = match (&entry.own_address, is_known) {
            (Some(why), _) => format!("is not set: {why}"),
            (None, true) => "is not set".to_owned(),
            (None, false) => format!("is not set, and the catalogue has no {name}"),
        };
        return Err(wrong(name, "token_url", &problem, allowed));
    };
    endpoint(&given).ok_or_else(|| wrong(name, "token_url", "cannot be called", allowed))
}

pub(super) fn wrong(name: &str, setting: &str, problem: &str, allowed: &str) -> SettingsError {
    SettingsError::OAuth2 {
        key: format!("providers.oauth2.{name}.{setting}"),
        problem: problem.to_owned(),
        allowed: allowed.to_owned(),
    }
}

fn header(encoded: &SecretString) -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Basic {}", encoded.expose_secret()))
        .expect("base64 has only characters that headers take");
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(token_url: Option<&str>) -> OAuth2Settings {
        OAuth2Settings {
            token_url: token_url.map(str::to_owned),
            client_id: "id".to_owned(),
            client_secret: Some("hush-hush".into()),
            ..OAuth2Settings::default()
        }
    }

    fn refusal(name: &str, settings: OAuth2Settings) -> String {
        let error = Description::of(name, settings).expect_err("it is refused");
        error.to_string()
    }

    #[test]
    fn a_provider_of_the_catalogue_needs_only_its_app() {
        let google = Description::of("google", settings(None)).expect("it is described");

        assert_eq!(
            google.token_url.as_str(),
            "https://oauth2.googleapis.com/token"
        );
        assert_eq!(google.rotation, TokenRotation::Never);
        assert!(google.app.basic.is_none());
    }

    #[test]
    fn the_settings_come_before_the_catalogue() {
        let set = OAuth2Settings {
            auth_style: Some(AuthStyle::Basic),
            rotation: Some(TokenRotation::Always),
            ..settings(Some("http://127.0.0.1:4010/oauth2/demo/token/"))
        };

        let google = Description::of("google", set).expect("it is described");

        assert_eq!(
            google.token_url.as_str(),
            "http://127.0.0.1:4010/oauth2/demo/token/"
        );
        assert_eq!(google.rotation, TokenRotation::Always);
        assert!(google.app.basic.is_some());
    }

    #[test]
    fn a_public_client_has_no_basic_header() {
        let public = OAuth2Settings {
            client_secret: None,
            ..settings(Some("https://acme.example/token"))
        };

        let acme = Description::of("acme", public).expect("it is described");

        assert!(acme.app.basic.is_none() && acme.app.secret().is_none());
    }

    #[test]
    fn what_cannot_work_is_refused_by_the_name_of_its_setting() {
        let url = "providers.oauth2.acme.token_url cannot be called; allowed: an https:// address";
        for given in [
            "acme",
            "ftp://acme.example",
            "http://acme.example/token",
            "https://u:p@acme.example/token",
            "https://acme.example/token?x=1",
        ] {
            let refusal = refusal("acme", settings(Some(given)));

            assert!(refusal.starts_with(url), "{refusal}");
        }
        let unknown = refusal("acme", settings(None));
        assert!(
            unknown.starts_with(
                "providers.oauth2.acme.token_url is not set, and the catalogue has no acme"
            ),
            "{unknown}"
        );
        let shop = refusal("shopify", settings(None));
        assert!(shop.contains("every shop has its own"), "{shop}");
        let no_app = OAuth2Settings::default();
        let no_app = refusal("google", no_app);
        assert!(no_app.starts_with("providers.oauth2.google.client_id is not set"));
        for name in ["", "Acme", "a-b", "a.b", "a:b", &"a".repeat(33)] {
            let refusal = refusal(name, settings(Some("https://acme.example")));

            assert!(refusal.contains("1 to 32 of a-z, 0-9 and _"), "{refusal}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let acme = Description::of("acme", settings(Some("https://acme.example/token")));
        let shown = format!("{acme:?}");

        // base64 of "id:hush-hush"
        for secret in ["hush", "aWQ6aHVzaC1odXNo"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
