//! A Redis that is away, and one that comes back.

use std::time::Duration;

use testkit::redis::Data;
use tokenfleet_cache::{Allowance, Cache, CacheError, CacheOptions, Quota};

use crate::support::Bench;

const QUOTA: Quota = Quota::per_minute(600);

async fn spend(cache: &Cache) -> Result<Allowance, CacheError> {
    cache.spend("b", "a", QUOTA).await
}

#[tokio::test]
async fn a_redis_that_is_away_is_told_as_such_and_is_found_again() {
    let mut bench = Bench::new().await;
    spend(&bench.cache).await.unwrap();
    bench.server.halt(Data::Lost).await.unwrap();

    let first = spend(&bench.cache).await.unwrap_err();
    let second = spend(&bench.cache).await.unwrap_err();
    bench.server.resume().await.unwrap();
    let mut tries = 0;
    while spend(&bench.cache).await.is_err() {
        tries += 1;
        assert!(tries < 1000, "never found again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    assert!(matches!(first, CacheError::Unreachable(_)), "{first}");
    assert!(matches!(second, CacheError::Away), "{second}");
    assert!(first.is_away() && second.is_away());
}

#[tokio::test]
async fn after_a_restart_of_redis_the_first_call_is_answered() {
    let mut bench = Bench::new().await;
    spend(&bench.cache).await.unwrap();

    bench.server.halt(Data::Lost).await.unwrap();
    bench.server.resume().await.unwrap();

    let told = spend(&bench.cache).await.unwrap();
    assert!(told.allowed);
}

#[tokio::test]
async fn what_is_no_address_is_refused_without_repeating_it() {
    let refused = Cache::open(CacheOptions::new("http://:hunter2@localhost")).unwrap_err();

    assert!(!format!("{refused} {refused:?}").contains("hunter2"));
}
