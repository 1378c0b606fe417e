//! Order, fairness, leases and outcomes, one turn at a time.

use std::time::Duration;

use tokenfleet_queue::testing::HandJob;
use tokenfleet_queue::{Counts, JobState, NewJob, Outcome, QueueSettings, When};

use crate::support::{Bench, failed, job, keys, now_ms, of, retry};

const LEASE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn jobs_of_equal_deadlines_run_in_the_order_of_their_pushes() {
    let bench = Bench::new().await;
    let pushed = ["z", "a", "m", "b", "y"];

    bench.push_all(&pushed).await;

    assert_eq!(keys(&bench.worker().claim(9).await.unwrap()), pushed);
}

#[tokio::test]
async fn the_earliest_deadline_runs_first() {
    let bench = Bench::new().await;
    for (key, deadline_ms) in [("c", 300), ("a", 100), ("d", 400), ("b", 200)] {
        bench
            .push(NewJob {
                deadline_ms,
                ..job(key)
            })
            .await;
    }

    bench
        .push(NewJob {
            deadline_ms: 50,
            ..job("d")
        })
        .await;

    let claimed = bench.worker().claim(9).await.unwrap();
    assert_eq!(keys(&claimed), ["d", "a", "b", "c"]);
}

#[tokio::test]
async fn a_tenant_with_many_jobs_does_not_keep_others_waiting() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    for at in 0..20 {
        bench.push(of("big", &format!("big-{at}"))).await;
    }
    for at in 0..3 {
        bench.push(of("small", &format!("small-{at}"))).await;
    }

    let mut tenants = Vec::new();
    for _ in 0..8 {
        tenants.push(worker.claim(1).await.unwrap().remove(0).view.tenant);
    }
    let batch = worker.claim(6).await.unwrap();

    let small = tenants.iter().filter(|tenant| *tenant == "small").count();
    assert_eq!(small, 3, "{tenants:?}");
    assert!(
        tenants[..6].iter().filter(|t| *t == "small").count() >= 2,
        "{tenants:?}"
    );
    assert_eq!(batch.len(), 6);
}

#[tokio::test]
async fn a_batch_is_shared_out_evenly() {
    let bench = Bench::new().await;
    for tenant in ["a", "b", "c"] {
        for at in 0..10 {
            bench.push(of(tenant, &format!("{tenant}-{at}"))).await;
        }
    }

    let claimed = bench.worker().claim(12).await.unwrap();

    for tenant in ["a", "b", "c"] {
        let share = claimed.iter().filter(|job| job.view.tenant == tenant);
        assert_eq!(share.count(), 4, "{tenant}");
    }
}

#[tokio::test]
async fn a_tenant_that_keeps_coming_back_does_not_overtake_one_that_waits() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    for at in 0..10 {
        bench.push(of("patient", &format!("p{at}"))).await;
    }

    let mut patient = 0;
    for at in 0..20 {
        bench.push(of("busy", &format!("b{at}"))).await;
        let claimed = worker.claim(1).await.unwrap().remove(0);
        patient += usize::from(claimed.view.tenant == "patient");
    }

    assert!((9..=10).contains(&patient), "{patient}");
}

#[tokio::test]
async fn a_delayed_job_is_never_early() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let at = now_ms() + 60_000;
    let pushed = bench
        .push(NewJob {
            when: When::At(at),
            ..job("c1")
        })
        .await;

    let turn = worker.turn(&[], 5).await.unwrap();
    bench.advance(Duration::from_secs(59));
    let early = worker.claim(5).await.unwrap();
    bench.advance(Duration::from_secs(1));
    let due = worker.claim(5).await.unwrap();

    let next_in = turn.next_in.unwrap();
    assert!(
        (Duration::from_secs(50)..=Duration::from_mins(1)).contains(&next_in),
        "{next_in:?}"
    );
    assert_eq!((turn.jobs.len(), turn.more, early.len()), (0, false, 0));
    assert_eq!(due[0].view.id, *pushed.id());
    assert!(due[0].view.started_at_ms.unwrap() >= at);
}

#[tokio::test]
async fn a_job_whose_worker_is_lost_is_run_by_another_after_the_lease() {
    let bench = Bench::new().await;
    let (first, second) = (bench.worker(), bench.worker());
    bench.push(job("c1")).await;
    let lost = first.claim(1).await.unwrap().remove(0);

    bench.advance(LEASE.saturating_sub(Duration::from_secs(1)));
    let early = second.claim(1).await.unwrap();
    bench.advance(Duration::from_secs(1));
    let taken = second.claim(1).await.unwrap().remove(0);

    assert_eq!(early, []);
    assert_eq!(taken.view.id, lost.view.id);
    assert_eq!((taken.view.attempt, taken.view.crashes), (2, 1));
}

#[tokio::test]
async fn a_clock_that_is_set_back_or_forth_loses_no_job_and_runs_none_early() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.push_all(&["running", "waiting"]).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    let later = NewJob {
        when: When::At(now_ms() + 60_000),
        ..job("later")
    };
    bench.push(later).await;

    bench.queues.set_clock_back(Duration::from_hours(1));
    let waiting = worker.claim(5).await.unwrap();
    assert_eq!(keys(&waiting), ["waiting"]);
    assert_eq!(worker.settle(&running, Outcome::Done).await.unwrap(), "D");
    bench.push(job("newer")).await;
    let newer = worker.claim(5).await.unwrap();
    assert_eq!(keys(&newer), ["newer"]);

    bench.advance(Duration::from_hours(2));
    let mut all: Vec<String> = Vec::new();
    for _ in 0..3 {
        let claimed = bench.worker().claim(5).await.unwrap();
        all.extend(claimed.into_iter().map(|job| job.view.id.key));
    }
    all.sort();
    assert_eq!(all, ["later", "newer", "waiting"]);
    let late = worker.settle(&newer[0], Outcome::Done).await.unwrap();
    assert_eq!(late, "X");
}

#[tokio::test]
async fn the_late_word_of_an_old_owner_changes_nothing() {
    let bench = Bench::new().await;
    let (first, second) = (bench.worker(), bench.worker());
    let pushed = bench.push(job("c1")).await;
    let old = first.claim(1).await.unwrap().remove(0);
    bench.advance(LEASE);

    let while_waiting = {
        second.claim(0).await.unwrap();
        first.settle(&old, Outcome::Done).await.unwrap()
    };
    let new = second.claim(1).await.unwrap().remove(0);
    let before = bench.queue.job(pushed.id()).await.unwrap();
    let while_running = first.settle(&old, failed()).await.unwrap();
    let after = bench.queue.job(pushed.id()).await.unwrap();
    let own = second.settle(&new, Outcome::Done).await.unwrap();
    let repeated = second.settle(&new, Outcome::Done).await.unwrap();

    assert_eq!([&*while_waiting, &*while_running], ["X", "X"]);
    assert_eq!(before, after);
    assert_eq!([&*own, &*repeated], ["D", "X"]);
}

#[tokio::test]
async fn a_job_that_costs_three_workers_their_lease_is_handed_out_to_be_ended() {
    let bench = Bench::with(QueueSettings {
        max_attempts: 99,
        ..QueueSettings::default()
    })
    .await;
    let worker = bench.worker();
    let pushed = bench.push(job("c1")).await;
    for attempt in 1..=3 {
        let jobs = worker.claim(1).await.unwrap();
        assert_eq!(jobs[0].view.attempt, attempt);
        bench.advance(LEASE);
    }

    let turn = worker.turn(&[], 1).await.unwrap();
    worker.settle(&turn.lost[0], failed()).await.unwrap();

    assert_eq!((turn.jobs.len(), turn.lost[0].view.crashes), (0, 3));
    assert_eq!(bench.state(&pushed).await, Some(JobState::Failed));
}

#[tokio::test]
async fn a_job_to_be_ended_is_handed_out_again_if_that_worker_is_lost_too() {
    let bench = Bench::with(QueueSettings {
        poison_after: 1,
        ..QueueSettings::default()
    })
    .await;
    bench.push(job("c1")).await;
    bench.worker().claim(1).await.unwrap();

    for crashes in 1..=3 {
        bench.advance(LEASE);
        let turn = bench.worker().turn(&[], 1).await.unwrap();
        assert_eq!(turn.lost[0].view.crashes, crashes);
    }
}

#[tokio::test]
async fn a_crash_on_the_last_attempt_is_the_end() {
    let bench = Bench::with(QueueSettings {
        max_attempts: 1,
        ..QueueSettings::default()
    })
    .await;
    bench.push(job("c1")).await;
    bench.worker().claim(1).await.unwrap();
    bench.advance(LEASE);

    let turn = bench.worker().turn(&[], 1).await.unwrap();

    assert_eq!((turn.jobs.len(), turn.lost.len()), (0, 1));
}

#[tokio::test]
async fn a_snooze_spends_no_attempt_and_a_retry_does() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.push(job("c1")).await;
    let mut attempts = Vec::new();

    for outcome in [
        Outcome::Snooze {
            until_ms: 0,
            not_before: false,
        },
        retry(Duration::ZERO),
        Outcome::Released,
        retry(Duration::ZERO),
    ] {
        let running = worker.claim(1).await.unwrap().remove(0);
        attempts.push(running.view.attempt);
        worker.settle(&running, outcome).await.unwrap();
    }
    attempts.push(worker.claim(1).await.unwrap()[0].view.attempt);

    assert_eq!(attempts, [1, 1, 2, 2, 3]);
}

#[tokio::test]
async fn a_retry_waits_in_redis_and_holds_no_slot() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let pushed = bench.push(job("c1")).await;
    let running = worker.claim(1).await.unwrap().remove(0);

    worker
        .settle(&running, retry(Duration::from_secs(10)))
        .await
        .unwrap();

    let view = bench.queue.job(pushed.id()).await.unwrap().unwrap();
    assert_eq!(view.state, JobState::Delayed);
    assert_eq!(view.error.as_deref(), Some("try again"));
    assert_eq!(
        bench.counts().await,
        Counts {
            delayed: 1,
            ..Counts::default()
        }
    );
    bench.advance(Duration::from_secs(10));
    assert_eq!(keys(&worker.claim(1).await.unwrap()), ["c1"]);
}

#[tokio::test]
async fn one_unknown_job_in_a_batch_does_not_fail_the_rest() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.push_all(&["c1", "c2", "c3"]).await;
    let mut jobs = worker.claim(3).await.unwrap();
    worker.settle(&jobs[1], Outcome::Done).await.unwrap();

    let settles: Vec<(HandJob, Outcome, u64)> =
        jobs.drain(..).map(|job| (job, Outcome::Done, 1)).collect();
    let turn = worker.turn(&settles, 0).await.unwrap();

    assert_eq!(turn.letters, "DXD");
    assert_eq!(bench.counts().await.completed, 3);
}

#[tokio::test]
async fn one_turn_settles_and_claims() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.push_all(&["c1", "c2", "c3"]).await;
    let first = worker.claim(1).await.unwrap().remove(0);

    let turn = worker.turn(&[(first, Outcome::Done, 1)], 1).await.unwrap();

    assert_eq!((&*turn.letters, keys(&turn.jobs)), ("D", vec!["c2"]));
    assert!(turn.more);
}

#[tokio::test]
async fn a_claim_wakes_the_next_worker_only_while_work_remains() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let marker = "{tokenfleet:refresh:tiktok}:wake";
    let is_armed = async || bench.command(&["LLEN", marker]).await == redis::Value::Int(1);
    bench.push_all(&["c1", "c2", "c3"]).await;
    let after_push = is_armed().await;
    bench.command(&["LPOP", marker]).await;

    worker.claim(2).await.unwrap();
    let while_work_remains = is_armed().await;
    worker.claim(2).await.unwrap();
    let at_the_end = is_armed().await;

    assert_eq!(
        [after_push, while_work_remains, at_the_end],
        [true, true, false]
    );
}

#[tokio::test]
async fn damage_done_by_hand_is_healed() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.push_all(&["waits", "runs"]).await;
    bench
        .push(NewJob {
            when: When::At(now_ms() + 1000),
            ..job("later")
        })
        .await;
    bench
        .push(NewJob {
            deadline_ms: 1,
            ..job("first")
        })
        .await;
    worker.claim(1).await.unwrap();
    for key in ["ring", "delayed", "leases", "w:t1"] {
        let key = format!("{{tokenfleet:refresh:tiktok}}:{key}");
        bench.command(&["DEL", &key]).await;
    }

    let healed = tokenfleet_queue::testing::heal(&bench.queue).await.unwrap();
    bench.advance(LEASE);
    let found = worker.claim(9).await.unwrap();

    let mut found = keys(&found);
    found.sort_unstable();
    assert_eq!(healed, (4, 0));
    assert_eq!(found, ["first", "later", "runs", "waits"]);
}

#[tokio::test]
async fn members_without_a_job_are_passed_over() {
    let bench = Bench::new().await;
    bench.push_all(&["c1", "c2"]).await;
    bench
        .command(&["HDEL", "{tokenfleet:refresh:tiktok}:jobs", "c1"])
        .await;

    let claimed = bench.worker().claim(9).await.unwrap();

    assert_eq!(keys(&claimed), ["c2"]);
}
