//! Which Redis server to talk to: the one at an address, the master that Sentinels name, or the
//! shard of a cluster that keeps a slot.
//!
//! | URL | [`Server`] |
//! | --- | --- |
//! | `redis://…`, `rediss://…` (TLS), `redis+unix:///PATH`, `unix:///PATH` | one server, whatever happens |
//! | `redis+sentinel://[USER:PASSWORD@]HOST[:26379],HOST…/SERVICE[/DB]` | the master of a service; the log-in is the master's |
//! | `redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT…` | a cluster; `redis-cluster://…` is the same |
//!
//! `rediss+sentinel://`, `rediss+cluster://` and `rediss-cluster://` with TLS.

use redis::sentinel::{Sentinel, SentinelNodeConnectionInfo};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, RedisError,
    TlsMode, Value,
};

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// A Redis as its URL names it. Sentinels and clusters are asked again with every connection
/// that is opened, so that a failover is followed by whoever reconnects.
#[derive(Clone)]
pub enum Server {
    /// One server, whatever happens.
    Fixed(Client),
    /// The master of a service.
    Sentinel {
        /// Any of which may be asked.
        sentinels: Vec<ConnectionInfo>,
        /// The master's name there.
        service: String,
        /// What is said to the master besides its address.
        master: SentinelNodeConnectionInfo,
    },
    /// Nodes of a cluster, any of which may be asked who keeps a slot.
    Cluster(Vec<ConnectionInfo>),
}

impl std::fmt::Debug for Server {
    /// Without addresses: they may hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "Fixed",
            Self::Sentinel { .. } => "Sentinel",
            Self::Cluster(_) => "Cluster",
        })
    }
}

impl Server {
    /// Reads a URL as the table above has them; `None` if it is no such URL.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let parts = scheme.split_once(['+', '-']).filter(|it| it.1 != "unix");
        let Some((base, kind)) = parts else {
            return Client::open(url).ok().map(Self::Fixed);
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = hosts.rsplit_once('@').unwrap_or(("", hosts));
        let at = if login.is_empty() { "" } else { "@" };
        let node = |host: &str, db: &str| {
            let login = format!("{base}://{login}{at}{host}/{db}");
            login.into_connection_info().ok()
        };
        let hosts = hosts.split(',');
        match (base, kind) {
            ("redis" | "rediss", "cluster") if path.is_empty() || path == "0" => {
                let nodes = hosts.map(|host| node(host, "0")).collect::<Option<_>>()?;
                Some(Self::Cluster(nodes))
            }
            ("redis" | "rediss", "sentinel") => {
                let (service, db) = path.split_once('/').unwrap_or((path, "0"));
                // What the URL says besides the hosts is said to the master.
                let settings = node("master", db)?.redis_settings().clone();
                let mut master =
                    SentinelNodeConnectionInfo::default().set_redis_connection_info(settings);
                if base == "rediss" {
                    master = master.set_tls_mode(TlsMode::Secure);
                }
                let sentinels = hosts.map(|host| sentinel(base, host));
                let sentinels = sentinels.collect::<Option<_>>()?;
                (!service.is_empty()).then_some(Self::Sentinel {
                    sentinels,
                    service: service.to_owned(),
                    master,
                })
            }
            _ => None,
        }
    }

    /// Whether each key may live on another server.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// The server that keeps this slot at present; any, without a slot. Who is no cluster has
    /// only one. Bound the time: nodes and Sentinels that are away are asked one after the other.
    ///
    /// # Errors
    ///
    /// If no Sentinel names a master, or no node the keeper of the slot.
    pub async fn client(&self, slot: Option<u16>) -> Result<Client, RedisError> {
        match self {
            Self::Fixed(client) => Ok(client.clone()),
            Self::Sentinel {
                sentinels,
                service,
                master,
            } => {
                let mut sentinel = Sentinel::build(sentinels.clone())?;
                sentinel.async_master_for(service, Some(master)).await
            }
            Self::Cluster(nodes) => {
                let mut failure = nowhere("the cluster has no nodes");
                for node in nodes {
                    match keeper(node, slot).await {
                        Ok(client) => return Ok(client),
                        Err(error) => failure = error,
                    }
                }
                Err(failure)
            }
        }
    }
}

/// A Sentinel; their port is known.
fn sentinel(base: &str, host: &str) -> Option<ConnectionInfo> {
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if has_port { "" } else { ":26379" };
    format!("{base}://{host}{port}").into_connection_info().ok()
}

/// The master that keeps a slot, as this node of its cluster knows it.
async fn keeper(node: &ConnectionInfo, slot: Option<u16>) -> Result<Client, RedisError> {
    let client = Client::open(node.clone())?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let mut ask = redis::cmd("CLUSTER");
    let ranges: Vec<Vec<Value>> = ask.arg("SLOTS").query_async(&mut redis).await?;
    let Some(slot) = slot else {
        return Ok(client);
    };
    for range in ranges {
        let [from, to, master, ..] = range.as_slice() else {
            continue;
        };
        let from: u16 = redis::from_redis_value(from.clone())?;
        let to: u16 = redis::from_redis_value(to.clone())?;
        if (from..=to).contains(&slot) {
            let master: Vec<Value> = redis::from_redis_value(master.clone())?;
            return Client::open(moved_to(node, &master)?);
        }
    }
    Err(nowhere("no node of the cluster keeps the queue's slot"))
}

/// The same log-in at the address of another node: host, port, and more that we need not know.
fn moved_to(node: &ConnectionInfo, address: &[Value]) -> Result<ConnectionInfo, RedisError> {
    let [host, port, ..] = address else {
        return Err(nowhere("the cluster told no address"));
    };
    // A node that does not know its own name leaves it out: it is the one that we asked.
    let told: Option<String> = redis::from_redis_value(host.clone())?;
    let told = told.filter(|host| !host.is_empty() && host != "?");
    let port: u16 = redis::from_redis_value(port.clone())?;
    let addr = match node.addr() {
        ConnectionAddr::Tcp(own, _) => {
            ConnectionAddr::Tcp(told.unwrap_or_else(|| own.clone()), port)
        }
        ConnectionAddr::TcpTls {
            host: own,
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host: told.unwrap_or_else(|| own.clone()),
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        other => other.clone(),
    };
    Ok(node.clone().set_addr(addr))
}

fn nowhere(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Io, why))
}

/// The slot of a hash tag: CRC16 (XMODEM) modulo the number of slots, as the cluster's
/// specification has it.
#[must_use]
pub fn slot_of(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x1021
            }
        })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // CRC16 of "123456789" is 0x31C3; `CLUSTER KEYSLOT` says the others.
        assert_eq!(slot_of("123456789"), 0x31C3 % SLOTS);
        assert_eq!([slot_of("foo"), slot_of("bar")], [12_182, 5_061]);
    }

    #[test]
    fn urls_name_a_server_sentinels_or_a_cluster() {
        let kind = |url| Server::parse(url).map(|server| format!("{server:?}"));
        let known = [
            ("redis://:pw@h:6379/1", "Fixed"),
            ("redis+unix:///run/redis.sock", "Fixed"),
            ("redis+sentinel://:pw@a,b:26380/mymaster/2", "Sentinel"),
            ("rediss+cluster://user:pw@a:7000,b:7001", "Cluster"),
            ("redis-cluster://a:7000,b:7001", "Cluster"),
        ];
        for (url, expected) in known {
            assert_eq!(kind(url).as_deref(), Some(expected), "{url}");
        }
        let unknown = [
            "http://h",
            "redis+sentinel://a",
            "redis+sentinel://a/name/x",
            "redis+cluster://a/1",
            "redis+ring://a",
            "h:6379",
        ];
        for url in unknown {
            assert_eq!(kind(url), None, "{url}");
        }
    }
}
