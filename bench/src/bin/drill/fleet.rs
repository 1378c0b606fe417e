//! A scheduler, workers, what they stand on, and the provider that they call.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bench::channels;
use bench::database::{self, Scratch};
use bench::process::Process;
use domain::{Name, Timestamp};
use sea_orm::{ConnectionTrait as _, Statement};
use secrecy::ExposeSecret as _;
use simulator::{Entry, Filter, MintRequest, Running as Simulated, Simulator, SimulatorConfig};
use store::{Store, StoreOptions};
use tempfile::TempDir;
use testkit::redis::RedisServer;
use tokenfleet_bench as bench;
use tokio::time::{Instant, sleep};
use vault::{KeyRing, Vault};

use crate::Args;

/// Pause between two probes: a tenth of what is set without a word.
pub(crate) const PROBE_EVERY: Duration = Duration::from_millis(100);
/// How long the return to full speed takes; a tenth as well.
pub(crate) const RAMP: Duration = Duration::from_secs(3);
/// The longest that a job rests before it asks an open breaker again: sixty pauses.
pub(crate) const LONGEST_REST: Duration = Duration::from_secs(6);
/// What the rest of the settings is shortened to.
const SHORTENED: [(&str, &str); 9] = [
    ("TOKENFLEET_BREAKER__PROBE_EVERY", "100ms"),
    ("TOKENFLEET_BREAKER__WINDOW", "6s"),
    ("TOKENFLEET_BREAKER__RAMP", "3s"),
    ("TOKENFLEET_SCHEDULER__INTERVAL", "100ms"),
    ("TOKENFLEET_WORKER__CONCURRENCY", "16"),
    ("TOKENFLEET_WORKER__RETRY_BASE", "200ms"),
    ("TOKENFLEET_WORKER__RETRY_CAP", "30s"),
    ("TOKENFLEET_RETENTION__ATTEMPTS_PER_CHANNEL", "100000"),
    ("TOKENFLEET_LOG", "warn"),
];
const TENANTS: u32 = 100;
const POLL: Duration = Duration::from_millis(100);

/// States of the channels, least expected first.
const STATES: &str = "SELECT COUNT(*) AS found FROM channels WHERE state <> 'active'";
const FRESH: &str =
    "SELECT COUNT(*) AS found FROM channels WHERE state = 'active' AND generation > 1";
const OPENED: &str = "SELECT COUNT(*) AS found FROM events WHERE kind = 'breaker.opened'";
const CLOSED: &str = "SELECT COUNT(*) AS found FROM events WHERE kind = 'breaker.closed'";
const OPENED_AT: &str = "SELECT MIN(created_at) AS found FROM events WHERE kind = 'breaker.opened'";
const TOUCHED: &str =
    "SELECT COUNT(*) AS found FROM channels WHERE failures > 0 OR last_error IS NOT NULL";

/// All of it; it ends when this is dropped.
pub(crate) struct Fleet {
    roles: Vec<Process>,
    pub(crate) simulator: Simulated,
    pub(crate) store: Store,
    pub(crate) database: Scratch,
    db: sea_orm::DatabaseConnection,
    redis: RedisServer,
    vault: Vault,
    keys: String,
    binary: PathBuf,
    budget: u32,
    workers: u32,
    dir: TempDir,
}

impl Fleet {
    /// What a fleet stands on; nobody works yet.
    ///
    /// # Errors
    ///
    /// If a server does not start.
    pub(crate) async fn new(args: &Args, database: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let database = Scratch::of(database, dir.path()).await?;
        let store = Store::connect(StoreOptions {
            url: database.url.clone(),
            max_connections: 4,
            clock: None,
        })
        .await?;
        store.migrate_up().await?;
        let keys = KeyRing::generate("drill");
        let vault = Vault::new(KeyRing::parse(&keys)?, "drill")?;
        store.active_key("drill").await?;
        Ok(Self {
            roles: Vec::new(),
            simulator: Simulator::start(SimulatorConfig::default()).await?,
            store,
            db: database::connect(&database.url).await?,
            database,
            redis: RedisServer::start().await?,
            vault,
            keys: keys.expose_secret().to_owned(),
            binary: args.binary.clone(),
            budget: args.budget,
            workers: args.workers,
            dir,
        })
    }

    /// Stores channels that are due at once.
    ///
    /// # Errors
    ///
    /// If the database does not take one.
    pub(crate) async fn seed(&self, count: u32) -> anyhow::Result<()> {
        let due_at = self.store.now().await?;
        let mut owners = Vec::new();
        for n in 0..TENANTS {
            let id: Name = format!("tenant_{n}").parse()?;
            owners.push(self.store.create_tenant(Some(id), None).await?.uid);
        }
        let minted = self
            .simulator
            .mint(&MintRequest::of("tiktok").count(count))?;
        let mut due = Vec::new();
        for (minted, owner) in minted.iter().zip(owners.iter().cycle()) {
            let token = minted.credentials.refresh_token.as_ref();
            let token = token.context("TikTok's grants have one")?;
            let token = token.expose_secret().to_owned();
            let app = format!("tiktok:{}", simulator::TIKTOK_CLIENT_KEY);
            due.push(channels::due_at(due_at, *owner, &app, token, &self.vault));
        }
        for stored in self.store.import_channels(due).await {
            stored?;
        }
        Ok(())
    }

    /// Starts the scheduler and the workers, whose app has this secret.
    ///
    /// # Errors
    ///
    /// If one does not start.
    pub(crate) fn start(&mut self, secret: &str) -> anyhow::Result<()> {
        self.start_role("scheduler", "scheduler", secret)?;
        for number in 1..=self.workers {
            self.start_role("worker", &format!("worker-{number}"), secret)?;
        }
        Ok(())
    }

    /// Ends the processes as a service manager does.
    pub(crate) fn end(&mut self) {
        self.roles.clear();
    }

    fn start_role(&mut self, role: &str, name: &str, secret: &str) -> anyhow::Result<()> {
        let data_dir = text(&self.dir.path().join(name))?;
        let mut variables: Vec<(&str, String)> = [
            ("DATABASE_URL", self.database.url.clone()),
            ("REDIS_URL", self.redis.url()),
            ("TOKENFLEET_MASTER_KEYS", self.keys.clone()),
            ("TOKENFLEET_DATA_DIR", data_dir.clone()),
            ("HOME", data_dir),
            ("TIKTOK_BASE_URL", self.simulator.base_url("tiktok")),
            ("TIKTOK_CLIENT_KEY", simulator::TIKTOK_CLIENT_KEY.to_owned()),
            ("TIKTOK_CLIENT_SECRET", secret.to_owned()),
            (
                "TOKENFLEET_PROVIDERS__TIKTOK__REFRESHES_PER_SECOND",
                self.budget.to_string(),
            ),
        ]
        .into();
        variables.extend(SHORTENED.map(|(name, value)| (name, value.to_owned())));
        let log = self.dir.path().join(format!("{name}.log"));
        let process = Process::start_logged(&self.binary, &[role], &variables, &log)?;
        self.roles.push(process);
        Ok(())
    }

    /// Waits until a question is answered with at least this number; how long that took.
    ///
    /// # Errors
    ///
    /// If it takes longer than `patience`, or a process has ended.
    async fn until(
        &self,
        question: &str,
        wanted: u64,
        patience: Duration,
    ) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        loop {
            let found = self.ask(question).await?;
            if found >= wanted {
                return Ok(begin.elapsed());
            }
            for role in &self.roles {
                role.ensure_runs()
                    .context("a role refuses to run; is the program of this version?")?;
            }
            if begin.elapsed() > patience {
                bail!("{found} of {wanted} after {patience:?}: {question}");
            }
            sleep(POLL).await;
        }
    }

    /// Waits until the operator was called.
    ///
    /// # Errors
    ///
    /// If nobody calls him.
    pub(crate) async fn until_opened(&self) -> anyhow::Result<Timestamp> {
        self.until(OPENED, 1, Duration::from_mins(1)).await?;
        let at = self.ask(OPENED_AT).await?;
        Ok(Timestamp::from_millis(i64::try_from(at)?))
    }

    /// Waits until the operator was told that it is over.
    ///
    /// # Errors
    ///
    /// If nobody tells him.
    pub(crate) async fn until_over(&self) -> anyhow::Result<()> {
        self.until(CLOSED, 1, Duration::from_mins(1)).await?;
        Ok(())
    }

    /// Waits until so many channels are fresh; how long that took.
    ///
    /// # Errors
    ///
    /// If it takes ten times as long as it may.
    pub(crate) async fn until_fresh(
        &self,
        channels: u32,
        limit: Duration,
    ) -> anyhow::Result<Duration> {
        self.until(FRESH, channels.into(), limit * 10).await
    }

    /// How often the operator was told that it began, and that it was over.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub(crate) async fn alerts(&self) -> anyhow::Result<(u64, u64)> {
        Ok((self.ask(OPENED).await?, self.ask(CLOSED).await?))
    }

    /// Channels that changed their state.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub(crate) async fn condemned(&self) -> anyhow::Result<u64> {
        self.ask(STATES).await
    }

    /// Channels that show a trace of the trouble.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub(crate) async fn marked(&self) -> anyhow::Result<u64> {
        self.ask(TOUCHED).await
    }

    /// Every request that reached the provider.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.simulator.ledger(&Filter::default())
    }

    async fn ask(&self, question: &str) -> anyhow::Result<u64> {
        let backend = self.db.get_database_backend();
        let statement = Statement::from_string(backend, question);
        let rows = self.db.query_all_raw(statement).await?;
        let row = rows.first().context("an aggregate has a row")?;
        Ok(u64::try_from(row.try_get::<i64>("", "found")?)?)
    }
}

/// The time that a budget needs for so many refreshes after an outage: the ramp, and the rest of
/// those that asked just before it was over. A quarter is left for a busy machine.
pub(crate) fn time_of(channels: u32, budget: u32) -> Duration {
    let work = Duration::from_secs_f64(f64::from(channels) / f64::from(budget));
    (work + RAMP + LONGEST_REST) * 5 / 4
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str();
    ensure!(text.is_some(), "the temporary directory is no UTF-8");
    Ok(text.unwrap_or_default().to_owned())
}
