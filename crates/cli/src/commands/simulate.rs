//! `tokenfleet simulate`: the providers' simulator alone.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use simulator::{Fault, Faults, Latency, Running, Simulator, SimulatorConfig};

use crate::output::{note, say};
use crate::signals;

const EXAMPLES: &str = "\
It prints the settings that point a fleet at it; its page at /_sim/ teaches the rest: minting
credentials, faults at run time, the ledger of all requests.

Examples:
  tokenfleet simulate --bind 127.0.0.1:4010 > .env
  tokenfleet simulate --fault status_500=0.2 --fault tiktok.cut_after_commit=0.05
  curl -s -X POST localhost:4010/_sim/grants -d '{\"provider\": \"tiktok\"}' \\
      -H 'content-type: application/json'";

/// What the simulator can be told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where it listens; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:4010")]
    bind: SocketAddr,
    #[command(flatten)]
    conduct: Conduct,
}

/// How the simulated providers behave; `demo` takes the same flags.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Simulated providers")]
pub(crate) struct Conduct {
    /// A fault with its rate, `status_500=0.2` or `tiktok.hang=0.01`; may be given several times
    #[arg(long = "fault", value_name = "FAULT=RATE")]
    faults: Vec<Fault>,
    /// All randomness comes from it
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Milliseconds that an answer takes at least
    #[arg(long, value_name = "MS")]
    latency_ms: Option<u64>,
    /// Milliseconds that it takes longer at most
    #[arg(long, value_name = "MS")]
    jitter_ms: Option<u64>,
}

impl Conduct {
    /// Starts a simulator that behaves so; `usual` is how long answers take unless a flag says
    /// otherwise.
    ///
    /// # Errors
    ///
    /// If the address is taken, or the faults add up to more than everything.
    pub(crate) async fn start(&self, bind: SocketAddr, usual: Latency) -> anyhow::Result<Running> {
        let millis = |given: Option<u64>, usual| given.map_or(usual, Duration::from_millis);
        let config = SimulatorConfig {
            bind,
            seed: self.seed,
            faults: Faults::new(self.faults.iter().copied())?,
            latency: Latency {
                fixed: millis(self.latency_ms, usual.fixed),
                jitter: millis(self.jitter_ms, usual.jitter),
            },
            ..SimulatorConfig::default()
        };
        Ok(Simulator::start(config).await?)
    }
}

/// Runs until a signal.
///
/// # Errors
///
/// If it cannot start.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let shutdown = signals::shutdown()?;
    let simulator = args.conduct.start(args.bind, Latency::default()).await?;
    note(format_args!(
        "the simulator is up at {}/; these settings point a fleet at it:",
        simulator.control_url()
    ));
    for (name, value) in settings(&simulator) {
        say(format_args!("{name}={value}"));
    }
    shutdown.cancelled().await;
    simulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// The variables that point a fleet at this simulator. Their secrets are made up.
pub(crate) fn settings(simulator: &Running) -> Vec<(&'static str, String)> {
    let mut settings = seeds(simulator);
    settings.extend(others(simulator));
    settings.extend(oauth2(simulator));
    settings.extend(consent(simulator));
    settings
}

/// The providers of the demo's fleet.
fn seeds(simulator: &Running) -> Vec<(&'static str, String)> {
    vec![
        ("META_BASE_URL", simulator.base_url("facebook")),
        ("META_APP_ID", simulator::META_APP_ID.to_owned()),
        ("META_APP_SECRET", simulator::META_APP_SECRET.to_owned()),
        ("TIKTOK_BASE_URL", simulator.base_url("tiktok")),
        ("TIKTOK_CLIENT_KEY", simulator::TIKTOK_CLIENT_KEY.to_owned()),
        (
            "TIKTOK_CLIENT_SECRET",
            simulator::TIKTOK_CLIENT_SECRET.to_owned(),
        ),
        ("FACTURIFY_BASE_URL", simulator.base_url("facturify")),
        ("FACTURIFY_API_KEY", simulator::FACTURIFY_API_KEY.to_owned()),
        (
            "FACTURIFY_API_SECRET",
            simulator::FACTURIFY_API_SECRET.to_owned(),
        ),
    ]
}

/// The providers beside them; WhatsApp's tokens live at Meta's address.
fn others(simulator: &Running) -> Vec<(&'static str, String)> {
    vec![
        ("INSTAGRAM_BASE_URL", simulator.base_url("instagram")),
        (
            "TIKTOK_BUSINESS_BASE_URL",
            simulator.base_url("tiktok_business"),
        ),
        ("TIKTOK_APP_ID", simulator::TIKTOK_APP_ID.to_owned()),
        ("TIKTOK_APP_SECRET", simulator::TIKTOK_APP_SECRET.to_owned()),
        (
            "TIKTOK_LEGACY_BASE_URL",
            simulator.base_url("tiktok_legacy"),
        ),
        (
            "SERVICE_TOKEN_BASE_URL",
            simulator.base_url("service_token"),
        ),
        // A tenant's service token may only point to loopback if private addresses are allowed.
        ("TOKENFLEET_PROVIDERS__ALLOW_PRIVATE", "true".to_owned()),
    ]
}

/// Where people agree, and what only an agreement needs.
fn consent(simulator: &Running) -> Vec<(&'static str, String)> {
    let at = |provider, path| format!("{}{path}", simulator.base_url(provider));
    let authorize = |name| at(name, "/authorize");
    let account = || "user_id".to_owned();
    let [demo, body, json] = ["oauth2:demo", "oauth2:demo_body", "oauth2:demo_json"].map(authorize);
    vec![
        ("META_AUTHORIZE_URL", at("facebook", "/v25.0/dialog/oauth")),
        (
            "WHATSAPP_CONFIG_ID",
            simulator::WHATSAPP_CONFIG_ID.to_owned(),
        ),
        (
            "INSTAGRAM_AUTHORIZE_URL",
            at("instagram", "/oauth/authorize"),
        ),
        ("INSTAGRAM_CODE_URL", at("instagram", "/oauth/access_token")),
        ("INSTAGRAM_APP_ID", simulator::INSTAGRAM_APP_ID.to_owned()),
        (
            "INSTAGRAM_APP_SECRET",
            simulator::INSTAGRAM_APP_SECRET.to_owned(),
        ),
        ("TIKTOK_AUTHORIZE_URL", at("tiktok", "/v2/auth/authorize/")),
        (
            "TIKTOK_BUSINESS_AUTHORIZE_URL",
            at("tiktok_business", "/v2/auth/authorize/"),
        ),
        ("TOKENFLEET_PROVIDERS__OAUTH2__DEMO__AUTHORIZE_URL", demo),
        ("TOKENFLEET_PROVIDERS__OAUTH2__DEMO__ACCOUNT", account()),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__AUTHORIZE_URL",
            body,
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__ACCOUNT",
            account(),
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__PKCE",
            "false".to_owned(),
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_JSON__AUTHORIZE_URL",
            json,
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_JSON__ACCOUNT",
            account(),
        ),
    ]
}

/// The generic providers: basic and form, body and form, basic and JSON.
fn oauth2(simulator: &Running) -> Vec<(&'static str, String)> {
    let token_url = |name| format!("{}/token", simulator.base_url(name));
    let id = simulator::OAUTH2_CLIENT_ID.to_owned();
    let secret = simulator::OAUTH2_CLIENT_SECRET.to_owned();
    let [demo, body, json] = ["oauth2:demo", "oauth2:demo_body", "oauth2:demo_json"].map(token_url);
    vec![
        ("TOKENFLEET_PROVIDERS__OAUTH2__DEMO__TOKEN_URL", demo),
        ("TOKENFLEET_PROVIDERS__OAUTH2__DEMO__CLIENT_ID", id.clone()),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO__CLIENT_SECRET",
            secret.clone(),
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO__ROTATION",
            "always".to_owned(),
        ),
        ("TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__TOKEN_URL", body),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__CLIENT_ID",
            id.clone(),
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__CLIENT_SECRET",
            secret.clone(),
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__AUTH_STYLE",
            "body".to_owned(),
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__ROTATION",
            "never".to_owned(),
        ),
        ("TOKENFLEET_PROVIDERS__OAUTH2__DEMO_JSON__TOKEN_URL", json),
        ("TOKENFLEET_PROVIDERS__OAUTH2__DEMO_JSON__CLIENT_ID", id),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_JSON__CLIENT_SECRET",
            secret,
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_JSON__BODY",
            "json".to_owned(),
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_JSON__ROTATION",
            "always".to_owned(),
        ),
    ]
}
