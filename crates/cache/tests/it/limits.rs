//! Rate limits.

use std::time::Duration;

use futures::future::join_all;
use tokenfleet_cache::Quota;

use crate::support::Bench;

const HOURLY: Quota = Quota {
    calls: 3,
    window: Duration::from_hours(1),
};

#[tokio::test]
async fn a_full_bucket_allows_its_calls_at_once_and_says_when_the_next_comes() {
    let bench = Bench::new().await;
    let spend = || bench.cache.spend("auth", "192.0.2.1", HOURLY);

    let mut left = Vec::new();
    for _ in 0..3 {
        let told = spend().await.unwrap();
        assert!(told.allowed);
        assert_eq!(told.retry_after, Duration::ZERO);
        left.push(told.remaining);
    }
    let refused = spend().await.unwrap();

    assert_eq!(left, [2, 1, 0]);
    assert!(!refused.allowed);
    assert_eq!(refused.remaining, 0);
    let minutes = |time: Duration| time.as_secs().div_ceil(60);
    assert_eq!(minutes(refused.retry_after), 20);
    assert_eq!(minutes(refused.reset), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_ask_at_once_no_more_are_allowed_than_the_quota_has() {
    let bench = Bench::new().await;

    let calls = (0..200).map(|_| {
        let cache = bench.cache.clone();
        tokio::spawn(async move { cache.spend("auth", "a", HOURLY).await.unwrap().allowed })
    });
    let allowed = join_all(calls).await;

    let allowed = allowed.into_iter().filter(|told| *told.as_ref().unwrap());
    assert_eq!(allowed.count(), 3);
}

#[tokio::test]
async fn buckets_and_subjects_do_not_share_a_quota() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        bench.cache.spend("auth", "a", HOURLY).await.unwrap();
    }

    let exhausted = bench.cache.look("auth", "a", HOURLY).await.unwrap();
    let other_subject = bench.cache.look("auth", "b", HOURLY).await.unwrap();
    let other_bucket = bench.cache.look("calls", "a", HOURLY).await.unwrap();

    assert!(!exhausted.allowed);
    assert!(other_subject.allowed && other_bucket.allowed);
}

#[tokio::test]
async fn looking_spends_nothing() {
    let bench = Bench::new().await;

    for _ in 0..10 {
        let told = bench.cache.look("auth", "a", HOURLY).await.unwrap();
        assert_eq!((told.allowed, told.remaining), (true, 3));
    }

    assert_eq!(bench.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_spent_bucket_fills_again_and_leaves_no_key_once_it_is_full() {
    let bench = Bench::new().await;
    let brisk = Quota {
        calls: 2,
        window: Duration::from_millis(400),
    };
    let mut refused = 0;
    while bench.cache.spend("b", "a", brisk).await.unwrap().allowed {
        refused += 1;
        assert!(refused < 1000, "never refused");
    }

    let mut tries = 0;
    while !bench.cache.look("b", "a", brisk).await.unwrap().allowed {
        tries += 1;
        assert!(tries < 10_000, "never allowed again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while !bench.keys().await.is_empty() {
        tries += 1;
        assert!(tries < 10_000, "never gone");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn redis_does_not_see_whom_a_limit_is_about() {
    let bench = Bench::new().await;

    let who = "ana@example.org";
    bench.cache.spend("auth", who, HOURLY).await.unwrap();

    let keys = bench.keys().await;
    assert!(keys[0].starts_with("tokenfleet:rate:auth:"), "{keys:?}");
    assert!(!keys[0].contains("ana"), "{keys:?}");
}
