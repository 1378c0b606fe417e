//! Clusters and Sentinels, with real ones.

use std::time::Duration;

use testkit::redis::RedisServer;
use tokenfleet_cache::{Cache, CacheOptions, Quota};

const QUOTA: Quota = Quota::per_minute(600);

fn open(url: &str) -> Cache {
    Cache::open(CacheOptions::new(url)).unwrap()
}

/// Scripts, single commands, and commands of one key together.
async fn works(cache: &Cache) {
    let minute = Duration::from_mins(1);
    for account in ["a", "b", "c"] {
        assert!(cache.spend("login", account, QUOTA).await.unwrap().allowed);
        assert!(cache.mark("told", &[account], minute).await.unwrap());
        assert!(!cache.mark("told", &[account], minute).await.unwrap());
    }
}

#[tokio::test]
async fn in_a_cluster_each_value_is_where_its_slot_is() {
    let node = RedisServer::start_cluster().await.unwrap();

    works(&open(&format!("redis+cluster://127.0.0.1:{}", node.port()))).await;
}

#[tokio::test]
async fn after_a_failover_the_new_master_is_asked() {
    let master = RedisServer::start().await.unwrap();
    let port = master.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port])
        .await
        .unwrap();
    let sentinel = RedisServer::start_sentinel_of(&master, "main")
        .await
        .unwrap();
    let cache = open(&format!(
        "redis+sentinel://127.0.0.1:{}/main",
        sentinel.port()
    ));
    works(&cache).await;

    // What the old master had not yet told the new one would be gone.
    until(async || ask(&replica, &["DBSIZE"]).await == ask(&master, &["DBSIZE"]).await).await;
    // It knows of the replica only after a while; until then it refuses.
    let failover = ["SENTINEL", "FAILOVER", "main"];
    until(async || ask(&sentinel, &failover).await.is_some()).await;
    until(async || is_role(&replica, "master").await && is_role(&master, "slave").await).await;

    let minute = Duration::from_mins(1);
    until(async || cache.mark("after", &["x"], minute).await.is_ok()).await;
    // The old master takes no writes any more, and the new one knows what was written before.
    assert!(!cache.mark("told", &["a"], minute).await.unwrap());
    assert!(cache.spend("login", "d", QUOTA).await.unwrap().allowed);
}

async fn ask(server: &RedisServer, words: &[&str]) -> Option<redis::Value> {
    let mut redis = server.connection().await.ok()?;
    let mut cmd = redis::cmd(words[0]);
    cmd.arg(&words[1..]).query_async(&mut redis).await.ok()
}

async fn is_role(server: &RedisServer, role: &str) -> bool {
    let told = ask(server, &["INFO", "replication"]).await;
    matches!(told, Some(redis::Value::BulkString(text))
        if String::from_utf8_lossy(&text).contains(&format!("role:{role}")))
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("it did not come so far");
}
