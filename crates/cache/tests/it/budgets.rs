//! Budgets that are given out in handfuls.

use std::time::Duration;

use futures::future::join_all;

use crate::support::Bench;

const HOURLY: f64 = 1.0 / 3600.0;

#[tokio::test]
async fn a_handful_is_what_is_left_and_then_the_wait_is_told() {
    let bench = Bench::new().await;
    let draw = |want| bench.cache.draw("app", HOURLY, 10, want);

    let first = draw(7).await.unwrap();
    let rest = draw(7).await.unwrap();
    let none = draw(7).await.unwrap();
    let other = bench.cache.draw("other app", HOURLY, 1, 7).await.unwrap();

    assert_eq!([first.granted, rest.granted, none.granted], [7, 3, 0]);
    assert_eq!([first.wait, rest.wait], [Duration::ZERO; 2]);
    assert_eq!(none.wait.as_secs().div_ceil(60), 60);
    assert_eq!(other.granted, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_draw_at_once_no_more_is_given_than_there_is() {
    let bench = Bench::new().await;

    let drawing = (0..100).map(|_| {
        let cache = bench.cache.clone();
        tokio::spawn(async move { cache.draw("app", HOURLY, 50, 3).await.unwrap().granted })
    });
    let granted = join_all(drawing).await;

    let sum: u32 = granted.into_iter().map(Result::unwrap).sum();
    assert_eq!(sum, 50);
}

#[tokio::test]
async fn a_budget_is_whole_again_after_its_time_and_leaves_no_key() {
    let bench = Bench::new().await;
    let draw = || bench.cache.draw("app", 50.0, 5, 5);

    assert_eq!(draw().await.unwrap().granted, 5);
    let mut looks = 0;
    while !bench.keys().await.is_empty() {
        looks += 1;
        assert!(looks < 10_000, "never whole");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    assert_eq!(draw().await.unwrap().granted, 5);
}
