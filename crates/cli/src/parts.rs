//! Opens what a role works with; every refusal names the setting behind it.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use cache::Cache;
use config::Loaded;
use providers::Providers;
use queue::Queues;
use secrecy::SecretString;
use store::{SchemaError, Store};
use vault::{KeyRing, Vault};
use worker::Process;

use crate::data_dir::{self, DataDir};
use crate::{mapping, redis_server};

/// The database's address.
///
/// # Errors
///
/// If it is not set: only `up` and `demo` bring a database.
pub(crate) fn database_url(loaded: &Loaded, role: &str) -> anyhow::Result<SecretString> {
    loaded.settings.database.url.clone().with_context(|| {
        format!(
            "{role} needs a database: set DATABASE_URL (setting database.url) to sqlite:PATH or \
             postgres://…; only `up` and `demo` bring their own"
        )
    })
}

/// The Redis server's address.
///
/// # Errors
///
/// If it is not set: only `up` and `demo` bring a server.
pub(crate) fn redis_url(loaded: &Loaded, role: &str) -> anyhow::Result<SecretString> {
    loaded.settings.redis.url.clone().with_context(|| {
        format!(
            "{role} needs Redis: set REDIS_URL (setting redis.url) to redis://HOST:PORT/DB; only \
             `up` and `demo` bring their own"
        )
    })
}

/// The master keys.
///
/// # Errors
///
/// If none are set: only `up` and `demo` make one.
pub(crate) fn master_keys(loaded: &Loaded, role: &str) -> anyhow::Result<SecretString> {
    loaded.settings.master_keys.clone().with_context(|| {
        format!(
            "{role} needs the fleet's master keys: set TOKENFLEET_MASTER_KEYS (id:base64 of 32 \
             random bytes, such as k1:$(openssl rand -base64 32)), or TOKENFLEET_MASTER_KEYS_FILE \
             to a file with them; only `up` and `demo` make their own"
        )
    })
}

/// The database that is set, else that of `up` in the data directory; `None` if that is not
/// there yet. Nothing is made.
pub(crate) fn known_database_url(loaded: &Loaded) -> Option<SecretString> {
    if let Some(url) = &loaded.settings.database.url {
        return Some(url.clone());
    }
    let dir = &loaded.settings.data_dir;
    if !data_dir::database_file(dir).is_file() {
        return None;
    }
    Some(DataDir::open(dir).ok()?.database_url())
}

/// The Redis server that is set, else the one of an `up` that runs on the data directory.
pub(crate) async fn known_redis_url(loaded: &Loaded) -> Option<SecretString> {
    match &loaded.settings.redis.url {
        Some(url) => Some(url.clone()),
        None => redis_server::running(&loaded.settings.data_dir).await,
    }
}

/// The master keys that are set, else those of `up` in the data directory, and where they are;
/// `None` if there are none yet. Nothing is made.
///
/// # Errors
///
/// If the file cannot be read.
pub(crate) fn known_master_keys(loaded: &Loaded) -> anyhow::Result<Option<(SecretString, String)>> {
    if let Some(keys) = &loaded.settings.master_keys {
        return Ok(Some((keys.clone(), loaded.told("master_keys"))));
    }
    let file = data_dir::master_keys_file(&loaded.settings.data_dir);
    let keys = data_dir::read(&file)?;
    Ok(keys.map(|keys| (keys, file.display().to_string())))
}

/// The database, whatever its tables are.
///
/// # Errors
///
/// If it cannot be reached.
pub(crate) async fn open_database(loaded: &Loaded, url: &SecretString) -> anyhow::Result<Store> {
    Store::connect(mapping::store(&loaded.settings, url))
        .await
        .with_context(|| format!("setting {}", loaded.told("database.url")))
}

/// The database, with the tables of this version.
///
/// # Errors
///
/// If it cannot be reached, is not migrated, or is newer than this program.
pub(crate) async fn open_store(loaded: &Loaded, url: &SecretString) -> anyhow::Result<Store> {
    let store = open_database(loaded, url).await?;
    store.check_schema().await.map_err(explain_schema)?;
    Ok(store)
}

/// What to do about a database whose tables are not those of this version.
pub(crate) fn explain_schema(error: SchemaError) -> anyhow::Error {
    match &error {
        SchemaError::Pending(_) => anyhow!(error).context("run `tokenfleet migrate up` first"),
        SchemaError::Newer(_) => anyhow!(error).context(format!(
            "this is tokenfleet {}, and a newer one has used the database; run that one",
            env!("CARGO_PKG_VERSION")
        )),
        SchemaError::Store(_) => anyhow!(error),
    }
}

/// The queues.
///
/// # Errors
///
/// If Redis cannot be reached, is too old or would drop jobs.
pub(crate) async fn open_queues(
    loaded: &Loaded,
    url: &SecretString,
    role: &str,
) -> anyhow::Result<Queues> {
    Queues::connect(mapping::queues(&loaded.settings, url, role))
        .await
        .with_context(|| format!("setting {}", loaded.told("redis.url")))
}

/// What is shared in Redis beside the queues; opened without asking Redis.
///
/// # Errors
///
/// If the address is not one.
pub(crate) fn open_cache(loaded: &Loaded, url: &SecretString) -> anyhow::Result<Cache> {
    Cache::open(mapping::cache(&loaded.settings, url))
        .with_context(|| format!("setting {}", loaded.told("redis.url")))
}

/// The vault, sealing with the key that the database names.
///
/// # Errors
///
/// If the keys are wrong, that key is not among them, or one of them is not the
/// key that the fleet knows under its id: what it sealed would not open elsewhere.
pub(crate) async fn open_vault(
    loaded: &Loaded,
    keys: &SecretString,
    store: &Store,
) -> anyhow::Result<Arc<Vault>> {
    let ring =
        KeyRing::parse(keys).with_context(|| format!("setting {}", loaded.told("master_keys")))?;
    let active = store.active_key(ring.first_id()).await?;
    let known: Vec<&str> = ring.ids().collect();
    if !known.contains(&active.as_str()) {
        bail!(
            "the fleet seals with the master key '{active}', but {} holds only {}; add that key",
            loaded.told("master_keys"),
            known.join(", ")
        );
    }
    if let Some(id) = namesake(&ring, store).await? {
        bail!(
            "{} holds another key under the id '{id}' than the one that the fleet knows; set that \
             one, or give the new one an id of its own",
            loaded.told("master_keys")
        );
    }
    Ok(Arc::new(Vault::new(ring, &active)?))
}

/// An id under which this ring has another key than the fleet. The fleet knows every key of the
/// ring after this.
///
/// # Errors
///
/// If the database fails.
pub(crate) async fn namesake(ring: &KeyRing, store: &Store) -> anyhow::Result<Option<String>> {
    for id in ring.ids() {
        let ours = ring.check_value(id).unwrap_or_default();
        let check = store.key_check(id, ours).await?;
        if !ring.is_key_of(id, &check) {
            return Ok(Some(id.to_owned()));
        }
    }
    Ok(None)
}

/// The providers.
///
/// # Errors
///
/// If a setting of theirs cannot work.
pub(crate) fn open_providers(loaded: &Loaded) -> anyhow::Result<Arc<Providers>> {
    let settings = mapping::providers(&loaded.settings);
    let providers = Providers::new(settings).map_err(|error| explain_provider(error, loaded))?;
    Ok(Arc::new(providers))
}

/// Names what of a generic provider is set, and by whom.
fn explain_provider(error: providers::SettingsError, loaded: &Loaded) -> anyhow::Error {
    let providers::SettingsError::OAuth2 { key, .. } = &error else {
        return anyhow!(error);
    };
    let section = key
        .rsplit_once('.')
        .map_or(key.as_str(), |(section, _)| section);
    let of_it = |line: &&config::Effective| line.key.starts_with(&format!("{section}."));
    let known = loaded.effective.iter().filter(of_it);
    let nearest = known.min_by_key(|line| (line.key != *key, line.key.len()));
    match nearest.map(|line| loaded.told(&line.key)) {
        Some(told) => anyhow!(error).context(format!("setting {told}")),
        None => anyhow!(error),
    }
}

/// This process among the others.
///
/// # Errors
///
/// If its lock file cannot be made.
pub(crate) fn start_process(dir: &DataDir) -> anyhow::Result<Arc<Process>> {
    Ok(Arc::new(Process::start(dir.path())?))
}
