//! One live job per key: what becomes of a push.

use std::time::Duration;

use tokenfleet_queue::{
    Counts, JobId, JobState, NewJob, Outcome, PushError, Pushed, Refused, When,
};

use crate::support::{Bench, job, keys, name, now_ms, retry};

#[tokio::test]
async fn a_pushed_job_is_shown_as_it_was_pushed() {
    let bench = Bench::new().await;
    let before = now_ms();

    let pushed = bench
        .push(NewJob {
            deadline_ms: 5_000,
            not_before_ms: 7,
            version: 42,
            max_attempts: Some(9),
            ..job("c1")
        })
        .await;

    let view = bench.queue.job(pushed.id()).await.unwrap().unwrap();
    assert_eq!(bench.queue.find("c1").await.unwrap(), Some(view.clone()));
    assert_eq!(pushed, Pushed::New(view.id.clone()));
    assert_eq!(view.tenant, "t1");
    assert_eq!(view.payload, b"\"c1\"");
    assert_eq!(view.state, JobState::Waiting);
    assert_eq!((view.version, view.attempt, view.max_attempts), (42, 0, 9));
    assert_eq!((view.deadline_ms, view.not_before_ms), (5_000, 7));
    assert!((before..=now_ms()).contains(&view.created_at_ms));
    assert_eq!(view.run_at_ms, view.created_at_ms);
    assert_eq!((view.started_at_ms, view.finished_at_ms), (None, None));
}

#[tokio::test]
async fn a_waiting_job_takes_a_second_push_over() {
    let bench = Bench::new().await;
    let first = bench.push(job("c1")).await;

    let second = bench
        .push(NewJob {
            version: 5,
            deadline_ms: 300,
            payload: b"\"newer\"".to_vec(),
            ..job("c1")
        })
        .await;
    let third = bench
        .push(NewJob {
            version: 3,
            deadline_ms: 900,
            ..job("c1")
        })
        .await;

    assert_eq!(second, Pushed::Merged(first.id().clone()));
    assert_eq!(third, second);
    let view = bench.queue.job(first.id()).await.unwrap().unwrap();
    assert_eq!((view.version, view.deadline_ms), (5, 300));
    assert_eq!(view.payload, b"\"newer\"");
    assert_eq!(bench.counts().await.waiting, 1);
}

#[tokio::test]
async fn a_running_job_shares_its_result_with_a_push_of_the_same_version() {
    let bench = Bench::new().await;
    let first = bench.push(job("c1")).await;
    bench.worker().claim(1).await.unwrap();

    let second = bench.push(job("c1")).await;

    assert_eq!(second, Pushed::Shared(first.id().clone()));
}

#[tokio::test]
async fn a_newer_version_runs_after_the_running_job_under_its_own_id() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let first = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);

    let newer = NewJob {
        version: 2,
        payload: b"2".to_vec(),
        ..job("c1")
    };
    let second = bench.push(newer.clone()).await;
    let third = bench.push(newer).await;
    worker.settle(&running, Outcome::Done).await.unwrap();
    let next = worker.claim(1).await.unwrap().remove(0);

    assert_ne!(second.id(), first.id());
    assert_eq!(second, Pushed::Again(second.id().clone()));
    assert_eq!(third, second);
    assert_eq!(next.view.id, *second.id());
    assert_eq!((next.view.version, next.view.attempt), (2, 1));
    assert_eq!(next.view.payload, b"2");
    assert_eq!(bench.state(&first).await, Some(JobState::Completed));
}

#[tokio::test]
async fn a_newer_version_shares_the_result_if_the_work_was_based_on_it() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let first = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    let second = bench
        .push(NewJob {
            version: 2,
            ..job("c1")
        })
        .await;

    worker
        .turn(&[(running, Outcome::Done, 2)], 0)
        .await
        .unwrap();

    let view = bench.queue.job(second.id()).await.unwrap().unwrap();
    assert_eq!(view.state, JobState::Completed);
    assert_eq!(view.served_by, Some(first.id().clone()));
    assert_eq!(worker.claim(1).await.unwrap(), []);
    assert_eq!(bench.queue.find("c1").await.unwrap(), None);
}

#[tokio::test]
async fn a_job_that_is_tried_again_takes_its_mark_along() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let first = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    let second = bench
        .push(NewJob {
            version: 2,
            payload: b"2".to_vec(),
            ..job("c1")
        })
        .await;

    worker
        .settle(&running, retry(Duration::ZERO))
        .await
        .unwrap();
    let again = worker.claim(1).await.unwrap().remove(0);
    worker.settle(&again, Outcome::Done).await.unwrap();

    assert_eq!(again.view.id, *first.id());
    assert_eq!((again.view.version, again.view.attempt), (2, 2));
    assert_eq!(again.view.payload, b"2");
    assert_eq!(bench.state(&first).await, Some(JobState::Completed));
    assert_eq!(bench.state(&second).await, Some(JobState::Completed));
}

#[tokio::test]
async fn a_person_who_pushed_meanwhile_does_not_wait_for_our_own_backoff() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    bench
        .push(NewJob {
            version: 2,
            when: When::Now,
            ..job("c1")
        })
        .await;

    worker
        .settle(&running, retry(Duration::from_mins(5)))
        .await
        .unwrap();

    assert_eq!(keys(&worker.claim(1).await.unwrap()), ["c1"]);
}

#[tokio::test]
async fn now_moves_a_delayed_job_to_now_and_a_scheduled_push_does_not() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let later = When::At(now_ms() + 60_000);
    let first = bench
        .push(NewJob {
            when: later,
            ..job("c1")
        })
        .await;

    let scheduled = bench.push(job("c1")).await;
    let early = worker.claim(1).await.unwrap();
    let now = bench
        .push(NewJob {
            when: When::Now,
            ..job("c1")
        })
        .await;
    let due = worker.claim(1).await.unwrap();

    assert_eq!(scheduled, Pushed::Merged(first.id().clone()));
    assert_eq!(now, scheduled);
    assert_eq!(keys(&early), [""; 0]);
    assert_eq!(keys(&due), ["c1"]);
}

#[tokio::test]
async fn nobody_comes_earlier_than_not_before() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    let throttled = Outcome::Retry {
        after: Some(Duration::from_secs(90)),
        not_before: true,
        why: "429".to_owned(),
    };
    worker.settle(&running, throttled).await.unwrap();

    for when in [When::Now, When::Scheduled, When::At(now_ms())] {
        bench.push(NewJob { when, ..job("c1") }).await;
        assert_eq!(keys(&worker.claim(1).await.unwrap()), [""; 0], "{when:?}");
    }
    bench.advance(Duration::from_secs(89));
    let early = worker.claim(1).await.unwrap();
    bench.advance(Duration::from_secs(1));
    let due = worker.claim(1).await.unwrap();

    assert_eq!(keys(&early), [""; 0]);
    assert_eq!(keys(&due), ["c1"]);
}

#[tokio::test]
async fn a_push_that_must_not_run_yet_holds_a_waiting_job_back() {
    let bench = Bench::new().await;
    let first = bench.push(job("c1")).await;
    let not_before_ms = now_ms() + 60_000;

    bench
        .push(NewJob {
            not_before_ms,
            ..job("c1")
        })
        .await;

    let view = bench.queue.job(first.id()).await.unwrap().unwrap();
    assert_eq!(view.state, JobState::Delayed);
    assert_eq!(view.run_at_ms, not_before_ms);
    assert_eq!(bench.worker().claim(1).await.unwrap(), []);
}

#[tokio::test]
async fn asking_for_a_later_time_leaves_a_job_where_it_is() {
    let bench = Bench::new().await;
    let at = now_ms() + 60_000;
    let push_at = |at| NewJob {
        when: When::At(at),
        ..job("c1")
    };
    let first = bench.push(push_at(at)).await;

    bench.push(push_at(at + 60_000)).await;
    let after_later = bench.queue.job(first.id()).await.unwrap().unwrap();
    bench.push(push_at(at - 30_000)).await;
    let after_earlier = bench.queue.job(first.id()).await.unwrap().unwrap();

    assert_eq!(after_later.run_at_ms, at);
    assert_eq!(after_earlier.run_at_ms, at - 30_000);
}

#[tokio::test]
async fn a_new_job_takes_the_id_that_its_pusher_chose() {
    let bench = Bench::new().await;
    let hint = JobId::next(bench.queue.name(), "c1");

    let first = bench
        .push(NewJob {
            id_hint: Some(hint.clone()),
            ..job("c1")
        })
        .await;
    let other = bench.push(job("c1")).await;

    assert_eq!(first, Pushed::New(hint.clone()));
    assert_eq!(other, Pushed::Merged(hint));
}

#[tokio::test]
async fn a_job_that_is_pushed_again_under_its_own_id_becomes_as_urgent_as_asked() {
    let bench = Bench::new().await;
    let hint = JobId::next(bench.queue.name(), "c1");
    let push = |when| NewJob {
        id_hint: Some(hint.clone()),
        when,
        ..job("c1")
    };
    bench.push(push(When::At(now_ms() + 60_000))).await;

    let urgent = bench.push(push(When::Now)).await;

    assert_eq!(urgent, Pushed::Merged(hint.clone()));
    let claimed = bench.worker().claim(1).await.unwrap();
    assert_eq!(claimed[0].view.id, hint);
}

#[tokio::test]
async fn one_id_is_not_two_jobs() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let hint = JobId::next(bench.queue.name(), "c1");
    let push = |version| NewJob {
        id_hint: Some(hint.clone()),
        version,
        ..job("c1")
    };
    bench.push(push(1)).await;
    let running = worker.claim(1).await.unwrap().remove(0);

    let same = bench.push(push(1)).await;
    let newer = bench.push(push(2)).await;
    worker.settle(&running, Outcome::Done).await.unwrap();

    assert_eq!(same, Pushed::Shared(hint.clone()));
    assert_eq!(newer, Pushed::Again(newer.id().clone()));
    assert_ne!(*newer.id(), hint);
    assert_eq!(newer.id().to_string().parse(), Ok(newer.id().clone()));
    assert_eq!(worker.claim(1).await.unwrap()[0].view.id, *newer.id());
}

#[tokio::test]
async fn a_job_that_the_queue_does_not_take_leaves_the_others_alone() {
    let bench = Bench::new().await;
    let other_id = JobId::next(&name("other"), "c6");

    let report = bench
        .queue
        .push_many(vec![
            job("c1"),
            job("c 2"),
            NewJob {
                payload: vec![b' '; 4097],
                ..job("c3")
            },
            NewJob {
                tenant: "a:b".to_owned(),
                ..job("c4")
            },
            NewJob {
                version: 1 << 48,
                ..job("c5")
            },
            NewJob {
                id_hint: Some(other_id),
                ..job("c6")
            },
            job("c7"),
        ])
        .await
        .unwrap();

    let refused: Vec<Option<Refused>> = report.into_iter().map(Result::err).collect();
    assert_eq!(
        refused,
        [
            None,
            Some(Refused::KeyInvalid),
            Some(Refused::PayloadTooLarge {
                size: 4097,
                cap: 4096
            }),
            Some(Refused::TenantInvalid),
            Some(Refused::VersionTooLarge),
            Some(Refused::IdMismatch),
            None,
        ]
    );
    assert_eq!(bench.counts().await.waiting, 2);
    assert!(matches!(
        bench.queue.push(job("")).await,
        Err(PushError::Refused(Refused::KeyInvalid))
    ));
}

#[tokio::test]
async fn one_call_may_push_a_key_many_times() {
    let bench = Bench::new().await;
    let jobs: Vec<NewJob> = (0..2000)
        .map(|at| NewJob {
            version: at,
            ..job(&format!("c{}", at % 700))
        })
        .collect();

    let report = bench.queue.push_many(jobs).await.unwrap();

    let new = |report: &[Result<Pushed, Refused>]| {
        let new = report.iter().filter(|r| matches!(r, Ok(Pushed::New(_))));
        new.count()
    };
    assert_eq!((new(&report[..700]), new(&report[700..])), (700, 0));
    assert_eq!(
        bench.counts().await,
        Counts {
            waiting: 700,
            ..Counts::default()
        }
    );
    let view = bench.queue.find("c5").await.unwrap().unwrap();
    assert_eq!(view.version, 1405);
}
