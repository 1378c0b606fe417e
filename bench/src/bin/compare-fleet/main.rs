//! The main job beside the same job as others would write it, in one run.
//!
//! Both are on PostgreSQL servers of the same making, on a Redis each, and call
//! the same stand-in for the provider. See `bench/README.md`.

mod engine;
mod report;
mod scenario;
mod stand_in;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use tokenfleet_bench::process::until_stopped;

use crate::engine::{Engine, Engines};
use crate::report::Results;
use crate::scenario::Scenario;
use crate::stand_in::StandIn;

/// Measures the fleet beside a peer, a folder with `bench.mjs` and `mock/`.
#[derive(Debug, Parser)]
struct Args {
    /// The peer's folder, with its `node_modules` installed
    #[arg(long, env = "TOKENFLEET_BENCH_PEER")]
    peer: PathBuf,
    /// The stand-in for the provider; built by `cargo build --release` in the peer's `mock`
    #[arg(long)]
    stand_in: Option<PathBuf>,
    /// `LATENCY_MS:CONCURRENCY:CHANNELS`, several times; several concurrencies of one latency
    /// are also compared by the best of each
    #[arg(long = "scenario", default_values = [
        "0:50:10000", "50:50:5000", "50:200:10000", "50:400:20000", "50:800:20000",
    ])]
    scenarios: Vec<Scenario>,
    /// What to measure, in this order in each round
    #[arg(long = "engine", value_enum, default_values = ["postgres", "peer", "sqlite"])]
    engines: Vec<Engine>,
    /// Measurements of each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Channels refreshed through the same processes before the clock starts
    #[arg(long, default_value_t = 3000)]
    warmup: u32,
    /// The program; `fleet` lies beside this one
    #[arg(long, default_value = "target/release/tokenfleet")]
    binary: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    until_stopped(Box::pin(compare(Args::parse()))).await
}

async fn compare(args: Args) -> anyhow::Result<()> {
    let engines = Engines::start(&args)?;
    let mut results = Results::default();
    for scenario in &args.scenarios {
        let stand_in = StandIn::start(&args, scenario.latency_ms).await?;
        for round in 1..=args.rounds {
            for engine in &args.engines {
                let run = engines
                    .run(*engine, *scenario, &stand_in)
                    .await
                    .with_context(|| format!("{engine} at {scenario}"))?;
                progress(round, *scenario, *engine, run.refreshes_per_s);
                results.add(*scenario, *engine, run);
            }
        }
        results.print_lines(*scenario);
    }
    results.print_tables();
    Ok(())
}

#[expect(
    clippy::print_stderr,
    reason = "it takes minutes, and somebody may be watching"
)]
fn progress(round: u32, scenario: Scenario, engine: Engine, refreshes_per_s: f64) {
    eprintln!("round {round}, {scenario}: {engine} {refreshes_per_s:.0} refreshes/s");
}
