//! Waiting for the end of a job.

use std::time::Duration;

use tokenfleet_queue::{JobId, JobState, NewJob, Outcome, QueueSettings, Waited};
use tokio::time::Instant;

use crate::support::{Bench, failed, job, until};

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(50)
}

fn late() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::test]
async fn a_waiter_is_told_when_the_job_ends() {
    // Nothing is kept: who only looks finds nothing.
    let bench = Bench::with(QueueSettings {
        keep_failed: 0,
        ..QueueSettings::default()
    })
    .await;
    let worker = bench.worker();
    let pushed = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    let (queue, id) = (bench.queue.clone(), pushed.id().clone());
    let waiter = tokio::spawn(async move { queue.wait(&id, late()).await.unwrap() });
    until("watched", || async {
        let record = "{tokenfleet:refresh:tiktok}:jobs";
        let redis::Value::BulkString(record) = bench.command(&["HGET", record, "c1"]).await else {
            return false;
        };
        record[1] & 2 != 0
    })
    .await;

    worker.settle(&running, failed()).await.unwrap();

    let Waited::Ended(Some(view)) = waiter.await.unwrap() else {
        panic!("not told");
    };
    assert_eq!((&view.id, view.state), (pushed.id(), JobState::Failed));
    assert_eq!(view.error.as_deref(), Some("no"));
}

#[tokio::test]
async fn a_job_that_has_ended_is_not_waited_for() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let pushed = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    worker.settle(&running, Outcome::Done).await.unwrap();

    let waited = bench.queue.wait(pushed.id(), late()).await.unwrap();

    assert!(matches!(waited, Waited::Ended(Some(view)) if view.state == JobState::Completed));
}

#[tokio::test]
async fn a_job_that_does_not_end_in_time_is_shown_as_it_stands() {
    let bench = Bench::new().await;
    let pushed = bench.push(job("c1")).await;

    let waited = bench.queue.wait(pushed.id(), soon()).await.unwrap();

    assert!(matches!(waited, Waited::Live(view) if view.state == JobState::Waiting));
}

#[tokio::test]
async fn a_job_that_never_was_is_gone() {
    let bench = Bench::new().await;
    let unknown = JobId::next(bench.queue.name(), "c1");

    let waited = bench.queue.wait(&unknown, late()).await.unwrap();

    assert_eq!(waited, Waited::Gone);
}

#[tokio::test]
async fn a_waiter_does_not_hang_if_redis_is_flushed() {
    let bench = Bench::new().await;
    let pushed = bench.push(job("c1")).await;
    let (queue, id) = (bench.queue.clone(), pushed.id().clone());
    let waiter = tokio::spawn(async move { queue.wait(&id, late()).await.unwrap() });

    bench.command(&["FLUSHALL"]).await;

    assert_eq!(waiter.await.unwrap(), Waited::Gone);
}

#[tokio::test]
async fn who_waits_for_a_marked_job_is_told_when_the_running_one_served_it() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let first = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    let marked = bench
        .push(NewJob {
            version: 2,
            ..job("c1")
        })
        .await;
    let before = bench.queue.wait(marked.id(), soon()).await.unwrap();
    let (queue, id) = (bench.queue.clone(), marked.id().clone());
    let waiter = tokio::spawn(async move { queue.wait(&id, late()).await.unwrap() });

    worker
        .turn(&[(running, Outcome::Done, 2)], 0)
        .await
        .unwrap();

    assert!(matches!(before, Waited::Live(view) if view.id == *marked.id()));
    let Waited::Ended(Some(view)) = waiter.await.unwrap() else {
        panic!("not ended");
    };
    assert_eq!(view.id, *marked.id());
    assert_eq!(view.served_by, Some(first.id().clone()));
}

#[tokio::test]
async fn many_may_wait_for_one_job() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let pushed = bench.push(job("c1")).await;
    let waiters: Vec<_> = (0..50)
        .map(|_| {
            let (queue, id) = (bench.queue.clone(), pushed.id().clone());
            tokio::spawn(async move { queue.wait(&id, late()).await.unwrap() })
        })
        .collect();
    let running = worker.claim(1).await.unwrap().remove(0);

    worker.settle(&running, Outcome::Done).await.unwrap();

    for waiter in waiters {
        assert!(matches!(waiter.await.unwrap(), Waited::Ended(Some(_))));
    }
}
