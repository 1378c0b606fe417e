//! The queue beside other engines, with jobs that do nothing, in one run on one Redis.
//!
//! See `bench/README.md`.

mod engine;
mod report;

use std::path::PathBuf;

use clap::Parser;
use testkit::redis::RedisServer;
use tokenfleet_bench::process::until_stopped;

use crate::engine::{Bench, Engine};
use crate::report::Results;

/// Measures the queue beside peers, which lie in one folder.
#[derive(Debug, Parser)]
struct Args {
    /// The peers' folder: `queue_bullmq.mjs` and `latency_bullmq.mjs` with their `node_modules`,
    /// `queue_sidekiq.rb`
    #[arg(long, env = "TOKENFLEET_BENCH_QUEUE_PEERS")]
    peers: PathBuf,
    /// The program of the apalis-redis peer; built by `cargo build --release` in `queue_apalis`
    #[arg(long)]
    apalis: Option<PathBuf>,
    /// Jobs of each measurement
    #[arg(long, default_value_t = 20_000)]
    jobs: u32,
    /// Jobs at once; several are several measurements
    #[arg(long = "concurrency", default_values_t = [3, 10, 50])]
    concurrencies: Vec<u32>,
    /// Jobs of which the pick-up is measured
    #[arg(long, default_value_t = 500)]
    pick_ups: u32,
    /// Measurements of each
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    until_stopped(Box::pin(compare(Args::parse()))).await
}

async fn compare(args: Args) -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    let bench = Bench::new(&args, &redis)?;
    let mut results = Results::default();
    let engines: Vec<Engine> = Engine::ALL
        .into_iter()
        .filter(|engine| is_there(&bench, *engine))
        .collect();
    for round in 1..=args.rounds {
        for concurrency in &args.concurrencies {
            for engine in &engines {
                let run = bench.throughput(*engine, *concurrency).await?;
                progress(round, *engine, *concurrency, run.process_per_s);
                results.add(*engine, *concurrency, run);
            }
        }
        for engine in &engines {
            if let Some(pick_up) = bench.pick_up(*engine).await? {
                results.add_pick_up(*engine, pick_up);
            }
        }
    }
    results.print_lines(args.jobs);
    results.print_tables();
    Ok(())
}

#[expect(clippy::print_stderr, reason = "whoever runs it wants to know")]
fn is_there(bench: &Bench, engine: Engine) -> bool {
    match bench.check(engine) {
        Ok(()) => true,
        Err(missing) => {
            eprintln!("without {engine}: {missing:#}");
            false
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "it takes minutes, and somebody may be watching"
)]
fn progress(round: u32, engine: Engine, concurrency: u32, process_per_s: f64) {
    eprintln!("round {round}, {concurrency} at once: {engine} {process_per_s:.0} jobs/s");
}
