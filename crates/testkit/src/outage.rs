//! A database that is away for a while.

use anyhow::Context as _;
use sea_orm::sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::cluster::Cluster;
use crate::{Database, Kind};

/// Nobody can write to a database: on SQLite somebody holds its one write lock, on
/// PostgreSQL every connection is cut and no new one is let in. To be ended, or the
/// test's database stays so.
#[derive(Debug)]
pub struct Outage {
    holder: Option<SqliteConnection>,
    name: Option<String>,
}

impl Database {
    /// Takes the database away from everybody.
    ///
    /// # Panics
    ///
    /// If it cannot be taken away.
    pub async fn outage(&self) -> Outage {
        let begun = match self.kind() {
            Kind::Sqlite => lock(self.url()).await,
            Kind::Postgres => close(self.url()).await,
        };
        begun.unwrap_or_else(|cause| panic!("{cause:#}"))
    }
}

impl Outage {
    /// Gives it back.
    ///
    /// # Panics
    ///
    /// If it cannot be given back.
    pub async fn end(self) {
        if let Some(mut holder) = self.holder {
            let released = holder.execute("ROLLBACK").await;
            released.expect("the transaction is open");
        }
        if let Some(name) = self.name {
            let opened = allow(&name, true).await;
            opened.unwrap_or_else(|cause| panic!("{cause:#}"));
        }
    }
}

async fn lock(url: &str) -> anyhow::Result<Outage> {
    let mut holder = SqliteConnection::connect(url).await?;
    holder
        .execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE")
        .await?;
    Ok(Outage {
        holder: Some(holder),
        name: None,
    })
}

async fn close(url: &str) -> anyhow::Result<Outage> {
    let address = url.split('?').next().unwrap_or(url);
    let (_, name) = address.rsplit_once('/').context("an address has a path")?;
    allow(name, false).await?;
    let cut =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    Cluster::get().execute(cut).await?;
    Ok(Outage {
        holder: None,
        name: Some(name.to_owned()),
    })
}

async fn allow(name: &str, connections: bool) -> anyhow::Result<()> {
    let text = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {connections}");
    Cluster::get().execute(text).await
}
