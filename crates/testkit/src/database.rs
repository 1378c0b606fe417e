//! A database of a test's own.

use std::sync::Arc;

use domain::Clock;
use store::{Store, StoreOptions};
use tempfile::TempDir;

use crate::TestClock;
use crate::cluster::Cluster;

const WANTED: &str = "TOKENFLEET_TEST_DATABASES";

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file in a directory of its own.
    Sqlite,
    /// A database of its own on a server for tests.
    Postgres,
}

impl Kind {
    /// Whether `TOKENFLEET_TEST_DATABASES` asks for it.
    ///
    /// # Panics
    ///
    /// If the variable is set to something else than it may be.
    #[must_use]
    pub fn is_wanted(self) -> bool {
        #[expect(clippy::disallowed_methods, reason = "tests have no settings file")]
        let wanted = std::env::var(WANTED);
        match wanted.as_deref() {
            Ok("sqlite") => self == Self::Sqlite,
            Ok("postgres") => self == Self::Postgres,
            Ok("both" | "") | Err(_) => true,
            Ok(other) => panic!("{WANTED} is '{other}', not sqlite, postgres or both"),
        }
    }
}

/// A database that goes when this is dropped.
#[derive(Debug)]
pub struct Database {
    kind: Kind,
    url: String,
    keeper: Keeper,
}

/// What holds the data, and takes them away.
#[derive(Debug)]
enum Keeper {
    Directory { _kept: TempDir },
    Server { name: String },
}

impl Database {
    /// One without tables.
    ///
    /// # Panics
    ///
    /// If the server for tests cannot be started: its binaries are missing, for instance.
    pub async fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::file(),
            Kind::Postgres => Self::served(Cluster::get().create().await),
        }
    }

    /// One with all tables and no rows.
    ///
    /// # Panics
    ///
    /// As [`Database::empty`].
    pub async fn migrated(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => {
                let database = Self::file();
                let migrated = migrate(&database.url).await;
                migrated.unwrap_or_else(|cause| panic!("{cause:#}"));
                database
            }
            Kind::Postgres => Self::served(Cluster::get().create_migrated().await),
        }
    }

    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its address, as `DATABASE_URL` takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A store on it that goes by the database's clock.
    ///
    /// # Panics
    ///
    /// If the database does not answer.
    pub async fn store(&self) -> Store {
        self.connect(None).await
    }

    /// A store on it that goes by this clock.
    ///
    /// # Panics
    ///
    /// If the database does not answer.
    pub async fn store_at(&self, clock: &TestClock) -> Store {
        self.connect(Some(Arc::new(clock.clone()))).await
    }

    async fn connect(&self, clock: Option<Arc<dyn Clock>>) -> Store {
        let store = Store::connect(StoreOptions {
            url: self.url.clone(),
            max_connections: 4,
            clock,
        });
        store
            .await
            .unwrap_or_else(|cause| panic!("{cause}: {cause:?}"))
    }

    fn file() -> Self {
        let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
        Self {
            kind: Kind::Sqlite,
            url: format!("sqlite:{}", directory.path().join("test.db").display()),
            keeper: Keeper::Directory { _kept: directory },
        }
    }

    fn served(name: anyhow::Result<String>) -> Self {
        let name = name.unwrap_or_else(|cause| panic!("{cause:#}"));
        Self {
            kind: Kind::Postgres,
            url: Cluster::get().url_of(&name),
            keeper: Keeper::Server { name },
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Keeper::Server { name } = &self.keeper else {
            return;
        };
        // A runtime of its own: this one may be ending, and must not be blocked.
        let name = name.clone();
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(Cluster::get().drop_database(&name))
        });
        // What is left goes with the server.
        drop(dropping.join());
    }
}

/// Makes all tables in the database at this address.
pub(crate) async fn migrate(url: &str) -> anyhow::Result<()> {
    let store = Store::connect(StoreOptions {
        url: url.to_owned(),
        max_connections: 2,
        clock: None,
    });
    let store = store.await?;
    store.migrate_up().await?;
    store.close().await;
    Ok(())
}
