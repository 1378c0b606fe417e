//! Jobs that are cancelled, and workers that are asked to end.

use std::sync::Arc;

use tokenfleet_queue::{CancelOutcome, JobState, JobView, Outcome};
use tokio::sync::Semaphore;

use crate::support::{Bench, job, until};
use crate::worker::{Log, options, start};

#[tokio::test]
async fn a_running_job_hears_of_its_cancellation_at_once() {
    let bench = Bench::new().await;
    let started = Arc::new(Semaphore::new(0));
    let signal = started.clone();
    let worker = start(&bench.queue, options(3), move |_, job| {
        signal.add_permits(1);
        async move {
            job.stop_token().cancelled().await;
            assert!(job.is_cancelled());
            Ok(Outcome::Cancelled)
        }
    });
    let pushed = bench.push(job("c1")).await;
    let _started = started.acquire().await.unwrap();
    // The worker's heart listens from its first second on.
    let outcome = bench.queue.cancel(pushed.id()).await.unwrap();

    assert_eq!(outcome, CancelOutcome::Signalled);
    until("cancelled", || async {
        bench.state(&pushed).await == Some(JobState::Cancelled)
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_is_not_tried_again() {
    let bench = Bench::new().await;
    let told: Log<JobView> = Log::default();
    let log = told.clone();
    let hook = options(3).on_poison(move |view| {
        log.add(view);
        async {}
    });
    let (started, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (signal, passed) = (started.clone(), gate.clone());
    let worker = start(&bench.queue, hook, move |_, _| {
        signal.add_permits(1);
        let gate = passed.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Err("a fault".into())
        }
    });
    let pushed = bench.push(job("c1")).await;
    let _started = started.acquire().await.unwrap();

    bench.queue.cancel(pushed.id()).await.unwrap();
    gate.add_permits(1);

    until("cancelled", || async {
        bench.state(&pushed).await == Some(JobState::Cancelled)
    })
    .await;
    until("told", || async { told.all().len() == 1 }).await;
    assert_eq!(told.all()[0].state, JobState::Cancelled);
    worker.stop().await;
}

#[tokio::test]
async fn on_shutdown_running_jobs_are_awaited_and_nothing_more_is_claimed() {
    let bench = Bench::new().await;
    let (started, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (signal, passed) = (started.clone(), gate.clone());
    let worker = start(&bench.queue, options(1), move |_, _| {
        signal.add_permits(1);
        let gate = passed.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(Outcome::Done)
        }
    });
    let first = bench.push(job("c1")).await;
    started.acquire().await.unwrap().forget();
    let second = bench.push(job("c2")).await;

    worker.shutdown.cancel();
    gate.add_permits(2);
    worker.worker.await.unwrap().unwrap();

    assert_eq!(bench.state(&first).await, Some(JobState::Completed));
    let left = bench.queue.job(second.id()).await.unwrap().unwrap();
    assert_eq!((left.state, left.attempt), (JobState::Waiting, 0));
    assert_eq!(started.available_permits(), 0);
}

#[tokio::test]
async fn a_released_job_keeps_its_attempt_and_is_run_by_the_next_worker() {
    let bench = Bench::new().await;
    let runs = Log::default();
    let log = runs.clone();
    let first = start(&bench.queue, options(3), move |_, job| {
        log.add(job.attempt());
        async { Ok(Outcome::Released) }
    });
    let pushed = bench.push(job("c1")).await;
    until("released", || async { !runs.all().is_empty() }).await;
    first.stop().await;

    let attempts = Log::default();
    let log = attempts.clone();
    let second = start(&bench.queue, options(3), move |_, job| {
        log.add(job.attempt());
        async { Ok(Outcome::Done) }
    });

    until("completed", || async {
        bench.state(&pushed).await == Some(JobState::Completed)
    })
    .await;
    assert_eq!(attempts.all(), [1]);
    second.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_stopped_before_it_has_begun_ends() {
    let bench = Bench::new().await;
    let worker = start(&bench.queue, options(3), |_, _| async { Ok(Outcome::Done) });

    worker.stop().await;

    assert_eq!(bench.counts().await, tokenfleet_queue::Counts::default());
}
