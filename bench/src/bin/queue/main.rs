//! The queue alone, with jobs that do nothing.
//!
//! One Redis, one process that pushes and works. See `bench/README.md`.

mod delayed;
mod fairness;
mod ground;
mod pick_up;
mod throughput;

use std::num::NonZero;

use clap::{Parser, Subcommand};
use tokenfleet_bench::process::until_stopped;
use tokio::runtime::{Builder, Runtime};

use crate::ground::Ground;

/// Measures the queue.
#[derive(Debug, Parser)]
struct Args {
    /// A Redis whose database 0 may be emptied; a private one by default
    #[arg(long, global = true)]
    redis: Option<String>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Jobs per second pushed and worked off, CPU and memory per job
    Throughput(throughput::Args),
    /// Pushes jobs for `throughput --pusher-apart`; nothing is emptied before
    #[command(hide = true)]
    Push(throughput::PushArgs),
    /// From a push to the start of the handler, on an idle worker
    PickUp(pick_up::Args),
    /// How late delayed jobs begin, and whether one was early
    Delayed(delayed::Args),
    /// How long newcomers wait while one tenant has a backlog
    Fairness(fairness::Args),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    runtime()?.block_on(until_stopped(Box::pin(measure(args))))
}

/// Half of the cores, as a worker of tokenfleet has it, or what `TOKIO_WORKER_THREADS` says.
fn runtime() -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        builder.worker_threads(cores.div_ceil(2));
    }
    builder.enable_all().build()
}

async fn measure(args: Args) -> anyhow::Result<()> {
    let redis = args.redis.as_deref();
    let ground = Ground::prepare(redis);
    match args.what {
        What::Throughput(args) => throughput::measure(&mut ground.await?, &args).await,
        What::Push(args) => throughput::push_only(redis, &args).await,
        What::PickUp(args) => pick_up::measure(&mut ground.await?, &args).await,
        What::Delayed(args) => delayed::measure(&ground.await?, &args).await,
        What::Fairness(args) => fairness::measure(&ground.await?, &args).await,
    }
}
