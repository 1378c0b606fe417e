//! The providers' addresses and apps as types.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use crate::settings::millis;

/// The providers. Addresses have no slash at their end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Providers {
    /// Whether tenants may name providers at private addresses.
    pub allow_private: bool,
    /// Time to connect to any of them.
    #[serde(deserialize_with = "millis")]
    pub connect_timeout: Duration,
    /// Facebook and WhatsApp.
    pub meta: Meta,
    /// Instagram Login.
    pub instagram: Instagram,
    /// TikTok for Developers, API v2.
    pub tiktok: TikTok,
    /// TikTok API for Business.
    pub tiktok_business: TikTokBusiness,
    /// TikTok API v1; its app is that of `tiktok`.
    pub tiktok_legacy: PlainProvider,
    /// Facturify.
    pub facturify: Facturify,
    /// Two-level service tokens.
    #[serde(default)]
    pub service_token: ServiceToken,
    /// Generic providers by name; a name is 1–32 of `[a-z0-9_]`.
    #[serde(default)]
    pub oauth2: BTreeMap<String, OAuth2>,
}

/// A provider of which only the address is set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainProvider {
    /// Its address.
    pub base_url: String,
    /// Requests a second of the whole fleet for its refreshes; 0 for no limit.
    pub refreshes_per_second: f64,
}

/// The Graph API; id and secret are both set or both unset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// Its address.
    pub base_url: String,
    /// Requests a second of the whole fleet for its refreshes; 0 for no limit.
    pub refreshes_per_second: f64,
    /// `v25.0`.
    pub graph_version: String,
    /// The app.
    pub app_id: Option<String>,
    /// Its secret.
    pub app_secret: Option<SecretString>,
    /// Where people agree; `None` is the page of Facebook Login.
    pub authorize_url: Option<String>,
    /// What people are asked for.
    pub scopes: Vec<String>,
    /// The configuration under which WhatsApp is connected.
    pub whatsapp_config_id: Option<String>,
}

/// Instagram Login; id and secret are both set or both unset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instagram {
    /// Its address.
    pub base_url: String,
    /// Requests a second of the whole fleet for its refreshes; 0 for no limit.
    pub refreshes_per_second: f64,
    /// Where people agree.
    pub authorize_url: String,
    /// Where a code is exchanged.
    pub code_url: String,
    /// The app.
    pub app_id: Option<String>,
    /// Its secret.
    pub app_secret: Option<SecretString>,
    /// What people are asked for.
    pub scopes: Vec<String>,
}

/// TikTok for Developers; key and secret are both set or both unset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TikTok {
    /// Its address.
    pub base_url: String,
    /// Requests a second of the whole fleet for its refreshes; 0 for no limit.
    pub refreshes_per_second: f64,
    /// The app.
    pub client_key: Option<String>,
    /// Its secret.
    pub client_secret: Option<SecretString>,
    /// Where people agree.
    pub authorize_url: String,
    /// What people are asked for.
    pub scopes: Vec<String>,
}

/// TikTok API for Business; id and secret are both set or both unset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TikTokBusiness {
    /// Its address.
    pub base_url: String,
    /// Where people agree.
    pub authorize_url: String,
    /// What people are asked for.
    pub scopes: Vec<String>,
    /// Requests a second of the whole fleet for its refreshes; 0 for no limit.
    pub refreshes_per_second: f64,
    /// The app.
    pub app_id: Option<String>,
    /// Its secret.
    pub app_secret: Option<SecretString>,
}

/// Facturify; key and secret are both set or both unset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facturify {
    /// Its address.
    pub base_url: String,
    /// Requests a second of the whole fleet for its refreshes; 0 for no limit.
    pub refreshes_per_second: f64,
    /// Key of the platform's own account.
    pub api_key: Option<SecretString>,
    /// Its secret.
    pub api_secret: Option<SecretString>,
    /// Time for an answer.
    #[serde(deserialize_with = "millis")]
    pub timeout: Duration,
    /// Retries after the first call.
    pub max_retries: u32,
    /// Factor between the pauses of retries; 1.0–10.0.
    pub retry_backoff: f64,
    /// How long before its end the long token is refreshed.
    #[serde(deserialize_with = "millis")]
    pub token_refresh_buffer: Duration,
    /// `POST` or `GET`: what the refresh call tries first.
    pub refresh_method: String,
}

/// Two-level service tokens.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceToken {
    /// Address for channels that bring none.
    pub base_url: Option<String>,
}

/// A generic OAuth 2.0 provider; what is `None` or empty may stand in the catalogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Token endpoint.
    pub token_url: Option<String>,
    /// Authorization endpoint, for the connect flow.
    pub authorize_url: Option<String>,
    /// The app.
    pub client_id: String,
    /// Its secret; `None` for a public client.
    pub client_secret: Option<SecretString>,
    /// Where the app names itself.
    pub auth_style: Option<ClientAuth>,
    /// Encoding of the request.
    pub body: Option<BodyFormat>,
    /// Scopes that the connect flow asks for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What else the page wants: `name=value`.
    #[serde(default)]
    pub authorize_params: Vec<String>,
    /// Whether it takes a `code_challenge`.
    pub pkce: Option<bool>,
    /// The member of the token answer that names the account.
    pub account: Option<String>,
    /// Whether a refresh token is spent by its use.
    pub rotation: Option<Rotation>,
    /// Lifetime of an access token where the answer tells none.
    #[serde(default, deserialize_with = "some_millis")]
    pub default_expires_in: Option<Duration>,
    /// Requests a second of the whole fleet for its refreshes; 0 for no limit.
    #[serde(default)]
    pub refreshes_per_second: f64,
    /// Errors that only a person can help with: `code`, or `code: words of the message`.
    #[serde(default)]
    pub reauth_errors: Vec<String>,
    /// Errors that mean that the app is wrong.
    #[serde(default)]
    pub misconfigured_errors: Vec<String>,
    /// Errors that pass.
    #[serde(default)]
    pub retry_errors: Vec<String>,
    /// Errors that mean too many requests.
    #[serde(default)]
    pub rate_limit_errors: Vec<String>,
}

/// Where an app names itself in a token request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// In a Basic header, RFC 6749 section 2.3.1.
    #[default]
    Basic,
    /// In the body.
    Body,
}

/// Encoding of a token request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyFormat {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// `application/json`.
    Json,
}

/// Whether a refresh token is spent by its use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotation {
    /// With every use.
    Always,
    /// Nobody can tell: treated as [`Rotation::Always`].
    #[default]
    Sometimes,
    /// Never.
    Never,
}

fn some_millis<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    millis(from).map(Some)
}
