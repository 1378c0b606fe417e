//! Reads of valid tokens through the API, beside a bare axum server that answers "hello".
//!
//! Generator, server, Redis and database share the machine. See `bench/README.md`.

mod load;
mod target;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use bench::figures::{Figures, quantile};
use bench::process::{cpu, until_stopped};
use clap::Parser;
use serde_json::{Value, json};
use tokenfleet_bench as bench;

use crate::load::Load;
use crate::target::{Hello, Target, Tokens};

/// Measures reads of valid tokens.
#[derive(Debug, Parser)]
struct Args {
    /// Channels that are read in turn
    #[arg(long, default_value_t = 1000)]
    channels: u32,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// Seconds of each measurement, after a fifth of that to warm up
    #[arg(long, default_value_t = 10)]
    secs: u64,
    /// `sqlite`, `postgres` (a private server), or the address of an empty database
    #[arg(long, default_value = "sqlite")]
    database: String,
    /// The program
    #[arg(long, default_value = "target/release/tokenfleet")]
    binary: PathBuf,
    /// Serve "hello" there instead, to be measured by another process
    #[arg(long, hide = true)]
    hello: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(address) = args.hello {
        return target::serve_hello(address).await;
    }
    until_stopped(Box::pin(measure(args))).await
}

async fn measure(args: Args) -> anyhow::Result<()> {
    let hello = Hello::start().await?;
    let of_hello = run(&args, &hello.0).await?;
    drop(hello);
    let tokens = Tokens::start(&args).await?;
    let of_tokens = run(&args, &tokens.target).await?;
    let parameters = json!({
        "database": tokens.database.kind(), "channels": args.channels,
        "connections": args.connections,
    });
    report("hello", &parameters, &of_hello);
    report("token", &parameters, &of_tokens);
    let ratio = of_tokens.per_second() / of_hello.per_second();
    Figures::of("api", &parameters).print("token_to_hello", ratio, "ratio");
    Ok(())
}

/// What one target did.
struct Outcome {
    elapsed: Duration,
    latencies_ms: Vec<f64>,
    cpu: Duration,
}

impl Outcome {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 requests")]
    fn count(&self) -> f64 {
        self.latencies_ms.len() as f64
    }

    fn per_second(&self) -> f64 {
        self.count() / self.elapsed.as_secs_f64()
    }
}

async fn run(args: &Args, target: &Target) -> anyhow::Result<Outcome> {
    let load = |millis| Load {
        address: target.address,
        requests: target.requests.clone(),
        connections: args.connections,
        duration: Duration::from_millis(millis),
    };
    load(args.secs * 200).run().await?;
    let before = cpu(target.pid())?;
    let (elapsed, latencies_ms) = load(args.secs * 1000).run().await?;
    ensure!(!latencies_ms.is_empty(), "no answer within {} s", args.secs);
    Ok(Outcome {
        elapsed,
        latencies_ms,
        cpu: cpu(target.pid())?.saturating_sub(before),
    })
}

fn report(what: &str, parameters: &Value, outcome: &Outcome) {
    let mut parameters = parameters.clone();
    parameters["what"] = json!(what);
    let figures = Figures::of("api", &parameters);
    let mut latencies = outcome.latencies_ms.clone();
    figures.print("throughput", outcome.per_second(), "requests/s");
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
        figures.print(name, quantile(&mut latencies, share), "ms");
    }
    let micros = outcome.cpu.as_secs_f64() * 1e6 / outcome.count();
    figures.print("cpu_per_request", micros, "us");
}
