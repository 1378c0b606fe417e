//! Marks, copies, and what waits for a word.

use std::time::Duration;

use futures::future::join_all;
use tokenfleet_cache::Copy;

use crate::support::Bench;

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn of_many_one_is_the_first_to_mark() {
    let bench = Bench::new().await;

    let all = (0..50).map(|_| bench.cache.mark("reported", &["channel", "3"], DAY));
    let first: Vec<bool> = join_all(all)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let other = bench.cache.mark("reported", &["channel", "4"], DAY).await;
    let unmarked = bench.cache.unmark("reported", &["channel", "3"]).await;
    unmarked.unwrap();
    let again = bench.cache.mark("reported", &["channel", "3"], DAY).await;

    assert_eq!(first.into_iter().filter(|first| *first).count(), 1);
    assert!(other.unwrap() && again.unwrap());
}

#[tokio::test]
async fn a_copy_ends_with_what_it_is_a_copy_of() {
    let bench = Bench::new().await;
    let publish = |secs| {
        let ttl = Duration::from_secs(secs);
        bench.cache.publish(Copy::FacturifyToken, "sealed", ttl)
    };

    publish(240).await.unwrap();

    assert_eq!(bench.keys().await, ["facturify:auth:token"]);
    let ttl = bench.ttl_of_the_only_key().await;
    assert!((1..=240_000).contains(&ttl), "{ttl}");
    publish(0).await.unwrap();
    assert_eq!(bench.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_waits_is_the_latest_and_ends_once() {
    let bench = Bench::new().await;
    let wait = |subject, data| bench.cache.let_wait("account", subject, data, DAY);
    let waiting = async |subject: &str| {
        let found = bench.cache.waiting::<u32>("account", subject).await;
        found.unwrap()
    };

    wait("channel", &1).await.unwrap();
    wait("channel", &2).await.unwrap();
    let (found, other) = (waiting("channel").await, waiting("other").await);
    let ends = (0..50).map(|_| bench.cache.end_waiting("account", "channel"));
    let ended = join_all(ends).await;

    assert_eq!((found, other), (Some(2), None));
    assert_eq!(
        ended
            .into_iter()
            .filter(|ended| *ended.as_ref().unwrap())
            .count(),
        1
    );
    assert_eq!(waiting("channel").await, None);
    assert_eq!(bench.keys().await, Vec::<String>::new());
}
