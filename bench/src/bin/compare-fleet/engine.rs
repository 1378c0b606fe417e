//! What does the main job: ours and the peer's, each run in processes of its own.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serde_json::Value;
use testkit::PostgresServer;
use testkit::redis::RedisServer;
use tokenfleet_bench::figures;
use tokenfleet_bench::process::output;

use crate::Args;
use crate::scenario::Scenario;
use crate::stand_in::StandIn;

/// An engine that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Engine {
    /// Ours on PostgreSQL.
    Postgres,
    /// The peer, on PostgreSQL.
    Peer,
    /// Ours on SQLite.
    Sqlite,
}

impl Engine {
    /// As it is told in lines and tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "tokenfleet",
            Self::Peer => "peer",
            Self::Sqlite => "tokenfleet-sqlite",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What one run came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Run {
    /// Channels by the time from the start of the sweep to the last stored row.
    pub(crate) refreshes_per_s: f64,
    /// Worker, scheduler, Redis and database together; the stand-in is nobody's.
    pub(crate) cpu_ms_per_refresh: f64,
    /// The most that the worker had resident.
    pub(crate) worker_resident_mib: f64,
    /// From the start of the sweep to a stored row, 99 of 100.
    pub(crate) due_to_stored_p99_ms: f64,
}

/// The engines with their database servers, which stay warm from run to run.
pub(crate) struct Engines {
    ours: PostgresServer,
    theirs: PostgresServer,
    fleet: PathBuf,
    binary: PathBuf,
    peer: PathBuf,
    warmup: u32,
}

impl Engines {
    /// Starts the database servers.
    pub(crate) fn start(args: &Args) -> anyhow::Result<Self> {
        let fleet = std::env::current_exe()?.with_file_name("fleet");
        for program in [&fleet, &args.binary] {
            ensure!(
                program.is_file(),
                "no {}: cargo build --release -p tokenfleet -p tokenfleet-bench",
                program.display()
            );
        }
        let modules = args.peer.join("node_modules");
        ensure!(
            !args.engines.contains(&Engine::Peer) || modules.is_dir(),
            "no {}: run npm install in the peer's folder",
            modules.display()
        );
        Ok(Self {
            ours: PostgresServer::start()?,
            theirs: PostgresServer::start()?,
            fleet,
            binary: args.binary.clone(),
            peer: args.peer.clone(),
            warmup: args.warmup,
        })
    }

    /// One run, on a fresh database and a fresh Redis.
    pub(crate) async fn run(
        &self,
        engine: Engine,
        scenario: Scenario,
        stand_in: &StandIn,
    ) -> anyhow::Result<Run> {
        match engine {
            Engine::Sqlite => self.fleet(scenario, stand_in, &["sqlite"]).await,
            Engine::Postgres => {
                let url = self.ours.create().await?;
                let postmaster = self.ours.pid().to_string();
                let database = [url.as_str(), "--postmaster", postmaster.as_str()];
                let run = self.fleet(scenario, stand_in, &database).await?;
                self.ours.remove(&url).await?;
                Ok(run)
            }
            Engine::Peer => {
                let url = self.theirs.create().await?;
                let run = self.peer(scenario, stand_in, &url).await?;
                self.theirs.remove(&url).await?;
                Ok(run)
            }
        }
    }

    async fn fleet(
        &self,
        scenario: Scenario,
        stand_in: &StandIn,
        database: &[&str],
    ) -> anyhow::Result<Run> {
        let [channels, concurrency, warmup, pid] = [
            scenario.channels,
            scenario.concurrency,
            self.warmup,
            stand_in.pid(),
        ]
        .map(|number| number.to_string());
        let mut arguments = vec![
            "--channels",
            &channels,
            "--concurrency",
            &concurrency,
            "--warmup",
            &warmup,
            "--provider",
            &stand_in.url,
            "--provider-pid",
            &pid,
            "--binary",
            text(&self.binary)?,
            "--database",
        ];
        arguments.extend(database);
        let lines = output(&self.fleet, &arguments, &[]).await?;
        let figures = figures::read(&lines)?;
        let figure = |name: &str| {
            let value = figures.get(name).copied();
            value.with_context(|| format!("fleet told no {name}"))
        };
        Ok(Run {
            refreshes_per_s: figure("refreshes_per_s")?,
            cpu_ms_per_refresh: figure("cpu_ms_per_refresh")?,
            worker_resident_mib: figure("worker_resident_mib")?,
            due_to_stored_p99_ms: figure("due_to_stored_p99_ms")?,
        })
    }

    /// The program behind the peer's own script, which would start servers on fixed ports.
    async fn peer(&self, scenario: Scenario, stand_in: &StandIn, url: &str) -> anyhow::Result<Run> {
        let redis = RedisServer::start().await?;
        let script = self.peer.join("bench.mjs");
        let [channels, concurrency, latency] =
            [scenario.channels, scenario.concurrency, scenario.latency_ms]
                .map(|number| number.to_string());
        let arguments = [text(&script)?, &channels, &concurrency, &latency];
        let variables = [
            ("DATABASE_URL", url.to_owned()),
            ("PG_PID", self.theirs.pid().to_string()),
            ("REDIS_PORT", redis.port().to_string()),
            ("TIKTOK_BASE_URL", stand_in.url.clone()),
            ("WARMUP", self.warmup.to_string()),
        ];
        let line = output(Path::new("node"), &arguments, &variables)
            .await
            .context("the peer needs Node 20 and its packages")?;
        theirs(&serde_json::from_str(&line)?, scenario)
    }
}

/// What the peer's line says, counted as ours is.
fn theirs(line: &Value, scenario: Scenario) -> anyhow::Result<Run> {
    let figure = |name: &str| {
        let value = line[name].as_f64();
        value.with_context(|| format!("the peer told no {name}"))
    };
    let channels = f64::from(scenario.channels);
    ensure!(
        line["refreshed_once"] == scenario.channels,
        "the peer did not refresh every channel once"
    );
    let cpu_s = figure("node_cpu_s")? + figure("redis_cpu_s")? + figure("postgres_cpu_s")?;
    Ok(Run {
        refreshes_per_s: figure("refreshes_per_s")?,
        cpu_ms_per_refresh: cpu_s * 1e3 / channels,
        worker_resident_mib: figure("max_rss_mb")?,
        due_to_stored_p99_ms: figure("due_done_p99_ms")?,
    })
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is no UTF-8", path.display()))
}
