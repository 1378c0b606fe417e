//! The other end of the refreshes.

use anyhow::Context as _;
use serde_json::{Value, json};
use tokenfleet_bench::process::Process;

use crate::Args;

/// The client key and secret that a stand-in takes, as it takes any.
const APP: (&str, &str) = ("bench_client_key", "bench_client_secret");

/// The simulator, or a stand-in that somebody else has started.
pub(crate) struct Provider {
    /// What `TIKTOK_BASE_URL` is set to.
    pub(crate) url: String,
    /// Its process.
    pub(crate) pid: u32,
    simulator: Option<Process>,
}

impl Provider {
    pub(crate) fn start(args: &Args) -> anyhow::Result<Self> {
        if let (Some(url), Some(pid)) = (&args.provider, args.provider_pid) {
            let url = url.clone();
            return Ok(Self {
                url,
                pid,
                simulator: None,
            });
        }
        let latency = args.latency_ms.to_string();
        let arguments = [
            "simulate",
            "--bind",
            "127.0.0.1:0",
            "--latency-ms",
            &latency,
        ];
        let (process, line) = Process::start_until(&args.binary, &arguments, &[], "/_sim/")?;
        let origin = line
            .split_whitespace()
            .find_map(|word| word.strip_suffix("/_sim/;"))
            .context("the simulator did not tell its address")?;
        Ok(Self {
            url: format!("{origin}/tiktok"),
            pid: process.pid(),
            simulator: Some(process),
        })
    }

    /// Refresh tokens that the provider will take.
    pub(crate) async fn mint(&self, count: u32) -> anyhow::Result<Vec<String>> {
        if self.simulator.is_none() {
            return Ok((0..count).map(|n| format!("rft.bench{n:032}")).collect());
        }
        let origin = self.url.trim_end_matches("/tiktok");
        let client = reqwest::Client::builder().no_proxy().build()?;
        let order = json!({"provider": "tiktok", "count": count});
        let answer: Value = client
            .post(format!("{origin}/_sim/grants"))
            .json(&order)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let tokens: Option<Vec<String>> = answer["grants"]
            .as_array()
            .context("the simulator minted nothing")?
            .iter()
            .map(|grant| Some(grant["credentials"]["refresh_token"].as_str()?.to_owned()))
            .collect();
        tokens.context("a minted grant has no refresh token")
    }

    /// Client key and secret.
    pub(crate) fn app(&self) -> (&'static str, &'static str) {
        match self.simulator {
            Some(_) => ("aw123fake", "tiktok_secret_fake"),
            None => APP,
        }
    }
}
