//! Budgets that are given out as turns.

use std::time::Duration;

use futures::future::join_all;
use tokenfleet_cache::Drawn;

use crate::support::Bench;

const HOURLY: f64 = 1.0 / 3600.0;
const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn turns_are_evenly_spaced_and_the_wait_for_the_next_is_told() {
    let bench = Bench::new().await;
    let draw = |want| bench.cache.draw("app", HOURLY, want);

    let first = draw(7).await.unwrap();
    let none = draw(7).await.unwrap();
    let other = bench.cache.draw("other app", HOURLY, 7).await.unwrap();

    let one = Drawn {
        turns: 1,
        wait: Duration::ZERO,
        each: HOUR,
    };
    assert_eq!([first, other], [one; 2], "an hour ahead is too far");
    assert_eq!(none.turns, 0);
    assert_eq!(none.wait.as_secs().div_ceil(60), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_draw_at_once_no_more_is_given_than_there_is() {
    let bench = Bench::new().await;

    // A turn each minute of the day: of those within the horizon there is one.
    let drawing = (0..100).map(|_| {
        let cache = bench.cache.clone();
        tokio::spawn(async move { cache.draw("app", 1.0 / 60.0, 3).await.unwrap().turns })
    });
    let turns = join_all(drawing).await;

    let sum: u32 = turns.into_iter().map(Result::unwrap).sum();
    assert_eq!(sum, 1);
}

#[tokio::test]
async fn a_draw_goes_on_where_the_one_before_ended() {
    let bench = Bench::new().await;

    let first = bench.cache.draw("app", 10.0, 3).await.unwrap();
    let second = bench.cache.draw("app", 10.0, 100).await.unwrap();

    assert_eq!((first.turns, first.wait), (3, Duration::ZERO));
    assert!(
        (1..=6).contains(&second.turns),
        "half a second ahead: {second:?}"
    );
    assert!(second.wait <= Duration::from_millis(300), "{second:?}");
}

#[tokio::test]
async fn what_nobody_drew_is_not_there_later_and_a_budget_leaves_no_key() {
    let bench = Bench::new().await;
    let draw = || bench.cache.draw("app", 10.0, 100);

    let first = draw().await.unwrap().turns;
    let mut looks = 0;
    while !bench.keys().await.is_empty() {
        looks += 1;
        assert!(looks < 10_000, "never whole");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    assert_eq!([first, draw().await.unwrap().turns], [6, 6]);
}
