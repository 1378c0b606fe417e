//! The main job at speed: N channels that are due at once, one scheduler, one worker.
//!
//! All processes run and are warm before the clock starts. See `bench/README.md`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bench::figures::{Figures, quantile};
use bench::process::{Process, cpu, cpu_with_children, peak_resident_mib};
use clap::Parser;
use domain::{
    ChannelState, ChannelUid, Generation, Grant, Name, ProviderName, TenantUid, Timestamp,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use store::{ChannelFilter, Facts, NewChannel, PageRequest, Store, StoreOptions};
use tempfile::TempDir;
use testkit::redis::RedisServer;
use vault::{KeyRing, Vault};

use tokenfleet_bench as bench;

const APP: (&str, &str) = ("bench_client_key", "bench_client_secret");
const QUEUE: &str = "refresh:tiktok";
const POLL: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_mins(10);

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
    /// `sqlite`, or the address of an empty PostgreSQL database
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
    let dir = tempfile::tempdir()?;
    let provider = Provider::start(&args)?;
    let world = World::start(&args, &provider, &dir).await?;
    let worker = world.role(&["worker", "--queue", QUEUE], args.concurrency)?;
    let scheduler = world.role(&["scheduler"], 1)?;

    if args.warmup > 0 {
        world
            .seed("warm", args.warmup, args.tenants, &provider)
            .await?;
        world.refreshed(args.warmup).await?;
    }
    scheduler.pause()?;
    let tenants = world
        .seed("channel", args.channels, args.tenants, &provider)
        .await?;
    let pids = Pids {
        worker: worker.pid(),
        scheduler: scheduler.pid(),
        redis: world.redis.pid(),
        postmaster: args.postmaster,
        provider: provider.pid,
    };
    let before = Cost::so_far(&pids)?;
    let started_at = world.store.now().await?;
    scheduler.resume()?;
    world.refreshed(args.warmup + args.channels).await?;
    let cost = Cost::so_far(&pids)?.since(&before);
    let lags = world.lags(&tenants, started_at).await?;
    report(&args, &pids, &cost, lags)
}

/// The other end of the refreshes.
struct Provider {
    url: String,
    pid: u32,
    simulator: Option<Process>,
}

impl Provider {
    fn start(args: &Args) -> anyhow::Result<Self> {
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
    async fn mint(&self, count: u32) -> anyhow::Result<Vec<String>> {
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

    fn app(&self) -> (&'static str, &'static str) {
        match self.simulator {
            Some(_) => ("aw123fake", "tiktok_secret_fake"),
            None => APP,
        }
    }
}

/// Database, Redis, keys and settings of one fleet.
struct World {
    store: Store,
    vault: Vault,
    redis: RedisServer,
    binary: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl World {
    async fn start(args: &Args, provider: &Provider, dir: &TempDir) -> anyhow::Result<Self> {
        let url = match args.database.as_str() {
            "sqlite" => format!("sqlite:{}", dir.path().join("bench.db").display()),
            url => url.to_owned(),
        };
        let store = Store::connect(StoreOptions {
            url: url.clone(),
            max_connections: 8,
            clock: None,
        })
        .await?;
        store.migrate_up().await?;
        let keys = KeyRing::generate("bench");
        let vault = Vault::new(KeyRing::parse(&keys)?, "bench")?;
        store.active_key("bench").await?;
        let redis = RedisServer::start().await?;
        let (key, secret) = provider.app();
        let variables = vec![
            ("DATABASE_URL", url),
            ("REDIS_URL", redis.url()),
            ("TOKENFLEET_MASTER_KEYS", keys.expose_secret().to_owned()),
            ("TOKENFLEET_DATA_DIR", path(dir.path())?),
            ("TOKENFLEET_LOG", "warn".to_owned()),
            ("TIKTOK_BASE_URL", provider.url.clone()),
            ("TIKTOK_CLIENT_KEY", key.to_owned()),
            ("TIKTOK_CLIENT_SECRET", secret.to_owned()),
            ("HOME", path(dir.path())?),
        ];
        Ok(Self {
            store,
            vault,
            redis,
            binary: args.binary.clone(),
            variables,
        })
    }

    fn role(&self, arguments: &[&str], concurrency: u32) -> anyhow::Result<Process> {
        let mut variables = self.variables.clone();
        variables.push(("TOKENFLEET_WORKER__CONCURRENCY", concurrency.to_string()));
        Process::start(&self.binary, arguments, &variables)
    }

    /// Stores channels that are due; their tenants.
    async fn seed(
        &self,
        prefix: &str,
        count: u32,
        tenants: u32,
        provider: &Provider,
    ) -> anyhow::Result<Vec<TenantUid>> {
        let due_at = self.store.now().await?;
        let mut owners = Vec::new();
        for n in 0..tenants {
            let id: Name = format!("{prefix}_{n}").parse()?;
            owners.push(self.store.create_tenant(Some(id), None).await?.uid);
        }
        let mut channels = Vec::new();
        for (token, owner) in provider
            .mint(count)
            .await?
            .into_iter()
            .zip(owners.iter().cycle())
        {
            channels.push(self.channel(*owner, token, due_at));
        }
        for stored in self.store.import_channels(channels).await {
            stored?;
        }
        Ok(owners)
    }

    fn channel(&self, tenant: TenantUid, refresh_token: String, due_at: Timestamp) -> NewChannel {
        let uid = ChannelUid::generate();
        let id = Name::generate("channel");
        let grant = Grant {
            access_token: Some(format!("act.{uid}").into()),
            refresh_token: Some(refresh_token.into()),
            ..Grant::default()
        };
        NewChannel {
            uid,
            tenant,
            provider: ProviderName::from_static("tiktok"),
            app_identity: "tiktok:bench".to_owned(),
            display_name: id.to_string(),
            id,
            local_name: None,
            sealed: self.vault.seal(uid, Generation(1), &grant),
            facts: Facts {
                state: ChannelState::Active,
                reason: None,
                access_expires_at: Some(due_at.plus(Duration::from_mins(30))),
                refresh_expires_at: None,
                refresh_due_at: Some(due_at),
                external_id: None,
                has_refresh_material: true,
            },
        }
    }

    /// Milliseconds from then to the storing of each channel's tokens.
    async fn lags(&self, tenants: &[TenantUid], since: Timestamp) -> anyhow::Result<Vec<f64>> {
        let mut lags = Vec::new();
        for tenant in tenants {
            let mut page = PageRequest {
                after: None,
                limit: 200,
            };
            loop {
                let read = self
                    .store
                    .channels(*tenant, &ChannelFilter::default(), page.clone())
                    .await?;
                for channel in read.items {
                    ensure!(
                        channel.generation == Generation(2),
                        "{} was not refreshed once",
                        channel.id
                    );
                    let at = channel
                        .last_refreshed_at
                        .context("a refreshed channel says when")?;
                    lags.push(at.since(since).as_secs_f64() * 1e3);
                }
                page.after = read.next;
                if page.after.is_none() {
                    break;
                }
            }
        }
        Ok(lags)
    }

    /// Waits until so many jobs have ended well.
    async fn refreshed(&self, count: u32) -> anyhow::Result<()> {
        let give_up_at = Instant::now() + LIMIT;
        loop {
            let totals = self.store.job_totals(None).await?;
            ensure!(totals.failed == 0, "{} jobs failed", totals.failed);
            if totals.completed >= u64::from(count) {
                return Ok(());
            }
            if Instant::now() > give_up_at {
                bail!("{} of {count} jobs after ten minutes", totals.completed);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The processes whose costs count.
struct Pids {
    worker: u32,
    scheduler: u32,
    redis: u32,
    postmaster: Option<u32>,
    provider: u32,
}

/// CPU time by process.
struct Cost {
    fleet: Duration,
    redis: Duration,
    postgres: Duration,
    provider: Duration,
}

impl Cost {
    fn so_far(pids: &Pids) -> anyhow::Result<Self> {
        Ok(Self {
            fleet: cpu(pids.worker)? + cpu(pids.scheduler)?,
            redis: cpu(pids.redis)?,
            postgres: pids
                .postmaster
                .map_or(Ok(Duration::ZERO), cpu_with_children)?,
            provider: cpu(pids.provider)?,
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            fleet: self.fleet.saturating_sub(before.fleet),
            redis: self.redis.saturating_sub(before.redis),
            postgres: self.postgres.saturating_sub(before.postgres),
            provider: self.provider.saturating_sub(before.provider),
        }
    }

    /// Without the provider: it is somebody else's.
    fn ours(&self) -> Duration {
        self.fleet + self.redis + self.postgres
    }
}

fn report(args: &Args, pids: &Pids, cost: &Cost, mut lags: Vec<f64>) -> anyhow::Result<()> {
    let database = if args.database == "sqlite" {
        "sqlite"
    } else {
        "postgres"
    };
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

fn path(path: &Path) -> anyhow::Result<String> {
    let text = path
        .to_str()
        .context("the temporary directory is no UTF-8")?;
    Ok(text.to_owned())
}
