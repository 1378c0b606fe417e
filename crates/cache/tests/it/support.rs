//! One private Redis, and the values on it.

use redis::FromRedisValue;
use testkit::redis::RedisServer;
use tokenfleet_cache::{Cache, CacheOptions};

/// Values on a Redis of their own.
pub(crate) struct Bench {
    pub(crate) server: RedisServer,
    pub(crate) cache: Cache,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let server = RedisServer::start().await.unwrap();
        let cache = Cache::open(CacheOptions::new(server.url())).unwrap();
        Self { server, cache }
    }

    /// Carries out one command.
    pub(crate) async fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut redis = self.server.connection().await.unwrap();
        let (first, rest) = words.split_first().unwrap();
        redis::cmd(first)
            .arg(rest)
            .query_async(&mut redis)
            .await
            .unwrap()
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        self.command(&["KEYS", "*"]).await
    }

    /// Milliseconds that the only key still has.
    pub(crate) async fn ttl_of_the_only_key(&self) -> i64 {
        let keys = self.keys().await;
        assert_eq!(keys.len(), 1, "{keys:?}");
        self.command(&["PTTL", &keys[0]]).await
    }
}
