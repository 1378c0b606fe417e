//! What the providers need to be told, as plain values.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use crate::oauth2::OAuth2Settings;

/// Where people agree at TikTok, for either of its APIs.
const TIKTOK_PAGE: &str = "https://www.tiktok.com/v2/auth/authorize/";

/// Settings of all providers; `default` is production without any credentials.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// Total time of one request, from connecting to the last byte of its answer. 30 s.
    pub timeout: Duration,
    /// Time to connect, TLS included; not more than `timeout`. 10 s.
    pub connect_timeout: Duration,
    /// Facebook and WhatsApp.
    pub meta: MetaSettings,
    /// Instagram Login.
    pub instagram: InstagramSettings,
    /// TikTok for Developers.
    pub tiktok: TikTokSettings,
    /// TikTok API for Business.
    pub tiktok_business: TikTokBusinessSettings,
    /// TikTok's first OAuth; its app is that of `tiktok`.
    pub tiktok_legacy: TikTokLegacySettings,
    /// Facturify.
    pub facturify: FacturifySettings,
    /// Two-level service tokens.
    pub service_token: ServiceTokenSettings,
    /// Generic providers by name, 1–32 of `[a-z0-9_]`; the provider's name is `oauth2:<name>`.
    pub oauth2: BTreeMap<String, OAuth2Settings>,
    /// Whether addresses that tenants supply may be private, and http.
    pub allow_private: bool,
}

/// The Meta app.
#[derive(Clone, Debug)]
pub struct MetaSettings {
    /// Replaces `https://graph.facebook.com`; https, or http on a loopback address.
    pub base_url: String,
    /// The version in the path, such as `v25.0`; empty asks without a version.
    pub graph_version: String,
    /// `META_APP_ID`.
    pub app_id: Option<String>,
    /// `META_APP_SECRET`.
    pub app_secret: Option<SecretString>,
    /// Where people agree; `None` is the page of Facebook Login in that version.
    pub authorize_url: Option<String>,
    /// What people are asked for.
    pub scopes: Vec<String>,
    /// `WHATSAPP_CONFIG_ID`: the configuration under which businesses agree.
    pub whatsapp_config: Option<String>,
}

/// Instagram Login: its tokens need no app, but people agree to one.
#[derive(Clone, Debug)]
pub struct InstagramSettings {
    /// Replaces `https://graph.instagram.com`; https, or http on a loopback address.
    pub base_url: String,
    /// Where people agree.
    pub authorize_url: String,
    /// Where a code is exchanged, which is another address than all others.
    pub code_url: String,
    /// `INSTAGRAM_APP_ID`; not the one of [`MetaSettings`].
    pub app_id: Option<String>,
    /// `INSTAGRAM_APP_SECRET`.
    pub app_secret: Option<SecretString>,
    /// What people are asked for.
    pub scopes: Vec<String>,
}

/// The TikTok app.
#[derive(Clone, Debug)]
pub struct TikTokSettings {
    /// Replaces `https://open.tiktokapis.com`; https, or http on a loopback address.
    pub base_url: String,
    /// `TIKTOK_CLIENT_KEY`.
    pub client_key: Option<String>,
    /// `TIKTOK_CLIENT_SECRET`.
    pub client_secret: Option<SecretString>,
    /// Where people agree.
    pub authorize_url: String,
    /// What people are asked for.
    pub scopes: Vec<String>,
}

/// The app at TikTok's API for Business; not the one of [`TikTokSettings`].
#[derive(Clone, Debug)]
pub struct TikTokBusinessSettings {
    /// Replaces `https://business-api.tiktok.com`; https, or http on a loopback address.
    pub base_url: String,
    /// `TIKTOK_APP_ID`.
    pub app_id: Option<String>,
    /// `TIKTOK_APP_SECRET`.
    pub app_secret: Option<SecretString>,
    /// Where people agree.
    pub authorize_url: String,
    /// What people are asked for.
    pub scopes: Vec<String>,
}

/// TikTok's first OAuth.
#[derive(Clone, Debug)]
pub struct TikTokLegacySettings {
    /// Replaces `https://open-api.tiktok.com`; https, or http on a loopback address.
    pub base_url: String,
}

/// Two-level service tokens.
#[derive(Clone, Debug, Default)]
pub struct ServiceTokenSettings {
    /// `SERVICE_TOKEN_BASE_URL`: for channels that bring no address. The operator's
    /// own, so that it may be private; https, or http on a loopback address.
    pub base_url: Option<String>,
}

/// Facturify's address and manners; its keys are the tenants' own.
#[derive(Clone, Debug)]
pub struct FacturifySettings {
    /// Replaces `https://api.facturify.com`; https, or http on a loopback address.
    pub base_url: String,
    /// The method of `token/refresh`; the other one is tried if it is refused.
    pub refresh_method: RefreshMethod,
    /// How long before its end the 12-hour token is due. 60 s.
    pub buffer: Duration,
    /// Total time of one request. 30 s.
    pub timeout: Duration,
    /// Retries after the first request of a call, for network errors and 5xx. 3.
    pub max_retries: u32,
    /// By how much each pause is longer than the one before; at least 1. 2.0.
    pub retry_backoff: f64,
}

/// A method that Facturify's `token/refresh` may want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshMethod {
    /// What public clients send.
    #[default]
    Post,
    /// What the requirements name.
    Get,
}

/// Settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An address that must not or cannot be called.
    #[error(
        "{setting} must be an https address (http only on a loopback address) \
         without user, query and fragment"
    )]
    BaseUrl {
        /// The environment variable that sets it.
        setting: &'static str,
    },
    /// A value outside of its range.
    #[error("{setting} must be {allowed}")]
    Range {
        /// The environment variable that sets it.
        setting: &'static str,
        /// The range, in words.
        allowed: &'static str,
    },
    /// A generic provider that cannot be asked as it is described.
    #[error("{key} {problem}; allowed: {allowed}")]
    OAuth2 {
        /// The setting, such as `providers.oauth2.acme.token_url`.
        key: String,
        /// What is wrong with it, as the end of a sentence.
        problem: String,
        /// What is right.
        allowed: String,
    },
    /// The HTTP client could not be built.
    #[error("the HTTP client for the providers could not be built")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Default for ProviderSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            meta: MetaSettings::default(),
            instagram: InstagramSettings::default(),
            tiktok: TikTokSettings::default(),
            tiktok_business: TikTokBusinessSettings::default(),
            tiktok_legacy: TikTokLegacySettings::default(),
            facturify: FacturifySettings::default(),
            service_token: ServiceTokenSettings::default(),
            oauth2: BTreeMap::new(),
            allow_private: false,
        }
    }
}

impl Default for MetaSettings {
    fn default() -> Self {
        Self {
            base_url: "https://graph.facebook.com".to_owned(),
            graph_version: "v25.0".to_owned(),
            app_id: None,
            app_secret: None,
            authorize_url: None,
            scopes: vec!["public_profile".to_owned(), "pages_show_list".to_owned()],
            whatsapp_config: None,
        }
    }
}

impl Default for InstagramSettings {
    fn default() -> Self {
        Self {
            base_url: "https://graph.instagram.com".to_owned(),
            authorize_url: "https://www.instagram.com/oauth/authorize".to_owned(),
            code_url: "https://api.instagram.com/oauth/access_token".to_owned(),
            app_id: None,
            app_secret: None,
            scopes: vec!["instagram_business_basic".to_owned()],
        }
    }
}

impl Default for TikTokBusinessSettings {
    fn default() -> Self {
        Self {
            base_url: "https://business-api.tiktok.com".to_owned(),
            app_id: None,
            app_secret: None,
            authorize_url: TIKTOK_PAGE.to_owned(),
            scopes: vec!["user.info.basic".to_owned()],
        }
    }
}

impl Default for TikTokLegacySettings {
    fn default() -> Self {
        Self {
            base_url: "https://open-api.tiktok.com".to_owned(),
        }
    }
}

impl Default for TikTokSettings {
    fn default() -> Self {
        Self {
            base_url: "https://open.tiktokapis.com".to_owned(),
            client_key: None,
            client_secret: None,
            authorize_url: TIKTOK_PAGE.to_owned(),
            scopes: vec!["user.info.basic".to_owned()],
        }
    }
}

impl Default for FacturifySettings {
    fn default() -> Self {
        Self {
            base_url: "https://api.facturify.com".to_owned(),
            refresh_method: RefreshMethod::Post,
            buffer: Duration::from_mins(1),
            timeout: Duration::from_secs(30),
            max_retries: 3,
            retry_backoff: 2.0,
        }
    }
}
