//! The connections, and the few ways in which statements are carried out.

use std::sync::Mutex;
use std::time::Duration;

use domain::Timestamp;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, Connection as _, Executor as _, PgConnection};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    QueryResult, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait as _, Value,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::kept::Kept;
use crate::sql::Sql;
use crate::{ConnectError, Dialect, StoreError, StoreOptions};

/// How long a statement waits for a connection of the pool.
const ACQUIRE: Duration = Duration::from_secs(10);
/// How long a process waits for another one that writes to the same SQLite file.
const BUSY: Duration = Duration::from_secs(10);
/// Pages of 4 KiB in SQLite's log after which they go to their places in the file. Among
/// a million channels each refresh touches pages of its own: eight times the default
/// makes eight times fewer seeks and flushes.
const CHECKPOINT_PAGES: &str = "8000";
/// A connection that was idle for longer is asked whether it lives before it is used.
pub(crate) const STALE: Duration = Duration::from_secs(5);

/// Every statement here walks an index. A plan lives as long as its connection, and one
/// that was made while a table was small must not read all of it later; nor does a
/// statement of milliseconds gain from being compiled.
const PLANNER: &str = "
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET jit = off";

/// The connections: on SQLite one writer and some readers, so that reading
/// never waits for writing; on PostgreSQL both are the same pool.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(crate) reader: DatabaseConnection,
    pub(crate) writer: DatabaseConnection,
    pub(crate) kept: Kept,
    /// How many a pool has at most.
    connections: u32,
    pub(crate) sql: Sql,
    /// Up to which attempt the history was pruned by this process.
    pub(crate) pruned_to: Mutex<Uuid>,
}

impl Pools {
    pub(crate) async fn open(options: StoreOptions) -> Result<Self, ConnectError> {
        let scheme = options.url.split(':').next().unwrap_or_default();
        let (dialect, (writer, reader)) = match scheme {
            "sqlite" => (Dialect::Sqlite, open_sqlite(&options).await?),
            "postgres" | "postgresql" => (Dialect::Postgres, open_postgres(&options).await?),
            _ => return Err(ConnectError::UnknownScheme),
        };
        Ok(Self {
            kept: Kept::new(options.max_connections),
            connections: options.max_connections,
            reader,
            writer,
            sql: Sql::new(dialect, options.clock),
            pruned_to: Mutex::new(Uuid::nil()),
        })
    }

    /// A transaction that writes.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = TransactionOptions {
            // One that reads first and writes later could not wait for another writer.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(self.writer.begin_with_options(options).await?)
    }

    /// The rows that a reading statement finds.
    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<QueryResult>, StoreError> {
        self.past_dead_connections(|| self.reader.query_all_raw(statement.clone()))
            .await
    }

    /// The rows of a text of SQL with its parameters.
    pub(crate) async fn select(
        &self,
        text: &str,
        values: impl Into<Vec<Value>>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        self.read(self.sql.statement(text, values.into())).await
    }

    /// The one row of a text of SQL with its parameters.
    pub(crate) async fn select_one(
        &self,
        text: &str,
        values: impl Into<Vec<Value>>,
    ) -> Result<Option<QueryResult>, StoreError> {
        let statement = self.sql.statement(text, values.into());
        self.past_dead_connections(|| one(&self.reader, statement.clone()))
            .await
    }

    /// Reads, and reads again where the connection turned out to be dead: a database that was
    /// away for a moment leaves a pool of them behind, and each would cost a reader its answer.
    async fn past_dead_connections<T, F>(&self, read: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        for _ in 0..self.connections {
            match read().await.map_err(StoreError::from) {
                // The pool drops it, and the next one may live.
                Err(error) if error.is_dead_connection() => {}
                done => return done,
            }
        }
        Ok(read().await?)
    }

    /// Carries out a text of SQL that writes, and says how many rows it touched.
    pub(crate) async fn write(
        &self,
        text: &str,
        values: impl Into<Vec<Value>>,
    ) -> Result<u64, StoreError> {
        self.execute(self.sql.statement(text, values.into())).await
    }

    /// Carries out one writing statement, and says how many rows it touched.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<u64, StoreError> {
        Ok(self.writer.execute_raw(statement).await?.rows_affected())
    }

    /// The row that one writing statement returns.
    pub(crate) async fn write_returning(
        &self,
        text: &str,
        values: impl Into<Vec<Value>>,
    ) -> Result<Option<QueryResult>, StoreError> {
        let statement = self.sql.statement(text, values.into());
        Ok(one(&self.writer, statement).await?)
    }

    pub(crate) async fn close(&self) {
        self.kept.give_back();
        for pool in [&self.writer, &self.reader] {
            if let Err(cause) = pool.close_by_ref().await {
                tracing::debug!(error = %cause, "a connection did not close cleanly");
            }
        }
    }
}

/// The row that a statement returns.
///
/// All of them are fetched: SQLite commits a statement of its own at its end, after its rows, and
/// who stops at the first row never hears that the commit failed, say of a disk that is full.
pub(crate) async fn one(
    db: &impl ConnectionTrait,
    statement: Statement,
) -> Result<Option<QueryResult>, DbErr> {
    Ok(db.query_all_raw(statement).await?.into_iter().next())
}

/// The database's clock, inside a transaction or outside.
pub(crate) async fn now(db: &impl ConnectionTrait, sql: &Sql) -> Result<Timestamp, StoreError> {
    let row = one(db, sql.statement("SELECT {now} AS now", Vec::new()))
        .await?
        .ok_or_else(|| StoreError::unreadable("the clock", "no row"))?;
    Ok(Timestamp::from_millis(row.try_get("", "now")?))
}

async fn open_sqlite(
    options: &StoreOptions,
) -> Result<(DatabaseConnection, DatabaseConnection), ConnectError> {
    if options.url.contains(":memory:") || options.url.contains("mode=memory") {
        return Err(ConnectError::InMemory);
    }
    let file = || {
        let mut pool = common(options);
        // A file does not hang up: there is nothing to ask a connection before its use.
        pool.test_before_acquire(false);
        pool
    };
    let mut writer = file();
    // A commit that fails, say of a disk that is full, rolls back by itself. The driver does not
    // know it: to it the next transaction is a part of that one, and would never be committed.
    writer.map_sqlx_sqlite_before_acquire(|connection, _| {
        let is_whole = !connection.is_in_transaction();
        Box::pin(async move { Ok(is_whole) })
    });
    writer.max_connections(1).map_sqlx_sqlite_opts(|file| {
        file.create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was confirmed survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .foreign_keys(true)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
    });
    let mut reader = file();
    reader.map_sqlx_sqlite_opts(|file| file.busy_timeout(BUSY).pragma("query_only", "ON"));
    // The writer first: it makes the file and turns the log on.
    Ok((open(writer).await?, open(reader).await?))
}

async fn open_postgres(
    options: &StoreOptions,
) -> Result<(DatabaseConnection, DatabaseConnection), ConnectError> {
    let mut pool = common(options);
    pool.set_application_name("tokenfleet")
        .test_before_acquire_if_idle_for(STALE)
        .map_sqlx_postgres_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move { connection.execute(PLANNER).await.map(drop) })
            })
        });
    match open(pool).await {
        Ok(pool) => Ok((pool.clone(), pool)),
        Err(error) => Err(told_by_the_server(&options.url).await.unwrap_or(error)),
    }
}

/// Why PostgreSQL cannot be reached: the pool tries again and again, and then tells that its time is
/// over. `None` if it answers by now.
async fn told_by_the_server(url: &str) -> Option<ConnectError> {
    let error = match timeout(ACQUIRE, PgConnection::connect(url)).await {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error,
        Err(_) => sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
    };
    let error = RuntimeErr::SqlxError(error.into());
    Some(ConnectError::Unreachable(DbErr::Conn(error)))
}

fn common(options: &StoreOptions) -> ConnectOptions {
    let mut pool = ConnectOptions::new(&options.url);
    pool.max_connections(options.max_connections.max(2))
        .acquire_timeout(ACQUIRE)
        .sqlx_logging(false);
    pool
}

async fn open(options: ConnectOptions) -> Result<DatabaseConnection, ConnectError> {
    Database::connect(options)
        .await
        .map_err(ConnectError::Unreachable)
}
