//! The engines: each run is a process of its own on the one Redis, whose database it empties.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use testkit::redis::RedisServer;
use tokenfleet_bench::figures;
use tokenfleet_bench::process::output;

use crate::Args;

/// Where cargo puts it without a target directory of somebody's own.
const APALIS: &str = "queue_apalis/target/release/queue_apalis";

/// An engine that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Engine {
    /// Ours.
    Tokenfleet,
    /// Node; acknowledged, unique ids.
    Bullmq,
    /// Ruby; not acknowledged.
    Sidekiq,
    /// Rust; in waves, for it cannot hold more.
    Apalis,
}

impl Engine {
    pub(crate) const ALL: [Self; 4] = [Self::Tokenfleet, Self::Bullmq, Self::Sidekiq, Self::Apalis];

    /// As it is told in lines and tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tokenfleet => "tokenfleet",
            Self::Bullmq => "bullmq",
            Self::Sidekiq => "sidekiq",
            Self::Apalis => "apalis-redis",
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
    pub(crate) enqueue_per_s: f64,
    pub(crate) process_per_s: f64,
    /// Of the client and Redis, for pushing and working off.
    pub(crate) cpu_us_per_job: f64,
    /// The most that the client had resident.
    pub(crate) resident_mib: f64,
}

/// From a push to the start of its handler on an idle worker, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PickUp {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Where the engines are, and what they are asked.
pub(crate) struct Bench {
    ours: PathBuf,
    peers: PathBuf,
    apalis: PathBuf,
    redis_url: String,
    redis_port: String,
    jobs: u32,
    pick_ups: u32,
}

impl Bench {
    /// All of them on this Redis.
    pub(crate) fn new(args: &Args, redis: &RedisServer) -> anyhow::Result<Self> {
        let apalis = args.apalis.clone();
        Ok(Self {
            ours: std::env::current_exe()?.with_file_name("queue"),
            apalis: apalis.unwrap_or_else(|| args.peers.join(APALIS)),
            peers: args.peers.clone(),
            redis_url: redis.url(),
            redis_port: redis.port().to_string(),
            jobs: args.jobs,
            pick_ups: args.pick_ups,
        })
    }

    /// Whether the engine is installed.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub(crate) fn check(&self, engine: Engine) -> anyhow::Result<()> {
        let exists = |path: &Path| {
            ensure!(path.exists(), "there is no {}", path.display());
            Ok(())
        };
        match engine {
            Engine::Tokenfleet => exists(&self.ours),
            Engine::Bullmq => {
                exists(&self.peers.join("node_modules"))?;
                on_path("node")
            }
            Engine::Sidekiq => {
                exists(&self.peers.join("queue_sidekiq.rb"))?;
                on_path("ruby")?;
                on_path("sidekiq")
            }
            Engine::Apalis => exists(&self.apalis),
        }
    }

    /// Pushes and works off the jobs.
    pub(crate) async fn throughput(&self, engine: Engine, concurrency: u32) -> anyhow::Result<Run> {
        let (jobs, at_once) = (self.jobs.to_string(), concurrency.to_string());
        if engine == Engine::Tokenfleet {
            let arguments = ["--jobs", &jobs, "--concurrency", &at_once];
            return ours(&self.queue("throughput", &arguments).await?);
        }
        let arguments = [self.redis_port.as_str(), jobs.as_str(), at_once.as_str()];
        let line = match engine {
            Engine::Bullmq => self.script("node", "queue_bullmq.mjs", &arguments).await,
            Engine::Sidekiq => self.script("ruby", "queue_sidekiq.rb", &arguments).await,
            _ => output(&self.apalis, &arguments, &[]).await,
        };
        theirs(&line?, self.jobs).with_context(|| engine.name())
    }

    /// The pick-up latency, of those that have a program for it.
    pub(crate) async fn pick_up(&self, engine: Engine) -> anyhow::Result<Option<PickUp>> {
        let jobs = self.pick_ups.to_string();
        match engine {
            Engine::Tokenfleet => {
                let lines = self.queue("pick-up", &["--jobs", &jobs]).await?;
                let figures = figures::read(&lines)?;
                let figure = |name: &str| figures.get(name).copied().context("no pick-up");
                Ok(Some(PickUp {
                    p50: figure("pick_up_p50_ms")?,
                    p99: figure("pick_up_p99_ms")?,
                }))
            }
            Engine::Bullmq => {
                let arguments = [self.redis_port.as_str(), jobs.as_str()];
                let line = self
                    .script("node", "latency_bullmq.mjs", &arguments)
                    .await?;
                let line: Value = serde_json::from_str(&line)?;
                let figure = |name: &str| line[name].as_f64().context("no pick-up");
                Ok(Some(PickUp {
                    p50: figure("p50_ms")?,
                    p99: figure("p99_ms")?,
                }))
            }
            _ => Ok(None),
        }
    }

    async fn queue(&self, what: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut all = vec!["--redis", &self.redis_url, what];
        all.extend(arguments);
        output(&self.ours, &all, &[]).await
    }

    async fn script(&self, program: &str, script: &str, rest: &[&str]) -> anyhow::Result<String> {
        let script = self.peers.join(script);
        let mut arguments = vec![script.to_str().context("the folder's name is no UTF-8")?];
        arguments.extend(rest);
        output(Path::new(program), &arguments, &[]).await
    }
}

fn ours(lines: &str) -> anyhow::Result<Run> {
    let figures = figures::read(lines)?;
    let figure = |name: &str| {
        let value = figures.get(name).copied();
        value.with_context(|| format!("queue told no {name}"))
    };
    Ok(Run {
        enqueue_per_s: figure("enqueue_per_s")?,
        process_per_s: figure("process_per_s")?,
        cpu_us_per_job: figure("enqueue_cpu_us_per_job")? + figure("process_cpu_us_per_job")?,
        resident_mib: figure("resident_mib")?,
    })
}

fn theirs(line: &str, jobs: u32) -> anyhow::Result<Run> {
    let line: Value = serde_json::from_str(line)?;
    let figure = |name: &str| {
        let value = line[name].as_f64();
        value.with_context(|| format!("it told no {name}"))
    };
    let cpu_s = figure("client_cpu_s")? + figure("redis_cpu_s")?;
    Ok(Run {
        enqueue_per_s: figure("enqueue_per_s")?,
        process_per_s: figure("process_per_s")?,
        cpu_us_per_job: cpu_s * 1e6 / f64::from(jobs),
        resident_mib: figure("rss_mb")?,
    })
}

fn on_path(program: &str) -> anyhow::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    ensure!(found, "{program} is not installed");
    Ok(())
}
