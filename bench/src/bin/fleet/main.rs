//! The main job at speed: N channels that are due at once, one scheduler, one worker.
//!
//! All processes run and are warm before the clock starts. See `bench/README.md`.

mod cost;
mod provider;
mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use bench::figures::{Figures, quantile};
use bench::process::{peak_resident_mib, until_stopped};
use clap::Parser;
use serde_json::json;
use tokenfleet_bench as bench;

use crate::cost::{Cost, Pids};
use crate::provider::Provider;
use crate::world::World;

const QUEUE: &str = "refresh:tiktok";
/// A scheduler that was paused for longer than its interval (1 s) sweeps as soon as it goes on.
const PAUSE: Duration = Duration::from_millis(1200);
/// The last acknowledgements on their way to Redis.
const ACKNOWLEDGED: Duration = Duration::from_millis(50);

/// Measures the main job.
#[derive(Debug, Parser)]
struct Args {
    /// Channels that are due at once
    #[arg(long, default_value_t = 10_000)]
    channels: u32,
    /// Tenants that they belong to
    #[arg(long, default_value_t = 100)]
    tenants: u32,
    /// Jobs at once
    #[arg(long, default_value_t = 50)]
    concurrency: u32,
    /// Milliseconds that the provider takes
    #[arg(long, default_value_t = 0)]
    latency_ms: u32,
    /// Channels refreshed through the same processes before the clock starts
    #[arg(long, default_value_t = 3000)]
    warmup: u32,
    /// `sqlite`, `postgres` (a private server), or the address of an empty database
    #[arg(long, default_value = "sqlite")]
    database: String,
    /// Process id of PostgreSQL's postmaster, to count its CPU time
    #[arg(long)]
    postmaster: Option<u32>,
    /// Address of a token endpoint that takes any refresh token, instead of our simulator
    #[arg(long, requires = "provider_pid")]
    provider: Option<String>,
    /// Its process id
    #[arg(long)]
    provider_pid: Option<u32>,
    /// The program
    #[arg(long, default_value = "target/release/tokenfleet")]
    binary: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let provider = rustls::crypto::ring::default_provider().install_default();
    ensure!(provider.is_ok(), "TLS is set up once");
    until_stopped(Box::pin(measure(args))).await
}

async fn measure(args: Args) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let provider = Provider::start(&args)?;
    let world = World::start(&args, &provider, &dir).await?;
    let worker = world.role(&["worker", "--queue", QUEUE], args.concurrency)?;
    let scheduler = world.role(&["scheduler"], 1)?;
    let roles = [&worker, &scheduler];

    if args.warmup > 0 {
        world
            .seed("warm", args.warmup, args.tenants, &provider)
            .await?;
        world.refreshed(args.warmup, &roles).await?;
    }
    scheduler.pause()?;
    let paused_at = Instant::now();
    let tenants = world
        .seed("channel", args.channels, args.tenants, &provider)
        .await?;
    world.tidy().await?;
    tokio::time::sleep(PAUSE.saturating_sub(paused_at.elapsed())).await;

    let pids = Pids {
        worker: worker.pid(),
        scheduler: scheduler.pid(),
        redis: world.redis.pid(),
        postmaster: world.database.postmaster.or(args.postmaster),
        provider: provider.pid,
    };
    let before = Cost::so_far(&pids)?;
    let started_at = world.store.now().await?;
    scheduler.resume()?;
    world.refreshed(args.warmup + args.channels, &roles).await?;
    tokio::time::sleep(ACKNOWLEDGED).await;
    let cost = Cost::so_far(&pids)?.since(&before);
    let lags = world.lags(&tenants, started_at).await?;
    report(&args, world.database.kind(), &pids, &cost, lags)
}

fn report(
    args: &Args,
    database: &str,
    pids: &Pids,
    cost: &Cost,
    mut lags: Vec<f64>,
) -> anyhow::Result<()> {
    let figures = Figures::of(
        "fleet",
        &json!({
            "engine": "tokenfleet", "database": database, "channels": args.channels,
            "tenants": args.tenants, "concurrency": args.concurrency,
            "latency_ms": args.latency_ms, "warmup": args.warmup,
        }),
    );
    let channels = f64::from(args.channels);
    let total_ms = quantile(&mut lags, 1.0).max(1.0);
    figures.print("refreshes_per_s", channels / total_ms * 1e3, "1/s");
    figures.print(
        "cpu_ms_per_refresh",
        cost.ours().as_secs_f64() * 1e3 / channels,
        "ms",
    );
    figures.print("cpu_fleet_s", cost.fleet.as_secs_f64(), "s");
    figures.print("cpu_redis_s", cost.redis.as_secs_f64(), "s");
    figures.print("cpu_postgres_s", cost.postgres.as_secs_f64(), "s");
    figures.print("cpu_provider_s", cost.provider.as_secs_f64(), "s");
    figures.print(
        "worker_resident_mib",
        peak_resident_mib(pids.worker)?,
        "MiB",
    );
    figures.print(
        "scheduler_resident_mib",
        peak_resident_mib(pids.scheduler)?,
        "MiB",
    );
    figures.print("due_to_stored_p50_ms", quantile(&mut lags, 0.5), "ms");
    figures.print("due_to_stored_p99_ms", quantile(&mut lags, 0.99), "ms");
    Ok(())
}
