//! What is settled about one generic OAuth 2.0 provider.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{App, OAUTH2_CLIENT_ID, OAUTH2_CLIENT_SECRET, ReusePolicy};
use crate::providers;

/// A provider as RFC 6749 describes it (contracts §7).
#[derive(Clone, Debug)]
pub struct OAuth2Settings {
    /// The one client that it knows.
    pub client: App,
    /// Where the client's credentials belong; anywhere else they are refused.
    pub auth: ClientAuth,
    /// How a request is written; anything else is refused.
    pub body: BodyFormat,
    /// What a refresh does to the refresh token.
    pub rotation: Rotation,
    /// Whether a consent must be bound to its browser by a `code_challenge`.
    pub requires_pkce: bool,
    /// `expires_in` of every new access token.
    pub access_lifetime: Duration,
    /// `refresh_token_expires_in` of every new refresh token; `None` if they have no end.
    pub refresh_lifetime: Option<Duration>,
}

/// Where the client's credentials belong (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// HTTP Basic, id and secret form-encoded before base64.
    Basic,
    /// `client_id` and `client_secret` beside the other fields.
    Body,
    /// `client_id` alone beside the other fields, as a client without a secret has it.
    Public,
}

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// `application/x-www-form-urlencoded`, as RFC 6749 has it.
    Form,
    /// A flat object of JSON.
    Json,
}

/// What a refresh does to the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Nothing: it stays, and answers have no `refresh_token`.
    Never,
    /// It is spent for the next one.
    Always(ReusePolicy),
}

impl Default for OAuth2Settings {
    /// Basic, form, rotating, PKCE, an hour and 90 days.
    fn default() -> Self {
        Self {
            client: App::new(OAUTH2_CLIENT_ID, OAUTH2_CLIENT_SECRET),
            auth: ClientAuth::Basic,
            body: BodyFormat::Form,
            rotation: Rotation::Always(ReusePolicy::Revoke),
            requires_pkce: true,
            access_lifetime: Duration::from_hours(1),
            refresh_lifetime: Some(Duration::from_hours(24 * 90)),
        }
    }
}

/// One provider of each common kind.
pub(super) fn defaults() -> BTreeMap<&'static str, OAuth2Settings> {
    let [demo, demo_body, demo_json] = providers::OAUTH2_NAMES;
    let body = OAuth2Settings {
        auth: ClientAuth::Body,
        requires_pkce: false,
        rotation: Rotation::Never,
        refresh_lifetime: None,
        ..OAuth2Settings::default()
    };
    let json = OAuth2Settings {
        body: BodyFormat::Json,
        ..OAuth2Settings::default()
    };
    let plain = OAuth2Settings::default();
    BTreeMap::from([(demo, plain), (demo_body, body), (demo_json, json)])
}
