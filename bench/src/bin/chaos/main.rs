//! Breaks everything that can break while a fleet keeps tokens alive, and checks that no token
//! was lost and none spent twice. `script/chaos` builds and runs it.

mod check;
mod draw;
mod fleet;
mod ground;
mod link;
mod people;
mod place;
mod plan;
mod progress;
mod quiet;
mod report;
mod run;
mod strike;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bench::process::until_stopped;
use clap::Parser;
use serde_json::Value;
use tokenfleet_bench as bench;

use crate::fleet::LEASE;
use crate::plan::{Database, Shape};
use crate::progress::Progress;
use crate::run::Run;

const EXAMPLES: &str = "\
What is done: kill -9 of any process, SIGSTOP for longer than its lease; Redis restarted, killed,
flushed, paused; PostgreSQL crashed and away (on SQLite: its write lock held); providers that fail,
throttle, hang, or commit and cut the answer; networks that break or fall silent. Times are short
(leases of 16 s, tokens of 20 to 40 s), grants rotate and take a second use of a token for theft.

What must hold: no two processes ask for one grant at a time, unless the first was killed or had
timed out; a spent refresh token is presented again only where its answer was cut or timed out, or
its holder was killed before it was kept or stood still beyond its takeover (each one is listed with
its reason); of every other grant the stored tokens are the living ones; no due channel is
forgotten; counters say what the history says; every process ends in order.

One line of JSON per run; the exit code is 1 if anything was violated. The seed is the plan.

Examples:
  script/chaos                                    half a minute on each database
  script/chaos --seconds 600 --seed 1..5          the long one: an hour, both databases at once
  script/chaos --seconds 60 --seed 7 --database postgres --plan     shows the plan of seed 7
  script/chaos --concurrency 200 --channels 3000  hundreds of refreshes in a worker that is killed
  script/chaos --seed 7 --keep                    leaves the logs of all processes";

/// Breaks everything that can break, and checks that no token was lost and none spent twice.
#[derive(Clone, Debug, Parser)]
#[command(name = "script/chaos", after_help = EXAMPLES)]
struct Args {
    /// How long things go wrong; the fleet then has two minutes to come to rest
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(5..=86_400))]
    seconds: u64,
    /// The seed, or several: 3, or 1..5 with both ends
    #[arg(long, default_value = "1")]
    seed: String,
    /// `sqlite` or `postgres`; both, at once, if absent
    #[arg(long, value_parser = ["sqlite", "postgres"])]
    database: Option<String>,
    /// Worker processes on PostgreSQL; on SQLite there is one `up`
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    workers: u8,
    /// Scheduler processes on PostgreSQL
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=32))]
    schedulers: u8,
    /// Requests to one provider that each worker has under way at once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    concurrency: u16,
    /// Channels at a time
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    channels: u32,
    /// Only the lines of JSON, no progress
    #[arg(long)]
    json: bool,
    /// Shows the plan and does nothing
    #[arg(long)]
    plan: bool,
    /// Leaves the directory with databases and logs, and says where it is
    #[arg(long)]
    keep: bool,
    /// The program
    #[arg(long, default_value = "target/debug/tokenfleet")]
    binary: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let seeds = seeds(&args.seed)?;
    if args.plan {
        seeds.for_each(|seed| show_plans(&args, seed));
        return Ok(ExitCode::SUCCESS);
    }
    let provider = rustls::crypto::ring::default_provider().install_default();
    ensure!(provider.is_ok(), "TLS is set up once");
    let violated = until_stopped(Box::pin(all(args, seeds))).await?;
    Ok(ExitCode::from(u8::from(violated)))
}

/// All runs, seed by seed, the databases side by side; whether anything was violated.
async fn all(args: Args, seeds: impl Iterator<Item = u64>) -> anyhow::Result<bool> {
    let mut violated = false;
    for seed in seeds {
        let mut runs = tokio::task::JoinSet::new();
        for database in args.databases() {
            let args = args.clone();
            runs.spawn(async move { run(&args, database, seed).await });
        }
        while let Some(ended) = runs.join_next().await {
            let line = ended??;
            print(&line);
            violated |= line["chaos"] != "ok";
        }
    }
    Ok(violated)
}

async fn run(args: &Args, database: Database, seed: u64) -> anyhow::Result<Value> {
    let progress = Progress {
        quiet: args.json,
        database: database.as_str(),
        seed,
    };
    let mut run = Run::new(seed, args.shape(database), &args.binary, progress).await?;
    let line = run.whole(args.channels).await;
    if args.keep {
        run.keep();
    }
    line
}

impl Args {
    fn databases(&self) -> Vec<Database> {
        let all = [Database::Sqlite, Database::Postgres];
        let wanted = |it: &Database| {
            self.database
                .as_deref()
                .is_none_or(|it_is| it_is == it.as_str())
        };
        all.into_iter().filter(wanted).collect()
    }

    const fn shape(&self, database: Database) -> Shape {
        Shape {
            database,
            workers: self.workers,
            schedulers: self.schedulers,
            concurrency: self.concurrency,
            length: Duration::from_secs(self.seconds),
            lease: LEASE,
        }
    }
}

/// `3`, or `1..5` with both ends.
fn seeds(text: &str) -> anyhow::Result<std::ops::RangeInclusive<u64>> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| {
        let parsed = text.trim_start_matches('=').parse();
        parsed.with_context(|| format!("'{text}' is no seed, such as 3 or 1..5"))
    };
    let (first, last) = (number(first)?, number(last)?);
    ensure!(first <= last, "{first}..{last} has no seed in it");
    Ok(first..=last)
}

#[expect(clippy::print_stdout, reason = "the plan is the product")]
fn show_plans(args: &Args, seed: u64) {
    for database in args.databases() {
        println!("seed {seed} on {}", database.as_str());
        for step in plan::plan(seed, &args.shape(database)) {
            println!("{step}");
        }
    }
}

#[expect(clippy::print_stdout, reason = "the line is the product")]
fn print(line: &Value) {
    println!("{line}");
}
