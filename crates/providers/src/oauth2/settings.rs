//! How a generic OAuth 2.0 provider is described, as plain values.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

/// A generic OAuth 2.0 provider. What is `None` or empty comes from the catalogue
/// entry of its name, if there is one.
#[derive(Clone, Debug, Default)]
pub struct OAuth2Settings {
    /// The token endpoint; https, or http on a loopback address.
    pub token_url: Option<String>,
    /// The app.
    pub client_id: String,
    /// Its secret; `None` for a public client.
    pub client_secret: Option<SecretString>,
    /// Where the app names itself; else in a Basic header.
    pub auth_style: Option<AuthStyle>,
    /// Encoding of the request; else a form.
    pub body: Option<BodyFormat>,
    /// Whether a refresh token is spent by its use; else nobody knows.
    pub rotation: Option<TokenRotation>,
    /// Lifetime of an access token where the answer tells none; else unknown.
    pub default_expires_in: Option<Duration>,
    /// Where people agree; else nobody can connect an account.
    pub authorize_url: Option<String>,
    /// What people are asked for.
    pub scopes: Vec<String>,
    /// What else the page wants, as `name=value`; of one name only these count.
    pub authorize_params: Vec<String>,
    /// Whether it takes a `code_challenge`; else it does, or passes over it (RFC 6749
    /// section 3.1).
    pub pkce: Option<bool>,
    /// The member of the code's answer that names the account, such as `team.id`; else
    /// the subject of its id token.
    pub account: Option<String>,
    /// Its own errors; they come before those of the catalogue.
    pub errors: ErrorWords,
}

/// Errors of one OAuth 2.0 provider by what they mean, beside those of RFC 6749.
///
/// Each is a code, such as `bad_refresh_token`, or a code and words of the message,
/// such as `invalid_request: token was invalid`; the case of letters does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorWords {
    /// Only a person can help.
    pub reauth: Vec<String>,
    /// The app's own credentials are wrong.
    pub misconfigured: Vec<String>,
    /// It passes.
    pub retry: Vec<String>,
    /// Too many requests.
    pub rate_limit: Vec<String>,
}

/// Where an app names itself in a token request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthStyle {
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
pub enum TokenRotation {
    /// With every use.
    Always,
    /// Nobody can tell: treated as [`TokenRotation::Always`].
    #[default]
    Sometimes,
    /// Never, or the old one stays good: a lost answer costs nothing.
    Never,
}
