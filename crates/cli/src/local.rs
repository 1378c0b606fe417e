//! Everything in one process: what `up` and `demo` share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use api::Accounts;
use cache::Cache;
use config::Loaded;
use providers::Providers;
use queue::Queues;
use secrecy::SecretString;
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vault::Vault;
use worker::Process;

use crate::data_dir::DataDir;
use crate::fleet::{Presence, Roles};
use crate::redis_server::RedisServer;
use crate::{accounts, mapping, parts};

/// A fleet of one process that is ready to run.
#[derive(Debug)]
pub(crate) struct Local {
    /// The database.
    pub(crate) store: Store,
    /// Seals what is imported.
    pub(crate) vault: Arc<Vault>,
    /// Knows the providers.
    pub(crate) providers: Arc<Providers>,
    /// Where the API listens.
    pub(crate) address: SocketAddr,
    /// Where the admin token can be read; `None` if it is a setting.
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Where a master key was made; `None` if there was one.
    pub(crate) made_master_key: Option<PathBuf>,
    queues: Queues,
    cache: Cache,
    process: Arc<Process>,
    admin_token: SecretString,
    /// What people and programs are known by.
    pub(crate) accounts: Accounts,
    listener: TcpListener,
    redis: Option<RedisServer>,
}

impl Local {
    /// Opens everything, the database's tables and a private Redis included; the API will
    /// answer at `listener`.
    ///
    /// # Errors
    ///
    /// What could not be opened, and the setting behind it.
    pub(crate) async fn open(
        loaded: &Loaded,
        dir: &DataDir,
        listener: TcpListener,
    ) -> anyhow::Result<Self> {
        let providers = parts::open_providers(loaded)?;
        let redis = private_redis(loaded, dir).await?;
        match Self::assemble(loaded, dir, (listener, providers), redis.as_ref()).await {
            Ok(local) => Ok(Self { redis, ..local }),
            Err(error) => {
                if let Some(redis) = redis {
                    redis.stop().await;
                }
                Err(error)
            }
        }
    }

    async fn assemble(
        loaded: &Loaded,
        dir: &DataDir,
        (listener, providers): (TcpListener, Arc<Providers>),
        redis: Option<&RedisServer>,
    ) -> anyhow::Result<Self> {
        let settings = &loaded.settings;
        let store = open_migrated(loaded, dir).await?;
        let (keys, made_master_key) = master_keys(loaded, dir)?;
        let vault = parts::open_vault(loaded, &keys, &store).await?;
        let redis_url = match redis {
            Some(redis) => redis.url(),
            None => parts::redis_url(loaded, "up")?,
        };
        let (admin_token, admin_token_file) = match &settings.api.admin_token {
            Some(token) => (token.clone(), None),
            None => (dir.admin_token()?, Some(dir.admin_token_file())),
        };
        Ok(Self {
            queues: parts::open_queues(loaded, &redis_url, "up").await?,
            cache: parts::open_cache(loaded, &redis_url)?,
            process: parts::start_process(dir)?,
            address: listener.local_addr()?,
            store,
            vault,
            providers,
            admin_token_file,
            made_master_key,
            admin_token,
            accounts: accounts::making(loaded, dir)?,
            listener,
            redis: None,
        })
    }

    /// Runs scheduler, workers and API until `shutdown`, then until they have
    /// drained; ends the private Redis last.
    ///
    /// # Errors
    ///
    /// Why a role could not run.
    pub(crate) async fn run(
        self,
        loaded: &Loaded,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let settings = &loaded.settings;
        let vault = Some(Arc::clone(&self.vault));
        let presence = Presence::new(self.store.clone(), self.process.uid(), "up", vault);
        let roles = Roles {
            scheduler: Some(mapping::scheduler(
                settings,
                self.store.clone(),
                self.queues.clone(),
            )),
            worker: Some(worker::Deps {
                store: self.store.clone(),
                queues: self.queues.clone(),
                cache: self.cache.clone(),
                vault: Arc::clone(&self.vault),
                providers: Arc::clone(&self.providers),
                webhooks: mapping::webhooks(settings)?,
                process: self.process,
                settings: mapping::worker(settings, None),
            }),
            api: Some((
                api::Deps {
                    store: self.store.clone(),
                    queues: self.queues,
                    cache: self.cache,
                    vault: self.vault,
                    providers: self.providers,
                    accounts: self.accounts,
                    settings: mapping::api(settings, self.admin_token, self.address),
                    health: api::Health::default(),
                },
                self.listener,
            )),
        };
        let ended = roles.run(presence, shutdown).await;
        close(self.store, self.redis).await;
        ended
    }

    /// Ends what was opened without having run.
    pub(crate) async fn close(self) {
        close(self.store, self.redis).await;
    }
}

async fn close(store: Store, redis: Option<RedisServer>) {
    store.close().await;
    if let Some(redis) = redis {
        redis.stop().await;
    }
}

/// Takes the address of the API.
///
/// # Errors
///
/// If it is in use, or none of this machine.
pub(crate) async fn listen(loaded: &Loaded) -> anyhow::Result<TcpListener> {
    let bind = loaded.settings.api.bind;
    TcpListener::bind(bind).await.with_context(|| {
        format!(
            "cannot listen at {bind}: setting {}; choose another with TOKENFLEET_API__BIND, such as \
             127.0.0.1:8001",
            loaded.told("api.bind")
        )
    })
}

async fn private_redis(loaded: &Loaded, dir: &DataDir) -> anyhow::Result<Option<RedisServer>> {
    match loaded.settings.redis.url {
        Some(_) => Ok(None),
        None => RedisServer::start(dir.path()).await.map(Some),
    }
}

async fn open_migrated(loaded: &Loaded, dir: &DataDir) -> anyhow::Result<Store> {
    let url = loaded.settings.database.url.clone();
    let url = url.unwrap_or_else(|| dir.database_url());
    let store = parts::open_database(loaded, &url).await?;
    store.migrate_up().await.map_err(parts::explain_schema)?;
    Ok(store)
}

/// The keys of the settings, else those of the data directory, else one that is made.
fn master_keys(loaded: &Loaded, dir: &DataDir) -> anyhow::Result<(SecretString, Option<PathBuf>)> {
    if let Some((keys, _)) = parts::known_master_keys(loaded)? {
        return Ok((keys, None));
    }
    let (keys, path) = dir.make_master_key()?;
    Ok((keys, Some(path)))
}
