//! Is Redis there, and would it keep what is put into it?

use std::time::Duration;

use config::Loaded;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult};
use secrecy::{ExposeSecret as _, SecretString};
use servers::Server;
use tokio::time::timeout;

use super::{Finding, queues};
use crate::{parts, redis_server};

const PART: &str = "redis";
const LIMIT: Duration = Duration::from_secs(5);

/// A connection if there is one, and what was found.
pub(super) async fn examine(loaded: &Loaded) -> (Option<MultiplexedConnection>, Vec<Finding>) {
    let Some(url) = parts::known_redis_url(loaded).await else {
        return (None, vec![program()]);
    };
    // The queue's own checks: address, version, eviction.
    let opened = match parts::open_queues(loaded, &url, "doctor").await {
        Ok(opened) => opened,
        Err(error) => {
            let fix = "start it, or correct REDIS_URL; the policy is set by `CONFIG SET \
                       maxmemory-policy noeviction` and in redis.conf";
            return (None, vec![Finding::bad(PART, format!("{error:#}"), fix)]);
        }
    };
    match ask(&url).await {
        Ok((connection, info)) => {
            let mut findings = judge(&info);
            findings.extend(queues::examine(loaded, &opened).await);
            (Some(connection), findings)
        }
        Err(error) => {
            let found = Finding::bad(PART, format!("INFO: {error}"), "allow INFO in its ACL");
            (None, vec![found])
        }
    }
}

fn program() -> Finding {
    match redis_server::program() {
        Some(path) => Finding::good(
            PART,
            format!(
                "none runs; `up` starts a private one with {}",
                path.display()
            ),
        ),
        None => Finding::bad(
            PART,
            "redis-server is not installed, and REDIS_URL is not set",
            "apt-get install redis-server, or set REDIS_URL",
        ),
    }
}

async fn ask(url: &SecretString) -> RedisResult<(MultiplexedConnection, String)> {
    let limits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(LIMIT))
        .set_response_timeout(Some(LIMIT));
    let mut connection = client(url)
        .await?
        .get_multiplexed_async_connection_with_config(&limits)
        .await?;
    let info = redis::cmd("INFO").query_async(&mut connection).await?;
    Ok((connection, info))
}

/// The master if Sentinels know it, any node of a cluster.
async fn client(url: &SecretString) -> RedisResult<Client> {
    let told = |what| RedisError::from((ErrorKind::InvalidClientConfig, what));
    let server = Server::parse(url.expose_secret()).ok_or_else(|| told("no address of Redis"))?;
    let asked = timeout(LIMIT, server.client(None)).await;
    asked.map_err(|_| told("nobody says where it is"))?
}

fn judge(info: &str) -> Vec<Finding> {
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
            .unwrap_or_default()
    };
    let version = field("redis_version");
    let policy = field("maxmemory_policy");
    let mut findings = vec![Finding::good(
        PART,
        format!("version {version}, maxmemory-policy {policy}"),
    )];
    if field("aof_enabled") == "1" {
        let status = field("aof_last_write_status");
        findings.push(if matches!(status, "ok" | "") {
            Finding::good(PART, "keeps an append-only file")
        } else {
            Finding::bad(
                PART,
                format!("the append-only file was not written: {status}"),
                "look at the disk and at its log",
            )
        });
    } else {
        // Not wrong: the database is the truth, and the queue is rebuilt from it.
        findings.push(Finding::good(
            PART,
            "keeps no append-only file: after its restart the queue is rebuilt from the database, \
             and delays set by people are taken from there",
        ));
    }
    if field("rdb_last_bgsave_status") == "err" && field("stop_writes_on_bgsave_error") != "no" {
        findings.push(Finding::bad(
            PART,
            "the last snapshot failed, so it may refuse writes",
            "look at the disk and at its log",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_snapshot_is_found() {
        let fine = "redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\naof_last_write_status:ok\r\nrdb_last_bgsave_status:ok\r\n";
        let failed = fine.replace("bgsave_status:ok", "bgsave_status:err");

        assert!(judge(fine).iter().all(|finding| finding.ok));
        assert!(judge(&failed).iter().any(|finding| !finding.ok));
    }
}
