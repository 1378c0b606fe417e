//! A breaker while Redis is away.

use cache::CacheOptions;
use testkit::redis::{Data, RedisServer};

use super::*;

fn line(redis: &RedisServer) -> Line {
    let upstream = Upstream {
        identity: "tiktok:key".to_owned(),
        address: "https://provider.example".to_owned(),
        fingerprint: "0a1b2c3d".to_owned(),
        own_keys: false,
    };
    let cache = Cache::open(CacheOptions::new(redis.url())).expect("a good address");
    let rules = BreakerRules {
        probe_every: Duration::from_millis(1),
        ..BreakerRules::default()
    };
    Line::new("tiktok:key 0a1b2c3d".to_owned(), upstream, rules, cache)
}

async fn meet(line: &Line, number: u32) {
    for _ in 0..number {
        line.note(Met::Failed, ChannelUid::generate(), None, false);
    }
    line.tell().await;
}

#[tokio::test]
async fn while_redis_is_away_a_process_goes_by_what_it_meets_and_sends_no_probe() {
    let mut redis = RedisServer::start()
        .await
        .expect("redis-server is installed");
    let line = line(&redis);
    meet(&line, 5).await;
    redis.halt(Data::Lost).await.expect("it stops");

    let before = line.advice();
    meet(&line, 5).await;
    let (after, probe) = (line.open_since(), line.take_probe().await);

    assert!(matches!(before, Advice::Go { .. }), "{before:?}");
    assert!(
        after.is_some(),
        "ten failures, five of them before it went away"
    );
    assert_eq!(probe, Taken::Not);
}

#[tokio::test]
async fn when_redis_is_back_what_the_fleet_knows_counts_again() {
    let mut redis = RedisServer::start()
        .await
        .expect("redis-server is installed");
    let line = line(&redis);
    redis.halt(Data::Lost).await.expect("it stops");
    meet(&line, 10).await;
    let alone = line.open_since();

    redis.resume().await.expect("it starts");
    let mut tries = 0;
    while line.change(|_, _| false).await.is_err() {
        tries += 1;
        assert!(tries < 1000, "never found again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    assert!(alone.is_some());
    assert_eq!(line.open_since(), None, "nobody told the fleet of trouble");
}
