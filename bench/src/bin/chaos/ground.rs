//! What the fleet stands on: a database and a Redis that can be taken away.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bench::database;
use redis::aio::MultiplexedConnection;
use rustix::process::{Pid, Signal, kill_process};
use sea_orm::sqlx::{Connection as _, Executor as _, SqliteConnection};
use testkit::PostgresServer;
use testkit::redis::{Data, RedisServer};
use tokenfleet_bench as bench;
use tokio::sync::Mutex;

use crate::plan::RedisFault;

/// Longer than `up` waits for a writer.
const LOCK_PATIENCE: &str = "PRAGMA busy_timeout = 20000";
/// How long a Redis of ours may take to answer the harness.
const PATIENCE: Duration = Duration::from_secs(2);

/// The database.
#[derive(Debug)]
pub(crate) enum Base {
    /// A private server and its database.
    Postgres {
        server: Mutex<PostgresServer>,
        url: String,
    },
    /// The file of `up`.
    Sqlite { file: PathBuf },
}

/// The Redis.
#[derive(Debug)]
pub(crate) enum Dispatcher {
    /// A private server.
    Ours(Mutex<RedisServer>),
    /// The one that `up` starts, at its socket.
    OfUp { socket: PathBuf },
}

/// What holds a database that is away; dropped, a SQLite file is free again.
#[derive(Debug)]
pub(crate) struct Away(Option<SqliteConnection>);

impl Base {
    /// A private PostgreSQL with an empty database.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub(crate) async fn postgres() -> anyhow::Result<Self> {
        let server = PostgresServer::start()?;
        let url = server.create().await?;
        let server = Mutex::new(server);
        Ok(Self::Postgres { server, url })
    }

    /// Its address for the harness, which no fault cuts off.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Postgres { url, .. } => url.clone(),
            Self::Sqlite { file } => format!("sqlite:{}", file.display()),
        }
    }

    /// Where it listens, if it does.
    ///
    /// # Errors
    ///
    /// If its address names no port.
    pub(crate) fn address(&self) -> anyhow::Result<Option<SocketAddr>> {
        let Self::Postgres { url, .. } = self else {
            return Ok(None);
        };
        let (_, rest) = url.rsplit_once(':').context("an address has a port")?;
        let port = rest.split('/').next().unwrap_or_default().parse()?;
        Ok(Some((Ipv4Addr::LOCALHOST, port).into()))
    }

    /// Takes it away: PostgreSQL ends as in a crash, on SQLite we hold the write lock.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub(crate) async fn take_away(&self) -> anyhow::Result<Away> {
        match self {
            Self::Postgres { server, .. } => {
                let mut server = server.lock().await;
                tokio::task::block_in_place(|| server.halt())?;
                Ok(Away(None))
            }
            Self::Sqlite { .. } => {
                let mut holder = SqliteConnection::connect(&self.url()).await?;
                holder.execute(LOCK_PATIENCE).await?;
                holder.execute("BEGIN EXCLUSIVE").await?;
                Ok(Away(Some(holder)))
            }
        }
    }

    /// Gives it back.
    ///
    /// # Errors
    ///
    /// If it does not come back.
    pub(crate) async fn give_back(&self, away: Away) -> anyhow::Result<()> {
        if let Some(mut holder) = away.0 {
            holder.execute("ROLLBACK").await?;
            holder.close().await?;
        }
        if let Self::Postgres { server, .. } = self {
            let mut server = server.lock().await;
            tokio::task::block_in_place(|| server.resume())?;
        }
        Ok(())
    }

    /// A connection for questions that only the harness asks.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub(crate) async fn connect(&self) -> anyhow::Result<sea_orm::DatabaseConnection> {
        database::connect(&self.url()).await
    }
}

impl Dispatcher {
    /// Where it listens, if it does.
    pub(crate) async fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Ours(server) => Some((Ipv4Addr::LOCALHOST, server.lock().await.port()).into()),
            Self::OfUp { .. } => None,
        }
    }

    /// Does this to it for so long. Where `up` runs it and does not run itself, nothing is done.
    ///
    /// # Errors
    ///
    /// If a server of ours does not come back.
    pub(crate) async fn suffer(&self, fault: RedisFault, lasts: Duration) -> anyhow::Result<()> {
        match (fault, self) {
            (RedisFault::Flushed, _) => drop(self.tell(&["FLUSHALL"]).await),
            (RedisFault::Paused, _) => {
                let millis = lasts.as_millis().to_string();
                drop(self.tell(&["CLIENT", "PAUSE", &millis, "ALL"]).await);
                tokio::time::sleep(lasts).await;
            }
            (_, Self::Ours(server)) => {
                let mut server = server.lock().await;
                server.halt(data(fault)).await?;
                tokio::time::sleep(lasts).await;
                server.resume().await?;
            }
            // `up` starts it again by itself.
            (_, Self::OfUp { .. }) => drop(self.end_child(fault).await),
        }
        Ok(())
    }

    async fn end_child(&self, fault: RedisFault) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        let info: String = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut connection)
            .await?;
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("process_id:"));
        let pid = line.context("a server knows its process")?.trim().parse()?;
        let signal = match fault {
            RedisFault::Killed => Signal::KILL,
            _ => Signal::TERM,
        };
        kill_process(Pid::from_raw(pid).context("a process has an id")?, signal)?;
        Ok(())
    }

    async fn tell(&self, words: &[&str]) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query_async::<()>(&mut connection).await?;
        Ok(())
    }

    async fn connection(&self) -> anyhow::Result<MultiplexedConnection> {
        let url = match self {
            Self::Ours(server) => server.lock().await.url(),
            Self::OfUp { socket } => format!("redis+unix://{}", socket.display()),
        };
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(url)?;
        Ok(client
            .get_multiplexed_async_connection_with_config(&config)
            .await?)
    }
}

fn data(fault: RedisFault) -> Data {
    match fault {
        RedisFault::Killed => Data::Lost,
        _ => Data::Kept,
    }
}
