//! The database and the key ring that the commands work with.

use anyhow::{Context as _, bail};
use config::Loaded;
use store::{Process, Store};
use vault::KeyRing;

use crate::parts;

/// Where the commands work.
#[derive(Debug)]
pub(super) struct Place {
    /// The fleet's database.
    pub(super) store: Store,
    /// The keys that are configured here.
    pub(super) ring: KeyRing,
    /// Where they are configured.
    pub(super) origin: String,
}

impl Place {
    /// Opens both; makes neither.
    ///
    /// # Errors
    ///
    /// If there are no keys or no database, or they cannot be read.
    pub(super) async fn open(loaded: &Loaded) -> anyhow::Result<Self> {
        let Some(url) = parts::known_database_url(loaded) else {
            bail!(
                "there is no database: set DATABASE_URL, or name the data directory of `up` with \
                 --data-dir"
            );
        };
        let Some((keys, origin)) = parts::known_master_keys(loaded)? else {
            bail!(
                "there are no master keys: set TOKENFLEET_MASTER_KEYS, or name the data directory \
                 of `up` with --data-dir"
            );
        };
        let ring = KeyRing::parse(&keys).with_context(|| origin.clone())?;
        let store = parts::open_store(loaded, &url).await?;
        Ok(Self {
            store,
            ring,
            origin,
        })
    }

    /// The processes that were heard of lately and have keys.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub(super) async fn processes(&self) -> anyhow::Result<Vec<Process>> {
        let now = self.store.now().await?;
        let mut all = self.store.processes().await?;
        all.retain(|process| process.is_live(now) && !process.info.key_ids.is_empty());
        Ok(all)
    }
}

/// `worker at host-1 (up since …)`, one after the other.
pub(super) fn told(processes: &[Process]) -> String {
    let one = |process: &Process| {
        let info = &process.info;
        format!(
            "{} at {} (since {})",
            info.role, info.host, process.started_at
        )
    };
    processes.iter().map(one).collect::<Vec<_>>().join(", ")
}
