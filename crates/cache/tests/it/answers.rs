//! Answers that are repeated.

use std::time::Duration;

use futures::future::join_all;
use tokenfleet_cache::{Begun, Claim, StoredAnswer};

use crate::support::Bench;

const PATIENCE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
const KEY: (&str, &str) = ("account", "key-1");

fn answer() -> StoredAnswer {
    StoredAnswer {
        status: 201,
        headers: vec![("location".to_owned(), "/api/v1/tenants/t1".to_owned())],
        body: r#"{"id":"t1"}"#.to_owned(),
    }
}

async fn first(bench: &Bench) -> Claim {
    match begin(bench, "same").await {
        Begun::First(claim) => claim,
        other => panic!("{other:?}"),
    }
}

async fn begin(bench: &Bench, fingerprint: &str) -> Begun {
    let begun = bench.cache.begin(KEY, fingerprint, PATIENCE).await;
    begun.unwrap()
}

#[tokio::test]
async fn a_request_that_is_repeated_gets_the_answer_of_the_first() {
    let bench = Bench::new().await;
    let claim = first(&bench).await;

    let meanwhile = begin(&bench, "same").await;
    let answer = answer();
    let kept = bench.cache.finish(claim, Some(&answer), DAY).await;
    kept.unwrap();
    let after = begin(&bench, "same").await;

    assert!(matches!(meanwhile, Begun::InFlight), "{meanwhile:?}");
    match after {
        Begun::Answered(told) => assert_eq!(told, Some(answer)),
        other => panic!("{other:?}"),
    }
    let ttl = bench.ttl_of_the_only_key().await;
    assert!(ttl > 80_000_000, "{ttl}");
}

#[tokio::test]
async fn a_key_does_not_serve_another_request_nor_another_owner() {
    let bench = Bench::new().await;
    let _claim = first(&bench).await;

    let other_request = begin(&bench, "other").await;
    let stranger = ("stranger", KEY.1);
    let other_owner = bench.cache.begin(stranger, "same", PATIENCE).await.unwrap();

    assert!(matches!(other_request, Begun::Other), "{other_request:?}");
    assert!(matches!(other_owner, Begun::First(_)), "{other_owner:?}");
}

#[tokio::test]
async fn an_answer_that_must_not_be_kept_is_known_to_have_been_given() {
    let bench = Bench::new().await;
    let claim = first(&bench).await;

    bench.cache.finish(claim, None, DAY).await.unwrap();

    let after = begin(&bench, "same").await;
    assert!(matches!(after, Begun::Answered(None)), "{after:?}");
}

#[tokio::test]
async fn a_request_that_did_nothing_may_be_tried_again() {
    let bench = Bench::new().await;
    let claim = first(&bench).await;

    bench.cache.abandon(claim).await.unwrap();

    first(&bench).await;
}

#[tokio::test]
async fn who_lost_the_key_meanwhile_changes_nothing() {
    let bench = Bench::new().await;
    let (late, later) = (first(&bench).await, answer());
    let () = bench.command(&["FLUSHALL"]).await;
    let _claim = first(&bench).await;

    bench.cache.finish(late, Some(&later), DAY).await.unwrap();

    let after = begin(&bench, "same").await;
    assert!(matches!(after, Begun::InFlight), "{after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_requests_at_once_one_is_the_first() {
    let bench = Bench::new().await;

    let all = (0..50).map(|_| begin(&bench, "same"));
    let begun = join_all(all).await;

    let firsts = begun.iter().filter(|it| matches!(it, Begun::First(_)));
    assert_eq!(firsts.count(), 1);
}
