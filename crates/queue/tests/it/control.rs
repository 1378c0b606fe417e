//! Cancelling and retrying, in every state.

use std::time::Duration;

use tokenfleet_queue::{
    Bulk, CancelOutcome, Change, Counts, JobFilter, JobId, JobState, NewJob, Outcome,
    PromoteOutcome, RemoveOutcome, RetryOutcome, When,
};

use crate::support::{Bench, failed, job, keys, now_ms, of, retry};

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once() {
    let bench = Bench::new().await;
    let pushed = bench.push(job("c1")).await;

    let outcome = bench.queue.cancel(pushed.id()).await.unwrap();

    let view = bench.queue.job(pushed.id()).await.unwrap().unwrap();
    assert_eq!(view.state, JobState::Cancelled);
    assert!(view.finished_at_ms.is_some());
    assert_eq!(outcome, CancelOutcome::Removed(Box::new(view)));
    assert_eq!(bench.worker().claim(1).await.unwrap(), []);
    assert_eq!(bench.queue.find("c1").await.unwrap(), None);
}

#[tokio::test]
async fn a_delayed_job_is_cancelled_at_once() {
    let bench = Bench::new().await;
    let pushed = bench
        .push(NewJob {
            when: When::At(now_ms() + 5_000),
            ..job("c1")
        })
        .await;

    bench.queue.cancel(pushed.id()).await.unwrap();
    bench.advance(Duration::from_secs(5));

    assert_eq!(bench.worker().claim(1).await.unwrap(), []);
    assert_eq!(bench.state(&pushed).await, Some(JobState::Cancelled));
}

#[tokio::test]
async fn a_running_job_is_told_and_ends_as_its_handler_says() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let pushed = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);

    let outcomes = [
        bench.queue.cancel(pushed.id()).await.unwrap(),
        bench.queue.cancel(pushed.id()).await.unwrap(),
    ];
    let meanwhile = bench.queue.job(pushed.id()).await.unwrap().unwrap();
    worker.settle(&running, Outcome::Done).await.unwrap();

    assert_eq!(
        outcomes,
        [CancelOutcome::Signalled, CancelOutcome::Signalled]
    );
    assert_eq!(meanwhile.state, JobState::Active);
    assert!(meanwhile.cancel_requested);
    assert_eq!(bench.state(&pushed).await, Some(JobState::Completed));
}

#[tokio::test]
async fn a_running_job_that_was_told_does_not_come_back() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    for outcome in [retry(Duration::ZERO), Outcome::Released] {
        let pushed = bench.push(job("c1")).await;
        let running = worker.claim(1).await.unwrap().remove(0);
        bench.queue.cancel(pushed.id()).await.unwrap();

        let letter = worker.settle(&running, outcome).await.unwrap();

        assert_eq!(letter, "C");
        assert_eq!(bench.state(&pushed).await, Some(JobState::Cancelled));
    }
}

#[tokio::test]
async fn a_cancelled_job_whose_worker_is_lost_is_handed_out_to_be_ended() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let pushed = bench.push(job("c1")).await;
    worker.claim(1).await.unwrap();
    bench.queue.cancel(pushed.id()).await.unwrap();
    bench.advance(Duration::from_secs(30));

    let turn = worker.turn(&[], 1).await.unwrap();

    assert_eq!((turn.jobs.len(), turn.lost.len()), (0, 1));
    assert!(turn.lost[0].view.cancel_requested);
}

#[tokio::test]
async fn a_job_that_has_ended_cannot_be_cancelled() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let pushed = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    worker.settle(&running, failed()).await.unwrap();

    let ended = bench.queue.cancel(pushed.id()).await.unwrap();
    let unknown = JobId::next(bench.queue.name(), "c1");
    let unknown = bench.queue.cancel(&unknown).await.unwrap();

    assert_eq!(ended, CancelOutcome::AlreadyEnded);
    assert_eq!(unknown, CancelOutcome::Unknown);
}

#[tokio::test]
async fn the_id_of_an_earlier_job_does_not_cancel_the_next_one_of_its_key() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let earlier = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    worker.settle(&running, Outcome::Done).await.unwrap();
    let next = bench.push(job("c1")).await;

    let outcome = bench.queue.cancel(earlier.id()).await.unwrap();

    assert_eq!(outcome, CancelOutcome::AlreadyEnded);
    assert_eq!(bench.state(&next).await, Some(JobState::Waiting));
}

#[tokio::test]
async fn a_marked_job_is_cancelled_without_the_running_one() {
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
    let before = bench.state(&marked).await;

    let outcome = bench.queue.cancel(marked.id()).await.unwrap();
    worker.settle(&running, Outcome::Done).await.unwrap();

    assert_eq!(before, Some(JobState::Waiting));
    assert!(matches!(outcome, CancelOutcome::Removed(view) if view.id == *marked.id()));
    assert_eq!(bench.state(&first).await, Some(JobState::Completed));
    assert_eq!(bench.state(&marked).await, Some(JobState::Cancelled));
    assert_eq!(worker.claim(1).await.unwrap(), []);
}

#[tokio::test]
async fn the_marked_job_runs_if_the_running_one_is_cancelled() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    let marked = bench
        .push(NewJob {
            version: 2,
            ..job("c1")
        })
        .await;

    worker.settle(&running, Outcome::Cancelled).await.unwrap();

    assert_eq!(worker.claim(1).await.unwrap()[0].view.id, *marked.id());
}

#[tokio::test]
async fn a_failed_job_runs_again_under_its_id_with_fresh_attempts() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let pushed = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    worker.settle(&running, failed()).await.unwrap();

    let outcome = bench.queue.retry(pushed.id()).await.unwrap();
    let again = worker.claim(1).await.unwrap().remove(0);

    assert_eq!(outcome, RetryOutcome::Requeued(pushed.id().clone()));
    assert_eq!(again.view.id, *pushed.id());
    assert_eq!((again.view.attempt, again.view.error.clone()), (1, None));
    assert_eq!(
        bench.counts().await,
        Counts {
            active: 1,
            ..Counts::default()
        }
    );
}

#[tokio::test]
async fn retrying_a_failed_job_hurries_the_live_one_of_its_key() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let old = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    worker.settle(&running, failed()).await.unwrap();
    let live = bench
        .push(NewJob {
            when: When::At(now_ms() + 60_000),
            ..job("c1")
        })
        .await;

    let outcome = bench.queue.retry(old.id()).await.unwrap();

    assert_eq!(outcome, RetryOutcome::Merged(live.id().clone()));
    assert_eq!(keys(&worker.claim(1).await.unwrap()), ["c1"]);
}

#[tokio::test]
async fn only_a_failed_job_can_be_retried() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let waiting = bench.push(job("c1")).await;
    let completed = bench.push(job("c0")).await;
    let jobs = worker.claim(2).await.unwrap();
    let done = jobs.iter().find(|job| job.view.id == *completed.id());
    worker.settle(done.unwrap(), Outcome::Done).await.unwrap();
    let cancelled = bench.push(job("c2")).await;
    bench.queue.cancel(cancelled.id()).await.unwrap();

    let mut outcomes = Vec::new();
    for id in [waiting.id(), completed.id(), cancelled.id()] {
        outcomes.push(bench.queue.retry(id).await.unwrap());
    }
    let unknown = JobId::next(bench.queue.name(), "c9");
    outcomes.push(bench.queue.retry(&unknown).await.unwrap());

    assert_eq!(
        outcomes,
        [
            RetryOutcome::NotFailed(JobState::Active),
            RetryOutcome::NotFailed(JobState::Completed),
            RetryOutcome::NotFailed(JobState::Cancelled),
            RetryOutcome::Unknown,
        ]
    );
}

#[tokio::test]
async fn a_promoted_job_runs_at_once_but_not_before_its_not_before() {
    let bench = Bench::new().await;
    let at = now_ms() + 3_600_000;
    let later = |key, not_before_ms| NewJob {
        when: When::At(at),
        not_before_ms,
        ..job(key)
    };
    let free = bench.push(later("free", 0)).await;
    let held = bench.push(later("held", at - 60_000)).await;

    let first = bench.queue.promote(free.id()).await.unwrap();
    let again = bench.queue.promote(free.id()).await.unwrap();
    let bounded = bench.queue.promote(held.id()).await.unwrap();

    assert!(matches!(first, PromoteOutcome::Promoted(view) if view.state == JobState::Waiting));
    assert_eq!(again, PromoteOutcome::AlreadyDue(JobState::Waiting));
    assert!(matches!(bounded, PromoteOutcome::Promoted(view) if view.run_at_ms == at - 60_000));
    assert_eq!(keys(&bench.worker().claim(9).await.unwrap()), ["free"]);
    let unknown = JobId::next(bench.queue.name(), "free");
    let unknown = bench.queue.promote(&unknown).await.unwrap();
    assert_eq!(unknown, PromoteOutcome::Unknown);
}

#[tokio::test]
async fn a_removed_job_leaves_no_trace_in_any_state() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.push_all(&["done", "failed", "runs"]).await;
    let jobs = worker.claim(3).await.unwrap();
    worker.settle(&jobs[0], Outcome::Done).await.unwrap();
    worker.settle(&jobs[1], failed()).await.unwrap();
    let waits = bench.push(job("waits")).await;
    let mut ids: Vec<JobId> = jobs.iter().map(|job| job.view.id.clone()).collect();
    ids.push(waits.id().clone());

    let mut outcomes = Vec::new();
    for id in &ids {
        outcomes.push(bench.queue.remove(id).await.unwrap());
    }
    worker.settle(&jobs[2], Outcome::Done).await.unwrap();
    let again = bench.queue.remove(&ids[0]).await.unwrap();

    let (removed, signalled) = (RemoveOutcome::Removed, RemoveOutcome::Signalled);
    assert_eq!(outcomes, [removed, removed, signalled, removed]);
    assert_eq!(again, RemoveOutcome::Unknown);
    assert_eq!(bench.counts().await, Counts::default());
}

#[tokio::test]
async fn all_that_match_are_changed_and_a_dry_run_only_counts() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let jobs: Vec<NewJob> = (0..450)
        .map(|at| of(&format!("t{}", at % 3), &format!("c{at}")))
        .collect();
    bench.queue.push_many(jobs).await.unwrap();
    let waiting = JobFilter {
        state: Some(JobState::Waiting),
        ..JobFilter::default()
    };
    let change = async |change, tenant, filter, is_dry_run| {
        let bulk = bench.queue.change_all(change, tenant, filter, is_dry_run);
        bulk.await.unwrap()
    };

    let dry = change(Change::Remove, Some("t0"), &waiting, true).await;
    let untouched = bench.counts().await.waiting;
    let removed = change(Change::Remove, Some("t0"), &waiting, false).await;
    let running = worker.claim(40).await.unwrap();
    let settles: Vec<_> = running.into_iter().map(|job| (job, failed(), 1)).collect();
    worker.turn(&settles, 0).await.unwrap();
    let is_failed = JobFilter {
        state: Some(JobState::Failed),
        ..JobFilter::default()
    };
    let retried = change(Change::Retry, None, &is_failed, false).await;
    let cancelled = change(Change::Cancel, None, &waiting, false).await;

    let bulk = |matched, changed| Bulk { matched, changed };
    assert_eq!((dry, untouched), (bulk(150, 0), 450));
    assert_eq!(removed, bulk(150, 150));
    assert_eq!(retried, bulk(40, 40));
    assert_eq!(cancelled, bulk(300, 300));
    let left = bench.counts().await;
    // What is kept of each of two tenants.
    assert_eq!((left.waiting, left.failed), (0, 100));
}
