//! The databases that a benchmark runs on.

use std::path::Path;

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend};
use testkit::PostgresServer;

/// An empty database, which goes when this is dropped if we made it.
#[derive(Debug)]
pub struct Scratch {
    /// Its address, as `DATABASE_URL` takes it.
    pub url: String,
    /// The process whose children serve it, if there is one and we know it.
    pub postmaster: Option<u32>,
    _server: Option<PostgresServer>,
}

impl Scratch {
    /// `sqlite` in this directory, `postgres` on a private server with PostgreSQL's own
    /// settings, or the address of a database that somebody else made.
    ///
    /// # Errors
    ///
    /// If PostgreSQL does not start.
    pub async fn of(kind: &str, directory: &Path) -> anyhow::Result<Self> {
        let (url, server) = match kind {
            "sqlite" => {
                let file = directory.join("bench.db");
                (format!("sqlite:{}", file.display()), None)
            }
            "postgres" => {
                let server = PostgresServer::start()?;
                (server.create().await?, Some(server))
            }
            url => (url.to_owned(), None),
        };
        Ok(Self {
            url,
            postmaster: server.as_ref().map(PostgresServer::pid),
            _server: server,
        })
    }

    /// `sqlite` or `postgres`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.url.starts_with("sqlite:") {
            "sqlite"
        } else {
            "postgres"
        }
    }
}

/// A connection for statements that only a benchmark makes.
///
/// # Errors
///
/// If the database does not answer.
pub async fn connect(url: &str) -> anyhow::Result<DatabaseConnection> {
    Ok(Database::connect(url).await?)
}

/// What time does to a database that was just filled: autovacuum and a checkpoint
/// on PostgreSQL, a checkpoint on SQLite.
///
/// # Errors
///
/// If the database does not answer, or does not let us.
pub async fn tidy(db: &DatabaseConnection) -> anyhow::Result<()> {
    let statements: &[&str] = match db.get_database_backend() {
        DbBackend::Postgres => &["VACUUM (ANALYZE)", "CHECKPOINT"],
        _ => &["PRAGMA wal_checkpoint(TRUNCATE)"],
    };
    for statement in statements {
        db.execute_unprepared(statement).await?;
    }
    Ok(())
}
