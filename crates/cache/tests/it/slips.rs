//! Values that many processes change.

use tokenfleet_cache::{Cache, Swapped};

use crate::support::Bench;

async fn text(cache: &Cache, name: &str) -> Option<String> {
    cache.slip("breakers", name).await.unwrap().text
}

#[tokio::test]
async fn a_change_that_is_based_on_what_is_there_is_made_and_another_is_not() {
    let bench = Bench::new().await;
    let cache = &bench.cache;
    let swap = |based_on, text| cache.swap_slip(("breakers", "a"), based_on, text);

    assert_eq!(text(cache, "a").await, None);
    assert_eq!(swap(None, "1").await.unwrap(), Swapped::Done);
    let late = swap(None, "2").await.unwrap();
    assert_eq!(swap(Some("1"), "2").await.unwrap(), Swapped::Done);

    assert!(
        matches!(&late, Swapped::Found(slip) if slip.text.as_deref() == Some("1") && slip.now_ms > 0),
        "{late:?}"
    );
    assert_eq!(text(cache, "a").await.as_deref(), Some("2"));
    assert_eq!(text(cache, "b").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_changes_at_once_none_is_lost() {
    let bench = Bench::new().await;
    let add = |cache: Cache| async move {
        let mut there = cache.slip("breakers", "sum").await.unwrap().text;
        loop {
            let sum: u32 = there.as_deref().map_or(0, |text| text.parse().unwrap());
            let next = (sum + 1).to_string();
            let name = ("breakers", "sum");
            match cache
                .swap_slip(name, there.as_deref(), &next)
                .await
                .unwrap()
            {
                Swapped::Done => return,
                Swapped::Found(slip) => there = slip.text,
            }
        }
    };

    let adding = (0..40).map(|_| tokio::spawn(add(bench.cache.clone())));
    for one in futures::future::join_all(adding).await {
        one.unwrap();
    }

    let all = bench.cache.slips("breakers").await.unwrap();
    assert_eq!(all, [("sum".to_owned(), "40".to_owned())]);
    let week = 7 * 24 * 3_600_000;
    assert!((1..=week).contains(&bench.ttl_of_the_only_key().await));
    assert!(bench.cache.take_slip("breakers", "sum").await.unwrap());
    assert!(bench.keys().await.is_empty());
}
