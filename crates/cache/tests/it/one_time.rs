//! One-time tokens.

use std::time::Duration;

use futures::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};
use tokenfleet_cache::Purpose;

use crate::support::Bench;

const MINUTE: Duration = Duration::from_mins(1);

const fn purpose<'a>(name: &'static str, scope: &'a str) -> Purpose<'a> {
    Purpose { name, scope }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_concurrent_validations_exactly_one_succeeds_in_each_of_a_thousand_rounds() {
    let bench = Bench::new().await;
    let here = purpose("api", "tenant-1");

    for round in 0..1000_u32 {
        let token = bench.cache.issue(here, &round, MINUTE).await.unwrap();
        let tries = (0..50).map(|_| {
            let (cache, token) = (bench.cache.clone(), token.clone());
            tokio::spawn(async move { cache.consume::<u32>(here, &token).await.unwrap() })
        });
        let told: Vec<u32> = join_all(tries)
            .await
            .into_iter()
            .filter_map(Result::unwrap)
            .collect();

        assert_eq!(told, [round]);
    }
    assert_eq!(bench.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_token_that_was_looked_at_is_still_good_and_a_used_one_looks_unknown() {
    let bench = Bench::new().await;
    let here = purpose("connect", "");
    let token = bench.cache.issue(here, &"data", MINUTE).await.unwrap();

    let looked = bench.cache.peek::<String>(here, &token).await.unwrap();
    let used = bench.cache.consume::<String>(here, &token).await.unwrap();
    let again = bench.cache.consume::<String>(here, &token).await.unwrap();
    let unknown = SecretString::from("guess");
    let unknown = bench.cache.peek::<String>(here, &unknown).await.unwrap();

    assert_eq!(looked.as_deref(), Some("data"));
    assert_eq!(used.as_deref(), Some("data"));
    assert_eq!((again, unknown), (None, None));
}

#[tokio::test]
async fn a_token_counts_for_its_purpose_and_scope_only_and_is_not_used_up_elsewhere() {
    let bench = Bench::new().await;
    let here = purpose("api", "tenant-1");
    let token = bench.cache.issue(here, &1, MINUTE).await.unwrap();

    for elsewhere in [purpose("connect", "tenant-1"), purpose("api", "tenant-2")] {
        let told: Option<i32> = bench.cache.consume(elsewhere, &token).await.unwrap();
        assert_eq!(told, None);
    }

    let told: Option<i32> = bench.cache.consume(here, &token).await.unwrap();
    assert_eq!(told, Some(1));
}

#[tokio::test]
async fn redis_sees_no_token_and_forgets_it_when_its_time_ends() {
    let bench = Bench::new().await;

    let here = purpose("api", "tenant-1");
    let token = bench.cache.issue(here, &1, MINUTE).await.unwrap();

    let keys = bench.keys().await;
    assert!(keys[0].starts_with("tokenfleet:once:api:"), "{keys:?}");
    assert!(!keys[0].contains(token.expose_secret()));
    assert_eq!(token.expose_secret().len(), 43);
    let ttl = bench.ttl_of_the_only_key().await;
    assert!((1..=60_000).contains(&ttl), "{ttl}");
}
