//! Second copies, and whether all of them are there.

use std::time::Duration;

use crate::support::Bench;

#[tokio::test]
async fn a_redis_that_lost_its_data_begins_anew_to_keep_copies() {
    let bench = Bench::new().await;
    let kept_for = async || bench.cache.deposits_kept_for().await.unwrap();
    let begin = kept_for().await;
    let mut before = begin;
    for _ in 0..1000 {
        before = kept_for().await;
        if before >= Duration::from_millis(50) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    bench.command::<()>(&["FLUSHALL"]).await;
    let after = kept_for().await;

    assert!(
        begin < before && after < before,
        "{begin:?}, {before:?}, {after:?}"
    );
}

#[tokio::test]
async fn copies_of_one_subject_stand_side_by_side_and_go_one_by_one() {
    let bench = Bench::new().await;
    for (number, text) in [(1, "one"), (2, "two")] {
        bench.cache.deposit("channel", number, text).await.unwrap();
    }

    bench.cache.forget_deposit("channel", 1).await.unwrap();

    let (left, all) = (
        bench.cache.deposits("channel").await.unwrap(),
        bench.cache.all_deposits().await.unwrap(),
    );
    assert_eq!(
        (left, all),
        (vec!["two".to_owned()], vec!["two".to_owned()])
    );
}
