//! What a simulator is started with; every field has a default that the demo uses.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, SystemClock};
use secrecy::SecretString;

use crate::Faults;

/// Meta's app id in the default settings (`META_APP_ID` of who refreshes).
pub const META_APP_ID: &str = "1234567890123456";
/// Meta's app secret in the default settings (`META_APP_SECRET`).
pub const META_APP_SECRET: &str = "app_secret_fake";
/// TikTok's client key in the default settings (`TIKTOK_CLIENT_KEY`).
pub const TIKTOK_CLIENT_KEY: &str = "aw123fake";
/// TikTok's client secret in the default settings (`TIKTOK_CLIENT_SECRET`).
pub const TIKTOK_CLIENT_SECRET: &str = "tiktok_secret_fake";
/// A Facturify key that every simulator knows (`FACTURIFY_API_KEY`).
pub const FACTURIFY_API_KEY: &str = "key_ok-demo";
/// The secret of [`FACTURIFY_API_KEY`] (`FACTURIFY_API_SECRET`).
pub const FACTURIFY_API_SECRET: &str = "secret_ok-demo";

/// What a simulator is started with.
///
/// The default binds a free loopback port, answers at once, injects no fault
/// and gives tokens the lifetimes of the real providers.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// All randomness comes from it: token values, account ids, which request
    /// meets a fault, jitter. The same seed and the same order of minting give
    /// the same credentials.
    pub seed: u64,
    /// Facebook Login and the Graph API.
    pub facebook: FacebookSettings,
    /// TikTok for Developers, OAuth v2.
    pub tiktok: TikTokSettings,
    /// Facturify.
    pub facturify: FacturifySettings,
    /// How long the providers think before they answer.
    pub latency: Latency,
    /// Faults by rate; [`crate::Running::set_faults`] changes them.
    pub faults: Faults,
    /// `Retry-After` of throttled answers, in whole seconds; `None` leaves the header out.
    pub retry_after: Option<Duration>,
    /// How long the faults `slow` and `slow_body` take.
    pub slow: Duration,
    /// How many requests the ledger keeps; the oldest go first. Totals count all of them.
    pub ledger_capacity: usize,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            facebook: FacebookSettings::default(),
            tiktok: TikTokSettings::default(),
            facturify: FacturifySettings::default(),
            latency: Latency::default(),
            faults: Faults::default(),
            retry_after: Some(Duration::from_secs(1)),
            slow: Duration::from_secs(3),
            ledger_capacity: 1_000_000,
            clock: Arc::new(SystemClock),
        }
    }
}

/// The credentials of an app at a provider.
#[derive(Clone, Debug)]
pub struct App {
    /// App id or client key; no secret.
    pub id: String,
    /// App secret or client secret.
    pub secret: SecretString,
}

impl App {
    /// An app with this id and secret.
    #[must_use]
    pub fn new(id: &str, secret: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.into(),
        }
    }
}

/// How long an answer takes: `fixed` and a uniform share of `jitter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// The least.
    pub fixed: Duration,
    /// The most on top; drawn from the seed.
    pub jitter: Duration,
}

/// Facebook Login (contracts §1).
#[derive(Clone, Debug)]
pub struct FacebookSettings {
    /// The one app that may exchange tokens.
    pub app: App,
    /// A person's token after an exchange.
    pub user_lifetime: Duration,
    /// A page token derived from a short-lived token of a person; one derived
    /// from a long-lived token has no end.
    pub page_lifetime: Duration,
    /// A system user's expiring token.
    pub system_user_lifetime: Duration,
    /// Whether calls with a user token need a right `appsecret_proof`; a wrong
    /// one is refused in any case.
    pub require_proof: bool,
}

impl Default for FacebookSettings {
    fn default() -> Self {
        Self {
            app: App::new(META_APP_ID, META_APP_SECRET),
            user_lifetime: Duration::from_secs(5_183_944),
            page_lifetime: Duration::from_hours(1),
            system_user_lifetime: Duration::from_hours(1440),
            require_proof: false,
        }
    }
}

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

/// Facturify (contracts §5).
#[derive(Clone, Debug)]
pub struct FacturifySettings {
    /// A token from `/auth`.
    pub first_lifetime: Duration,
    /// A token from `/token/refresh`.
    pub refreshed_lifetime: Duration,
    /// For how long after its end a token can still be refreshed; the contract
    /// leaves it open.
    pub refresh_grace: Duration,
    /// Which method `/token/refresh` takes; any other is answered with 405.
    pub refresh_method: RefreshMethod,
}

impl Default for FacturifySettings {
    fn default() -> Self {
        Self {
            first_lifetime: Duration::from_mins(4),
            refreshed_lifetime: Duration::from_hours(12),
            refresh_grace: Duration::ZERO,
            refresh_method: RefreshMethod::Post,
        }
    }
}

/// The method of Facturify's refresh: the requirements say `GET`, its clients send `POST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshMethod {
    /// Only `POST`.
    Post,
    /// Only `GET`.
    Get,
}
