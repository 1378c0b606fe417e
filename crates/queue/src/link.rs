//! One connection to Redis that comes back.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError};
use redis::{Pipeline, ServerErrorKind};
use tokio::sync::Mutex;

use crate::script::Script;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Who asks this soon after a failed attempt gets the same answer at once, so
/// that callers do not queue up behind one another's timeouts.
const RECENT: Duration = Duration::from_millis(50);

/// A connection that is opened when it is first used, given up when it breaks
/// or falls silent, and opened again by the next use.
#[derive(Debug)]
pub(crate) struct Link {
    client: Client,
    name: String,
    response_timeout: Duration,
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    opened: u64,
    connection: Option<Connection>,
    failed_at: Option<Instant>,
}

#[derive(Clone)]
struct Connection {
    id: u64,
    redis: MultiplexedConnection,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({})", self.id)
    }
}

impl Link {
    /// Nothing is opened yet.
    pub(crate) fn new(client: Client, name: String, response_timeout: Duration) -> Self {
        Self {
            client,
            name,
            response_timeout,
            slot: Mutex::default(),
        }
    }

    /// Another connection to the same server, whose answers may take this long.
    pub(crate) fn sibling(&self, response_timeout: Duration) -> Self {
        Self::new(self.client.clone(), self.name.clone(), response_timeout)
    }

    /// A connection in subscriber mode, which is not shared.
    pub(crate) async fn pubsub(&self) -> Result<redis::aio::PubSub, RedisError> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.client.get_async_pubsub())
            .await
            .unwrap_or_else(|_| Err(unreachable("no answer to a connection attempt")))
    }

    /// Sends a command that may be sent twice.
    pub(crate) async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, RedisError> {
        let mut connection = self.connection().await?;
        match cmd.query_async(&mut connection.redis).await {
            Err(error) if self.gave_up(&connection, &error).await => {
                let mut connection = self.connection().await?;
                let answer = cmd.query_async(&mut connection.redis).await;
                self.watch(&connection, answer).await
            }
            answer => self.watch(&connection, answer).await,
        }
    }

    /// Sends commands that only read, as one.
    pub(crate) async fn query_all<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, RedisError> {
        let mut connection = self.connection().await?;
        match pipeline.query_async(&mut connection.redis).await {
            Err(error) if self.gave_up(&connection, &error).await => {
                let mut connection = self.connection().await?;
                let answer = pipeline.query_async(&mut connection.redis).await;
                self.watch(&connection, answer).await
            }
            answer => self.watch(&connection, answer).await,
        }
    }

    /// Calls a script, and loads it first if Redis does not know it (yet, or any more).
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        script: &Script,
        cmd: &Cmd,
    ) -> Result<T, RedisError> {
        match self.query(cmd).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let mut load = redis::cmd("SCRIPT");
                load.arg("LOAD").arg(script.source());
                self.query::<()>(&load).await?;
                self.query(cmd).await
            }
            answer => answer,
        }
    }

    async fn connection(&self) -> Result<Connection, RedisError> {
        let mut slot = self.slot.lock().await;
        if let Some(connection) = &slot.connection {
            return Ok(connection.clone());
        }
        if slot.failed_at.is_some_and(|at| at.elapsed() < RECENT) {
            return Err(unreachable("a connection attempt has just failed"));
        }
        match self.open().await {
            Ok(redis) => {
                slot.opened += 1;
                let id = slot.opened;
                slot.failed_at = None;
                Ok(slot.connection.insert(Connection { id, redis }).clone())
            }
            Err(error) => {
                slot.failed_at = Some(Instant::now());
                Err(error)
            }
        }
    }

    async fn open(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.response_timeout));
        let mut redis = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let mut name = redis::cmd("CLIENT");
        name.arg("SETNAME").arg(&self.name);
        // A server that does not allow it serves us all the same.
        let _ = name.query_async::<()>(&mut redis).await;
        Ok(redis)
    }

    /// Whether the connection broke before it was used, so that sending again makes sense.
    async fn gave_up(&self, connection: &Connection, error: &RedisError) -> bool {
        let broken = error.is_connection_dropped();
        if broken {
            self.discard(connection).await;
        }
        broken
    }

    /// A connection that broke or fell silent is not used again.
    async fn watch<T>(
        &self,
        connection: &Connection,
        answer: Result<T, RedisError>,
    ) -> Result<T, RedisError> {
        if let Err(error) = &answer
            && (error.is_io_error() || error.is_unrecoverable_error())
        {
            self.discard(connection).await;
        }
        answer
    }

    async fn discard(&self, broken: &Connection) {
        let mut slot = self.slot.lock().await;
        if slot.connection.as_ref().is_some_and(|c| c.id == broken.id) {
            slot.connection = None;
        }
    }
}

fn unreachable(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Io, why))
}
