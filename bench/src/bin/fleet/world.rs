//! Database, Redis and channels of one fleet.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use domain::{Generation, Name, TenantUid, Timestamp};
use secrecy::ExposeSecret as _;
use store::{ChannelFilter, PageRequest, Store, StoreOptions};
use tempfile::TempDir;
use testkit::redis::RedisServer;
use tokenfleet_bench::channels;
use tokenfleet_bench::database::{self, Scratch};
use tokenfleet_bench::process::Process;
use vault::{KeyRing, Vault};

use crate::Args;
use crate::provider::Provider;

/// Rare enough not to count: the figures are by the database's clock.
const POLL: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_mins(10);

/// Database, Redis, keys and settings of one fleet.
pub(crate) struct World {
    pub(crate) database: Scratch,
    pub(crate) store: Store,
    vault: Vault,
    pub(crate) redis: RedisServer,
    binary: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl World {
    pub(crate) async fn start(
        args: &Args,
        provider: &Provider,
        dir: &TempDir,
    ) -> anyhow::Result<Self> {
        let database = Scratch::of(&args.database, dir.path()).await?;
        let store = Store::connect(StoreOptions {
            url: database.url.clone(),
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
            ("DATABASE_URL", database.url.clone()),
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
            database,
            store,
            vault,
            redis,
            binary: args.binary.clone(),
            variables,
        })
    }

    /// Starts a role of the program.
    pub(crate) fn role(&self, arguments: &[&str], concurrency: u32) -> anyhow::Result<Process> {
        let mut variables = self.variables.clone();
        variables.push(("TOKENFLEET_WORKER__CONCURRENCY", concurrency.to_string()));
        Process::start(&self.binary, arguments, &variables)
    }

    /// Stores channels that are due; their tenants.
    pub(crate) async fn seed(
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
        let mut due = Vec::new();
        for (token, owner) in provider
            .mint(count)
            .await?
            .into_iter()
            .zip(owners.iter().cycle())
        {
            due.push(channels::due_at(
                due_at,
                *owner,
                "tiktok:bench",
                token,
                &self.vault,
            ));
        }
        for stored in self.store.import_channels(due).await {
            stored?;
        }
        Ok(owners)
    }

    /// What autovacuum and a checkpoint would have done to the channels by now.
    pub(crate) async fn tidy(&self) -> anyhow::Result<()> {
        let db = database::connect(&self.database.url).await?;
        database::tidy(&db).await?;
        Ok(db.close().await?)
    }

    /// Milliseconds from then to the storing of each channel's tokens.
    pub(crate) async fn lags(
        &self,
        tenants: &[TenantUid],
        since: Timestamp,
    ) -> anyhow::Result<Vec<f64>> {
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

    /// Waits until so many jobs have ended well, as long as these roles run.
    pub(crate) async fn refreshed(&self, count: u32, roles: &[&Process]) -> anyhow::Result<()> {
        let give_up_at = Instant::now() + LIMIT;
        loop {
            let totals = self.store.job_totals(None).await?;
            ensure!(totals.failed == 0, "{} jobs failed", totals.failed);
            for role in roles {
                role.ensure_runs()
                    .context("a role refuses to run; is the program of this version?")?;
            }
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

fn path(path: &Path) -> anyhow::Result<String> {
    let text = path
        .to_str()
        .context("the temporary directory is no UTF-8")?;
    Ok(text.to_owned())
}
