//! A connection to whatever kind of Redis it is, opened when it is first used, given up when it
//! breaks, and opened again by the next use.

use std::pin::Pin;
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture,
    ServerErrorKind, Value,
};
use servers::Server;
use tokio::sync::Mutex;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer that vanished is given up after this long; the default is a quarter of an hour.
const SILENCE: Duration = Duration::from_secs(5);

/// Where connections come from.
pub(crate) struct Wire {
    server: Server,
    response_timeout: Duration,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    opened: u64,
    connection: Option<Connection>,
    failed_at: Option<Instant>,
}

/// A connection that all callers share.
#[derive(Clone)]
pub(crate) struct Connection {
    id: u64,
    to: To,
}

#[derive(Clone)]
enum To {
    /// The one server, or the master of the day.
    One(MultiplexedConnection),
    /// Whoever keeps the key.
    Cluster(ClusterConnection),
}

impl Wire {
    /// Nothing is opened yet.
    pub(crate) fn new(server: Server, response_timeout: Duration) -> Self {
        Self {
            server,
            response_timeout,
            slot: Mutex::default(),
        }
    }

    pub(crate) async fn connection(&self) -> Result<Connection, RedisError> {
        let asked_at = Instant::now();
        let mut slot = self.slot.lock().await;
        if let Some(connection) = &slot.connection {
            return Ok(connection.clone());
        }
        // Who stood in line behind an attempt that failed shares its answer.
        if slot.failed_at.is_some_and(|at| at > asked_at) {
            return Err(unreachable("the connection attempt failed"));
        }
        let open: Pin<Box<dyn Future<Output = _> + Send + '_>> = Box::pin(self.open());
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, open).await;
        match opened.unwrap_or_else(|_| Err(unreachable("no answer to a connection attempt"))) {
            Ok(to) => {
                slot.opened += 1;
                slot.failed_at = None;
                let id = slot.opened;
                Ok(slot.connection.insert(Connection { id, to }).clone())
            }
            Err(error) => {
                slot.failed_at = Some(Instant::now());
                Err(error)
            }
        }
    }

    async fn open(&self) -> Result<To, RedisError> {
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_user_timeout(SILENCE);
        if let Server::Cluster(nodes) = &self.server {
            let cluster = ClusterClient::builder(nodes.clone())
                .connection_timeout(CONNECT_TIMEOUT)
                .response_timeout(self.response_timeout)
                .tcp_settings(tcp)
                .build()?;
            return Ok(To::Cluster(cluster.get_async_connection().await?));
        }
        let client = self.server.client(None).await?;
        let address = client.get_connection_info().clone().set_tcp_settings(tcp);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.response_timeout));
        let client = Client::open(address)?;
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        Ok(To::One(connection.await?))
    }

    /// A connection that broke or fell silent is not used again, nor is one to a server that lost
    /// its office.
    pub(crate) async fn watch(&self, connection: &Connection, error: &RedisError) {
        if !(error.is_io_error() || error.is_unrecoverable_error() || is_elsewhere(error)) {
            return;
        }
        let mut slot = self.slot.lock().await;
        if slot
            .connection
            .as_ref()
            .is_some_and(|it| it.id == connection.id)
        {
            slot.connection = None;
        }
    }
}

/// Whether the master has become a replica: nothing was done.
pub(crate) fn is_elsewhere(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

fn unreachable(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Io, why))
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.to {
            To::One(one) => one.req_packed_command(cmd),
            To::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.to {
            To::One(one) => one.req_packed_commands(cmd, offset, count),
            To::Cluster(cluster) => cluster.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.to {
            To::One(one) => one.get_db(),
            To::Cluster(cluster) => cluster.get_db(),
        }
    }
}
