//! The stream of what happens.

use std::time::Duration;

use tokenfleet_queue::{EventKind, NewJob, Outcome, When};

use crate::support::{Bench, failed, job, now_ms, retry};

#[tokio::test]
async fn a_watcher_sees_the_life_of_each_job_in_order() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let mut watch = bench.queue.watch().await.unwrap();

    bench.push_all(&["good", "bad"]).await;
    let jobs = worker.claim(2).await.unwrap();
    let settles = [
        (jobs[1].clone(), retry(Duration::from_secs(5)), 1),
        (jobs[0].clone(), Outcome::Done, 1),
    ];
    worker.turn(&settles, 0).await.unwrap();
    bench.advance(Duration::from_secs(5));
    let again = worker.claim(1).await.unwrap().remove(0);
    worker.settle(&again, failed()).await.unwrap();
    let at = When::At(now_ms() + 60_000);
    let later = NewJob {
        when: at,
        ..job("later")
    };
    let later = bench.push(later).await;
    bench.queue.cancel(later.id()).await.unwrap();

    let mut seen = Vec::new();
    for _ in 0..11 {
        let event = watch.next().await.unwrap();
        assert_eq!(event.tenant, "t1");
        seen.push((event.id.key, event.kind));
    }
    let expected = [
        ("good", EventKind::Pushed),
        ("bad", EventKind::Pushed),
        ("good", EventKind::Started),
        ("bad", EventKind::Started),
        ("bad", EventKind::Delayed),
        ("good", EventKind::Completed),
        ("bad", EventKind::Waits),
        ("bad", EventKind::Started),
        ("bad", EventKind::Failed),
        ("later", EventKind::Pushed),
        ("later", EventKind::Cancelled),
    ];
    let expected = expected.map(|(key, kind)| (key.to_owned(), kind));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_watcher_goes_on_after_a_flush() {
    let bench = Bench::new().await;
    let mut watch = bench.queue.watch().await.unwrap();
    bench.command(&["FLUSHALL"]).await;

    let watching = tokio::spawn(async move {
        let event = watch.next().await.unwrap();
        (event.id, watch.gaps())
    });
    crate::support::until("watched again", || async {
        let events = "{tokenfleet:refresh:tiktok}:events";
        bench.command(&["EXISTS", events]).await == redis::Value::Int(1)
    })
    .await;
    let pushed = bench.push(job("c1")).await;

    assert_eq!(watching.await.unwrap(), (pushed.id().clone(), 1));
}

#[tokio::test]
async fn nothing_is_written_while_nobody_watches() {
    let bench = Bench::new().await;

    bench.push_all(&["c1", "c2"]).await;

    let events = "{tokenfleet:refresh:tiktok}:events";
    assert_eq!(
        bench.command(&["EXISTS", events]).await,
        redis::Value::Int(0)
    );
}
