//! Drills for operators: a provider that is down, and an app whose secret is wrong, under ten
//! thousand channels that are due. `script/drill` builds and runs it.

mod fleet;
mod misconfigured;
mod outage;
mod rate;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use bench::process::until_stopped;
use clap::{Parser, ValueEnum};
use tokenfleet_bench as bench;

use crate::fleet::Fleet;
use crate::report::Report;

const EXAMPLES: &str = "\
Both drills run a scheduler and workers of the program against a simulated TikTok, and shorten every
time by a setting to a tenth: a probe each 100 ms instead of each second, a minute of outage
for ten. The budget is not shortened: 200 refreshes a second of the whole fleet.

outage: all channels come due while the provider is down. No channel changes its state and no job
fails; the fleet sends at most one probe per pause; afterwards all channels are fresh within the
time that the budget needs, and no second has more refreshes than the budget allows.

misconfigured: the same with a wrong app secret. No channel changes its state, the operator is
called once, and with the right secret all channels are refreshed without anybody touching one.

One line of JSON per drill and database; the exit code is 1 if anything was violated.

Examples:
  script/drill                                          both drills on both databases, seven minutes
  script/drill --drill outage --database postgres
  script/drill --channels 1000 --outage-secs 10";

/// Rehearses what a fleet does while a provider or an app is in trouble.
#[derive(Clone, Debug, Parser)]
#[command(name = "script/drill", after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which one; both if absent
    #[arg(long)]
    drill: Option<Drill>,
    /// `sqlite` or `postgres` (a private server); both if absent
    #[arg(long, value_parser = ["sqlite", "postgres"])]
    database: Option<String>,
    /// Channels that come due
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(50..=100_000))]
    channels: u32,
    /// How long the trouble lasts, in shortened time
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=3600))]
    outage_secs: u64,
    /// Refreshes a second that the whole fleet may make
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    budget: u32,
    /// Worker processes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=16))]
    workers: u32,
    /// The program
    #[arg(long, default_value = "target/debug/tokenfleet")]
    binary: PathBuf,
}

/// What is rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Drill {
    /// The provider is down.
    Outage,
    /// The app's secret is wrong.
    Misconfigured,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let provider = rustls::crypto::ring::default_provider().install_default();
    ensure!(provider.is_ok(), "TLS is set up once");
    let violated = until_stopped(Box::pin(all(args))).await?;
    Ok(ExitCode::from(u8::from(violated)))
}

/// All drills, one after the other; whether anything was violated.
async fn all(args: Args) -> anyhow::Result<bool> {
    let mut violated = false;
    for drill in [Drill::Outage, Drill::Misconfigured] {
        for database in ["sqlite", "postgres"] {
            let wanted = args.drill.is_none_or(|it| it == drill)
                && args.database.as_deref().is_none_or(|it| it == database);
            if wanted {
                let report = run(&args, drill, database).await?;
                report.print();
                violated |= report.is_violated();
            }
        }
    }
    Ok(violated)
}

async fn run(args: &Args, drill: Drill, database: &str) -> anyhow::Result<Report> {
    let mut fleet = Fleet::new(args, database).await?;
    match drill {
        Drill::Outage => outage::run(args, &mut fleet).await,
        Drill::Misconfigured => misconfigured::run(args, &mut fleet).await,
    }
}
