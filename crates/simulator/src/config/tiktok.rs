//! What is settled about TikTok's three APIs.

use std::time::Duration;

use secrecy::SecretString;

use super::{App, TIKTOK_APP_ID, TIKTOK_APP_SECRET, TIKTOK_CLIENT_KEY, TIKTOK_CLIENT_SECRET};

/// TikTok v2 (contracts §4.1).
#[derive(Clone, Debug)]
pub struct TikTokSettings {
    /// The one app whose refresh tokens these are.
    pub app: App,
    /// `expires_in` of every new access token.
    pub access_lifetime: Duration,
    /// `refresh_expires_in` of every new refresh token.
    pub refresh_lifetime: Duration,
    /// What happens when a spent refresh token is presented.
    pub reuse: ReusePolicy,
    /// HTTP status of an error body; the contract leaves it open and both 200
    /// and 400 were seen.
    pub error_status: u16,
}

impl Default for TikTokSettings {
    fn default() -> Self {
        Self {
            app: App::new(TIKTOK_CLIENT_KEY, TIKTOK_CLIENT_SECRET),
            access_lifetime: Duration::from_hours(2),
            refresh_lifetime: Duration::from_hours(24 * 180),
            reuse: ReusePolicy::Revoke,
            error_status: 400,
        }
    }
}

/// What a rotating provider does with a spent refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReusePolicy {
    /// It takes the use for theft: `invalid_grant`, and the whole family is revoked.
    Revoke,
    /// `invalid_grant`, but the newest token lives on.
    Refuse,
    /// The token before the newest brings the newest pair again for so long
    /// after the rotation, else it is refused.
    Grace(Duration),
}

/// TikTok Accounts of the API for Business (contracts §4.2).
#[derive(Clone, Debug)]
pub struct TikTokBusinessSettings {
    /// The one app whose refresh tokens these are.
    pub app: App,
    /// `expires_in` of every new access token.
    pub access_lifetime: Duration,
    /// `refresh_token_expires_in` of every new refresh token.
    pub refresh_lifetime: Duration,
    /// What happens when a spent refresh token is presented.
    pub reuse: ReusePolicy,
}

impl Default for TikTokBusinessSettings {
    fn default() -> Self {
        Self {
            app: App::new(TIKTOK_APP_ID, TIKTOK_APP_SECRET),
            access_lifetime: Duration::from_hours(24),
            refresh_lifetime: Duration::from_hours(24 * 365),
            reuse: ReusePolicy::Revoke,
        }
    }
}

/// TikTok's OAuth v1 (contracts §4.3), which asks for the secret at a consent alone.
#[derive(Clone, Debug)]
pub struct TikTokLegacySettings {
    /// The key of the one app whose refresh tokens these are.
    pub client_key: String,
    /// Its secret, which a code needs.
    pub client_secret: SecretString,
    /// `expires_in` of every new access token.
    pub access_lifetime: Duration,
    /// `refresh_expires_in` of every new refresh token.
    pub refresh_lifetime: Duration,
    /// What happens when a spent refresh token is presented.
    pub reuse: ReusePolicy,
    /// Whether every call is rejected, as TikTok announced for 29 February 2024.
    pub rejected: bool,
}

impl Default for TikTokLegacySettings {
    fn default() -> Self {
        Self {
            client_key: TIKTOK_CLIENT_KEY.to_owned(),
            client_secret: TIKTOK_CLIENT_SECRET.into(),
            access_lifetime: Duration::from_hours(24),
            refresh_lifetime: Duration::from_hours(24 * 365),
            reuse: ReusePolicy::Revoke,
            rejected: false,
        }
    }
}
