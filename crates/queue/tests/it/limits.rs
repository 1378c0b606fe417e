//! Weights, pauses, rates, and how many jobs run at once.

use std::time::Duration;

use tokenfleet_queue::testing::HandWorker;
use tokenfleet_queue::{InvalidLimits, LimitError, Limits, NewJob, Outcome, QueueSettings, Rate};

use crate::support::{Bench, job, keys, of, until};
use crate::worker::{options, start};

fn jobs_of(tenant: &str, count: usize) -> Vec<NewJob> {
    (0..count)
        .map(|at| of(tenant, &format!("{tenant}-{at}")))
        .collect()
}

fn at_once(jobs: u32) -> Limits {
    Limits {
        at_once: Some(jobs),
        ..Limits::default()
    }
}

fn rate(jobs: u32, per: Duration, burst: u32) -> Limits {
    Limits {
        rate: Some(Rate { jobs, per, burst }),
        ..Limits::default()
    }
}

/// How many of `tenant` are among the next jobs, claimed in batches of `want` and completed.
async fn share(worker: &HandWorker, tenant: &str, rounds: usize, want: usize) -> usize {
    let (mut settles, mut count) = (Vec::new(), 0);
    for _ in 0..rounds {
        let turn = worker.turn(&settles, want).await.unwrap();
        assert_eq!(turn.jobs.len(), want);
        count += turn.jobs.iter().filter(|j| j.view.tenant == tenant).count();
        settles = turn
            .jobs
            .into_iter()
            .map(|job| (job, Outcome::Done, 1))
            .collect();
    }
    worker.turn(&settles, 0).await.unwrap();
    count
}

#[tokio::test]
async fn weights_hold_within_five_percent_however_large_the_batches() {
    let bench = Bench::new().await;
    for tenant in ["light", "heavy"] {
        bench.queue.push_many(jobs_of(tenant, 3_000)).await.unwrap();
    }
    let weight = Limits {
        weight: 3,
        ..Limits::default()
    };
    bench.queue.limit(Some("heavy"), weight).await.unwrap();

    for (rounds, want) in [(200, 1), (70, 3), (20, 50), (4, 200)] {
        let heavy = share(&bench.worker(), "heavy", rounds, want).await;

        let percent = 100 * heavy / (rounds * want);
        assert!(
            (70..=80).contains(&percent),
            "{percent} % of {rounds} × {want}"
        );
    }
}

#[tokio::test]
async fn a_newcomer_is_served_within_one_claim_beside_a_long_backlog() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench
        .queue
        .push_many(jobs_of("big", 100_000))
        .await
        .unwrap();
    for want in [1, 3, 50, 200] {
        worker.claim(want).await.unwrap();

        bench.push(of("new", &format!("new-{want}"))).await;
        let next = worker.claim(want.max(2)).await.unwrap();

        assert!(next.iter().any(|j| j.view.tenant == "new"), "{want}");
    }
}

#[tokio::test]
async fn a_paused_tenant_waits_while_others_go_on() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.queue.push_many(jobs_of("t1", 3)).await.unwrap();

    let paused = bench.queue.pause(Some("t1")).await.unwrap();
    bench.queue.push_many(jobs_of("t2", 1)).await.unwrap();
    bench.push(of("t1", "t1-late")).await;
    let meanwhile = worker.turn(&[], 9).await.unwrap();
    let resumed = bench.queue.resume(Some("t1")).await.unwrap();
    let after = worker.claim(9).await.unwrap();

    assert!(paused.paused);
    assert_eq!(resumed, Limits::default());
    assert_eq!(
        (keys(&meanwhile.jobs), meanwhile.more),
        (vec!["t2-0"], false)
    );
    assert_eq!(keys(&after), ["t1-0", "t1-1", "t1-2", "t1-late"]);
}

#[tokio::test]
async fn a_tenant_that_is_paused_before_its_first_job_waits_too() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.queue.pause(Some("t1")).await.unwrap();
    bench.queue.push_many(jobs_of("t1", 2)).await.unwrap();

    let meanwhile = worker.turn(&[], 9).await.unwrap();
    bench.queue.resume(Some("t1")).await.unwrap();

    assert_eq!((meanwhile.jobs, meanwhile.more), (vec![], false));
    assert_eq!(worker.claim(9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_paused_queue_settles_what_runs_and_claims_nothing() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.push_all(&["c1", "c2"]).await;
    let running = worker.claim(1).await.unwrap().remove(0);

    bench.queue.pause(None).await.unwrap();
    let turn = worker
        .turn(&[(running, Outcome::Done, 1)], 5)
        .await
        .unwrap();
    let is_paused = bench.queue.limits(None).await.unwrap().paused;
    bench.queue.resume(None).await.unwrap();

    assert_eq!((&*turn.letters, turn.jobs, turn.more), ("D", vec![], false));
    assert!(is_paused);
    assert_eq!(keys(&worker.claim(5).await.unwrap()), ["c2"]);
}

#[tokio::test]
async fn a_worker_is_woken_when_its_queue_is_resumed() {
    let bench = Bench::with(QueueSettings {
        safety_poll: Duration::from_mins(10),
        ..QueueSettings::default()
    })
    .await;
    bench.queue.pause(None).await.unwrap();
    let worker = start(&bench.queue, options(2), |_, _| async { Ok(Outcome::Done) });
    let marker = "{tokenfleet:refresh:tiktok}:wake";
    bench.push(job("c1")).await;
    until("the marker was taken", || async {
        bench.command(&["EXISTS", marker]).await == redis::Value::Int(0)
    })
    .await;

    bench.queue.resume(None).await.unwrap();

    until("ran", || async { bench.counts().await.completed == 1 }).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_tenant_runs_no_more_jobs_at_once_than_it_may() {
    let bench = Bench::new().await;
    let (first, second) = (bench.worker(), bench.worker());
    bench.queue.push_many(jobs_of("t1", 5)).await.unwrap();
    bench.queue.push_many(jobs_of("t2", 1)).await.unwrap();
    bench.queue.limit(Some("t1"), at_once(2)).await.unwrap();

    let running = first.claim(9).await.unwrap();
    let none = second.turn(&[], 9).await.unwrap();
    let own = running.iter().find(|j| j.view.tenant == "t1").unwrap();
    first.settle(own, Outcome::Done).await.unwrap();
    let next = second.claim(9).await.unwrap();

    let of_t1 = running.iter().filter(|j| j.view.tenant == "t1").count();
    assert_eq!((running.len(), of_t1), (3, 2));
    assert_eq!((none.jobs, none.more), (vec![], false));
    assert_eq!(keys(&next), ["t1-2"]);
}

#[tokio::test]
async fn a_crash_gives_the_slot_of_its_tenant_back() {
    let bench = Bench::new().await;
    bench.queue.push_many(jobs_of("t1", 3)).await.unwrap();
    bench.queue.limit(Some("t1"), at_once(1)).await.unwrap();
    bench.worker().claim(9).await.unwrap();

    bench.advance(Duration::from_secs(30));

    assert_eq!(bench.worker().claim(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_queue_runs_no_more_jobs_at_once_than_it_may() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.queue.push_many(jobs_of("t1", 5)).await.unwrap();
    bench.queue.limit(None, at_once(2)).await.unwrap();

    let mut running = worker.claim(9).await.unwrap();
    let none = worker.claim(9).await.unwrap();
    let settle = [(running.remove(0), Outcome::Done, 1)];
    let turn = worker.turn(&settle, 9).await.unwrap();

    assert_eq!((running.len(), none.len(), turn.jobs.len()), (1, 0, 1));
}

#[tokio::test]
async fn a_tenants_rate_is_kept_and_spares_the_others() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.queue.push_many(jobs_of("t1", 9)).await.unwrap();
    let ten_a_minute = rate(10, Duration::from_mins(1), 2);
    bench.queue.limit(Some("t1"), ten_a_minute).await.unwrap();

    let burst = worker.turn(&[], 9).await.unwrap();
    bench.queue.push_many(jobs_of("t2", 3)).await.unwrap();
    let others = worker.claim(9).await.unwrap();
    bench.advance(Duration::from_secs(6));
    let next = worker.claim(9).await.unwrap();
    bench.advance(Duration::from_secs(20));
    let rested = worker.claim(9).await.unwrap();

    assert_eq!((burst.jobs.len(), burst.more), (2, false));
    let next_in = burst.next_in.unwrap();
    assert!(
        (Duration::from_secs(5)..Duration::from_secs(7)).contains(&next_in),
        "{next_in:?}"
    );
    assert_eq!(keys(&others), ["t2-0", "t2-1", "t2-2"]);
    assert_eq!((next.len(), rested.len()), (1, 2));
}

#[tokio::test]
async fn a_queues_rate_is_kept_whoever_claims() {
    let bench = Bench::new().await;
    bench.queue.push_many(jobs_of("t1", 9)).await.unwrap();
    let one_a_second = rate(1, Duration::from_secs(1), 3);
    bench.queue.limit(None, one_a_second).await.unwrap();

    let mut claimed = Vec::new();
    for _ in 0..3 {
        claimed.push(bench.worker().claim(9).await.unwrap().len());
    }
    bench.advance(Duration::from_secs(2));
    claimed.push(bench.worker().claim(9).await.unwrap().len());

    assert_eq!(claimed, [3, 0, 0, 2]);
}

#[tokio::test]
async fn a_worker_comes_back_by_itself_when_a_rate_allows_more() {
    let bench = Bench::with(QueueSettings {
        safety_poll: Duration::from_mins(10),
        ..QueueSettings::default()
    })
    .await;
    let ten_a_second = rate(10, Duration::from_secs(1), 1);
    bench.queue.limit(Some("t1"), ten_a_second).await.unwrap();
    let worker = start(&bench.queue, options(3), |_, _| async { Ok(Outcome::Done) });

    bench.push_all(&["c1", "c2", "c3", "c4"]).await;

    until("all ran", || async { bench.counts().await.completed == 4 }).await;
    worker.stop().await;
}

#[tokio::test]
async fn any_number_of_paused_tenants_hides_nobody() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    for at in 0..200 {
        let tenant = format!("p{at:03}");
        bench.queue.pause(Some(&tenant)).await.unwrap();
        bench.queue.push_many(jobs_of(&tenant, 1)).await.unwrap();
    }
    bench.push(of("z", "free")).await;

    let mut claimed = Vec::new();
    for _ in 0..5 {
        claimed.extend(worker.claim(1).await.unwrap());
    }

    assert_eq!(keys(&claimed), ["free"]);
}

#[tokio::test]
async fn lifted_limits_leave_nothing_behind() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.queue.push_many(jobs_of("t1", 4)).await.unwrap();
    let both = Limits {
        at_once: Some(1),
        ..rate(1, Duration::from_hours(1), 1)
    };
    bench.queue.limit(Some("t1"), both).await.unwrap();
    bench.queue.limit(None, both).await.unwrap();
    worker.claim(9).await.unwrap();
    let limited = bench.queue.limited_tenants().await.unwrap();

    for tenant in [Some("t1"), None] {
        bench.queue.limit(tenant, Limits::default()).await.unwrap();
    }
    let rest = worker.claim(9).await.unwrap();
    bench.queue.purge_tenant("t1").await.unwrap();
    for job in &rest {
        worker.settle(job, Outcome::Done).await.unwrap();
    }

    assert_eq!(limited, [("t1".to_owned(), both)]);
    assert_eq!(rest.len(), 3);
    let left = bench.keys().await;
    let of_limits = |key: &String| {
        ["limits", "rates", "parked"]
            .iter()
            .any(|n| key.ends_with(n))
    };
    assert!(!left.iter().any(of_limits), "{left:?}");
}

#[tokio::test]
async fn limits_out_of_range_are_refused() {
    let bench = Bench::new().await;
    let refused = async |tenant, limits| match bench.queue.limit(tenant, limits).await {
        Err(LimitError::Invalid(why)) => why,
        other => panic!("{other:?}"),
    };
    let no_weight = Limits {
        weight: 0,
        ..Limits::default()
    };

    let found = [
        refused(Some("a b"), Limits::default()).await,
        refused(None, no_weight).await,
        refused(None, at_once(0)).await,
        refused(None, rate(0, Duration::from_secs(1), 1)).await,
        refused(None, rate(1, Duration::ZERO, 1)).await,
        refused(None, rate(1, Duration::from_secs(1), 0)).await,
    ];

    assert_eq!(
        found,
        [
            InvalidLimits::Tenant,
            InvalidLimits::OutOfRange("weight"),
            InvalidLimits::OutOfRange("number of jobs at once"),
            InvalidLimits::Rate,
            InvalidLimits::Rate,
            InvalidLimits::OutOfRange("burst"),
        ]
    );
}
