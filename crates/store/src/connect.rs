//! The handle that everything else hangs on: opening, migrating, closing.

use std::sync::Arc;

use domain::{Clock, Timestamp};
use migration::MigrationStatus;

use crate::lane::Lane;
use crate::pools::Pools;
use crate::{ConnectError, Dialect, SchemaError, StoreError, pools};

/// Where the database is, and how it is used.
#[derive(Clone)]
pub struct StoreOptions {
    /// `sqlite:path?…` or `postgres://…`; it may hold a password and is not shown.
    pub url: String,
    /// Connections of the pool, at least 2; on SQLite the readers beside the one writer.
    pub max_connections: u32,
    /// For tests: what "now" is instead of the database's clock.
    pub clock: Option<Arc<dyn Clock>>,
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreOptions")
            .field("max_connections", &self.max_connections)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// The database; clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pools: Arc<Pools>,
    pub(crate) leases: Lane,
    /// Apart from the leases, so that neither waits for the other's commit.
    pub(crate) outcomes: Lane,
}

impl Store {
    /// Opens the database; makes the file if there is none. Its tables are not touched.
    ///
    /// Must be called inside a tokio runtime: a task that gathers leases and
    /// outcomes runs until the last clone is gone.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the address is not one, or nobody answers there.
    pub async fn connect(options: StoreOptions) -> Result<Self, ConnectError> {
        let pools = Arc::new(Pools::open(options).await?);
        let leases = Lane::start(Arc::clone(&pools));
        let outcomes = Lane::start(Arc::clone(&pools));
        Ok(Self {
            pools,
            leases,
            outcomes,
        })
    }

    /// Applies what migrations are pending; several processes may do so at once.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Newer`] if the database is newer than this program, and
    /// [`SchemaError::Store`] if a migration failed: then none was applied.
    pub async fn migrate_up(&self) -> Result<(), SchemaError> {
        match self.check_schema().await {
            Err(SchemaError::Pending(_)) => migration::up(&self.pools.writer)
                .await
                .map_err(|cause| SchemaError::Store(cause.into())),
            other => other,
        }
    }

    /// Takes the latest `steps` migrations back, with the data in their tables.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if one failed: then none was taken back.
    pub async fn migrate_down(&self, steps: u32) -> Result<(), StoreError> {
        Ok(migration::down(&self.pools.writer, steps).await?)
    }

    /// Where every migration stands, the oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database is away.
    pub async fn migrations(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        Ok(migration::status(&self.pools.reader).await?)
    }

    /// Whether the tables are those of this version.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] says what is missing, or is there and not known.
    pub async fn check_schema(&self) -> Result<(), SchemaError> {
        let (mut pending, mut newer) = (Vec::new(), Vec::new());
        for migration in self.migrations().await? {
            match migration {
                MigrationStatus::Applied(_) => {}
                MigrationStatus::Pending(name) => pending.push(name),
                MigrationStatus::Newer(name) => newer.push(name),
            }
        }
        match (newer.is_empty(), pending.is_empty()) {
            (false, _) => Err(SchemaError::Newer(newer)),
            (true, false) => Err(SchemaError::Pending(pending)),
            (true, true) => Ok(()),
        }
    }

    /// The database's clock.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database is away.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        pools::now(&self.pools.reader, &self.pools.sql).await
    }

    /// Whether the database answers; for readiness.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.now().await.map(drop)
    }

    /// Which database it is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.pools.sql.dialect
    }

    /// Closes all connections, also those of clones, once what is under way is stored.
    pub async fn close(self) {
        self.leases.drained().await;
        self.outcomes.drained().await;
        self.pools.close().await;
    }
}
