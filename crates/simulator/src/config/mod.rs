//! What a simulator is started with; every field has a default that the demo uses.

mod consent;
mod keys;
mod meta;
mod oauth2;
mod tiktok;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, SystemClock};
use secrecy::SecretString;

use crate::Faults;

pub use consent::ConsentSettings;
pub use keys::{FacturifySettings, RefreshMethod, ServiceTokenSettings};
pub use meta::{FacebookSettings, InstagramSettings};
pub use oauth2::{BodyFormat, ClientAuth, OAuth2Settings, Rotation};
pub use tiktok::{ReusePolicy, TikTokBusinessSettings, TikTokLegacySettings, TikTokSettings};

/// Meta's app id in the default settings (`META_APP_ID` of who refreshes).
pub const META_APP_ID: &str = "1234567890123456";
/// Meta's app secret in the default settings (`META_APP_SECRET`).
pub const META_APP_SECRET: &str = "app_secret_fake";
/// Instagram's app id in the default settings (`INSTAGRAM_APP_ID`), another than Meta's.
pub const INSTAGRAM_APP_ID: &str = "2345678901234567";
/// The secret of [`INSTAGRAM_APP_ID`] (`INSTAGRAM_APP_SECRET`).
pub const INSTAGRAM_APP_SECRET: &str = "instagram_secret_fake";
/// The configuration under which WhatsApp's numbers are connected (`WHATSAPP_CONFIG_ID`).
pub const WHATSAPP_CONFIG_ID: &str = "987654321098765";
/// TikTok's client key in the default settings (`TIKTOK_CLIENT_KEY`).
pub const TIKTOK_CLIENT_KEY: &str = "aw123fake";
/// TikTok's client secret in the default settings (`TIKTOK_CLIENT_SECRET`).
pub const TIKTOK_CLIENT_SECRET: &str = "tiktok_secret_fake";
/// The app id of TikTok's API for Business (`TIKTOK_APP_ID`), another API with other apps.
pub const TIKTOK_APP_ID: &str = "7123456789012345678";
/// The secret of [`TIKTOK_APP_ID`] (`TIKTOK_APP_SECRET`).
pub const TIKTOK_APP_SECRET: &str = "tiktok_business_secret_fake";
/// The client id at every generic provider of the default settings.
pub const OAUTH2_CLIENT_ID: &str = "oauth2-client-fake";
/// The secret of [`OAUTH2_CLIENT_ID`].
pub const OAUTH2_CLIENT_SECRET: &str = "oauth2_secret_fake";
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
    /// Instagram Login.
    pub instagram: InstagramSettings,
    /// TikTok for Developers, OAuth v2.
    pub tiktok: TikTokSettings,
    /// TikTok's API for Business.
    pub tiktok_business: TikTokBusinessSettings,
    /// TikTok's OAuth v1, which it retired.
    pub tiktok_legacy: TikTokLegacySettings,
    /// Facturify.
    pub facturify: FacturifySettings,
    /// Somebody's API with two-level service tokens.
    pub service_token: ServiceTokenSettings,
    /// Generic OAuth 2.0 providers by their full names, such as `oauth2:demo`, which is
    /// reached at `/oauth2/demo`. The default has three: `demo`, `demo_body`, `demo_json`.
    pub oauth2: BTreeMap<&'static str, OAuth2Settings>,
    /// The pages where people agree.
    pub consent: ConsentSettings,
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
            instagram: InstagramSettings::default(),
            tiktok: TikTokSettings::default(),
            tiktok_business: TikTokBusinessSettings::default(),
            tiktok_legacy: TikTokLegacySettings::default(),
            facturify: FacturifySettings::default(),
            service_token: ServiceTokenSettings::default(),
            oauth2: oauth2::defaults(),
            consent: ConsentSettings::default(),
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
