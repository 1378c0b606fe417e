//! One connection to Redis that comes back.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Arg, AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisError};
use redis::{Pipeline, ServerErrorKind};
use servers::{Server, slot_of};
use tokio::sync::Mutex;

use crate::script::Script;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that is opened when it is first used, given up when it breaks
/// or falls silent, and opened again by the next use.
#[derive(Debug)]
pub(crate) struct Link {
    server: Server,
    /// In a cluster: whose keeper is meant.
    cluster_slot: Option<u16>,
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
    pub(crate) fn new(server: Server, name: String, response_timeout: Duration) -> Self {
        Self {
            server,
            cluster_slot: None,
            name,
            response_timeout,
            slot: Mutex::default(),
        }
    }

    /// Another connection to the same server, whose answers may take this long.
    pub(crate) fn sibling(&self, response_timeout: Duration) -> Self {
        Self {
            cluster_slot: self.cluster_slot,
            ..Self::new(self.server.clone(), self.name.clone(), response_timeout)
        }
    }

    /// The link to the server that keeps the keys with this hash tag; `None` if it is this one.
    pub(crate) fn to_keeper_of(&self, tag: &str) -> Option<Self> {
        self.server.is_cluster().then(|| Self {
            cluster_slot: Some(slot_of(tag)),
            ..self.sibling(self.response_timeout)
        })
    }

    /// A connection in subscriber mode, which is not shared.
    pub(crate) async fn pubsub(&self) -> Result<redis::aio::PubSub, RedisError> {
        let open = async {
            let client = self.server.client(self.cluster_slot).await?;
            client.get_async_pubsub().await
        };
        tokio::time::timeout(CONNECT_TIMEOUT, open)
            .await
            .unwrap_or_else(|_| Err(unreachable("no answer to a connection attempt")))
    }

    /// Sends a command that may be sent twice.
    pub(crate) async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, RedisError> {
        match self.query_once(cmd).await {
            Err(error) if error.is_connection_dropped() => self.query_once(cmd).await,
            answer => answer,
        }
    }

    /// Sends a command that must not be sent twice: if the connection breaks, the
    /// caller is told, and cannot know whether it was done.
    pub(crate) async fn query_once<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, RedisError> {
        match self.attempt(cmd).await {
            // It was not done: somebody else keeps the keys by now.
            Err(error) if is_elsewhere(&error) => self.attempt(cmd).await,
            answer => answer,
        }
    }

    async fn attempt<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, RedisError> {
        let mut connection = self.connection().await?;
        let answer = cmd.query_async(&mut connection.redis).await;
        self.watch(&connection, answer).await
    }

    /// Sends commands that only read, as one.
    pub(crate) async fn query_all<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, RedisError> {
        match self.query_all_once(pipeline).await {
            Err(error) if error.is_connection_dropped() || is_elsewhere(&error) => {
                self.query_all_once(pipeline).await
            }
            answer => answer,
        }
    }

    async fn query_all_once<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, RedisError> {
        let mut connection = self.connection().await?;
        let answer = pipeline.query_async(&mut connection.redis).await;
        self.watch(&connection, answer).await
    }

    /// Calls a script that may be called twice.
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        script: &Script,
        cmd: &Cmd,
    ) -> Result<T, RedisError> {
        match self.query(cmd).await {
            Err(error) if is_unknown(&error) => self.query(&with_source(script, cmd)).await,
            answer => answer,
        }
    }

    /// Calls a script that must not be called twice; see [`Link::query_once`].
    pub(crate) async fn call_once<T: FromRedisValue>(
        &self,
        script: &Script,
        cmd: &Cmd,
    ) -> Result<T, RedisError> {
        match self.query_once(cmd).await {
            Err(error) if is_unknown(&error) => self.query_once(&with_source(script, cmd)).await,
            answer => answer,
        }
    }

    async fn connection(&self) -> Result<Connection, RedisError> {
        let asked_at = Instant::now();
        let mut slot = self.slot.lock().await;
        if let Some(connection) = &slot.connection {
            return Ok(connection.clone());
        }
        // Who stood in line behind an attempt that failed shares its answer, or else the
        // last in line would wait for everybody's timeout.
        if slot.failed_at.is_some_and(|at| at > asked_at) {
            return Err(unreachable("the connection attempt failed"));
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
        let client = tokio::time::timeout(CONNECT_TIMEOUT, self.server.client(self.cluster_slot));
        let client = client
            .await
            .unwrap_or_else(|_| Err(unreachable("nobody told where Redis is")))?;
        let mut redis = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let mut name = redis::cmd("CLIENT");
        name.arg("SETNAME").arg(&self.name);
        // A server that does not allow it serves us all the same.
        let _ = name.query_async::<()>(&mut redis).await;
        Ok(redis)
    }

    /// A connection that broke or fell silent is not used again, nor is one to a server that
    /// lost its office.
    async fn watch<T>(
        &self,
        connection: &Connection,
        answer: Result<T, RedisError>,
    ) -> Result<T, RedisError> {
        if let Err(error) = &answer
            && (error.is_io_error() || error.is_unrecoverable_error() || is_elsewhere(error))
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

/// The same call with the whole script, which Redis keeps: it forgets scripts when it restarts,
/// or is told to, even between two calls of ours.
fn with_source(script: &Script, cmd: &Cmd) -> Cmd {
    let mut whole = redis::cmd("EVAL");
    whole.arg(script.source());
    for arg in cmd.args_iter().skip(2) {
        if let Arg::Simple(bytes) = arg {
            whole.arg(bytes);
        }
    }
    whole
}

fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// The keys moved in their cluster, or the master has become a replica.
fn is_elsewhere(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::ReadOnly)
    )
}

fn unreachable(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Io, why))
}
