//! The providers' contracts as a local HTTP server: as strict as they are, with
//! faults on demand and a ledger of every request.
//!
//! One port serves all of them: `/facebook` stands for `https://graph.facebook.com`,
//! `/tiktok` for `https://open.tiktokapis.com`, `/facturify` for
//! `https://api.facturify.com`, and so on: [`Running::base_url`] knows each.
//! What steers the simulator is under `/_sim/`, and the same things are methods
//! of [`Running`].
//!
//! ```no_run
//! # extern crate tokenfleet_simulator as simulator;
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use simulator::{MintRequest, Simulator, SimulatorConfig};
//!
//! let sim = Simulator::start(SimulatorConfig::default()).await?;
//! let minted = sim.mint(&MintRequest::of("tiktok").expires_in(0))?;
//! // … point the code under test at sim.base_url("tiktok") …
//! assert_eq!(sim.summary().reuses, 0);
//! sim.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod call;
mod config;
mod consent;
mod control;
mod dispatch;
mod fault;
mod fleet;
mod grants;
mod ledger;
mod mint;
mod page;
mod providers;
mod scenario;
mod server;
mod token;
mod usage;
mod visit;
mod world;

pub use config::{
    App, BodyFormat, ClientAuth, ConsentSettings, FACTURIFY_API_KEY, FACTURIFY_API_SECRET,
    FacebookSettings, FacturifySettings, INSTAGRAM_APP_ID, INSTAGRAM_APP_SECRET, InstagramSettings,
    Latency, META_APP_ID, META_APP_SECRET, OAUTH2_CLIENT_ID, OAUTH2_CLIENT_SECRET, OAuth2Settings,
    RefreshMethod, ReusePolicy, Rotation, ServiceTokenSettings, SimulatorConfig, TIKTOK_APP_ID,
    TIKTOK_APP_SECRET, TIKTOK_CLIENT_KEY, TIKTOK_CLIENT_SECRET, TikTokBusinessSettings,
    TikTokLegacySettings, TikTokSettings, WHATSAPP_CONFIG_ID,
};
pub use fault::{Fault, FaultError, FaultKind, Faults};
pub use grants::GrantView;
pub use ledger::{Entry, Filter, Outcome, ProviderTotals, RepeatedPair, Summary};
pub use mint::{MintError, MintRequest, Minted};
pub use scenario::{Scenario, ScenarioError};
pub use server::{Running, Simulator, StartError};
pub use token::fingerprint;
pub use world::ControlError;
