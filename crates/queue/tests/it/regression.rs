//! What apalis-redis 1.0.0 got wrong: one test per line of the list (the number is the line's).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokenfleet_queue::testing::heal;
use tokenfleet_queue::{
    Counts, JobFilter, JobState, NewJob, Outcome, Pushed, Queue, QueueSettings, When,
};
use tokio::sync::Semaphore;

use crate::support::{Bench, failed, job, keys, now_ms, of, retry, until};
use crate::worker::{Log, options, start};

fn many(count: usize, tenants: usize) -> Vec<NewJob> {
    (0..count)
        .map(|at| of(&format!("t{}", at % tenants), &format!("c{at}")))
        .collect()
}

async fn drain(queue: &Queue, worker: &tokenfleet_queue::testing::HandWorker) -> usize {
    let (mut settles, mut total) = (Vec::new(), 0);
    loop {
        let turn = worker.turn(&settles, 200).await.unwrap();
        if turn.jobs.is_empty() && queue.counts(None).await.unwrap().active == 0 {
            return total;
        }
        total += turn.jobs.len();
        settles = turn
            .jobs
            .into_iter()
            .map(|job| (job, Outcome::Done, 1))
            .collect();
    }
}

#[tokio::test]
async fn l01_immediate_jobs_run_at_once_and_in_order() {
    let bench = Bench::new().await;
    let ran = Log::default();
    let log = ran.clone();
    let worker = start(&bench.queue, options(1), move |payload, _| {
        log.add(payload);
        async { Ok(Outcome::Done) }
    });
    let pushed: Vec<String> = (0..50).map(|at| format!("c{}", at * 7 % 50)).collect();

    let jobs = pushed.iter().map(|key| job(key)).collect();
    bench.queue.push_many(jobs).await.unwrap();

    until("all ran", || async { ran.all().len() == 50 }).await;
    assert_eq!(ran.all(), pushed);
    worker.stop().await;
}

#[tokio::test]
async fn l02_any_number_of_due_jobs_leaves_the_queue_going() {
    let bench = Bench::new().await;
    let at = now_ms() + 60_000;
    let later = many(20_000, 7).into_iter().map(|job| NewJob {
        when: When::At(at),
        ..job
    });
    bench.queue.push_many(later.collect()).await.unwrap();
    bench.advance(Duration::from_secs(61));

    let ran = drain(&bench.queue, &bench.worker()).await;

    assert_eq!(ran, 20_000);
}

#[tokio::test]
async fn l03_a_key_is_free_once_its_job_has_ended_or_its_worker_is_lost() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    for outcome in [Outcome::Done, failed(), Outcome::Cancelled] {
        let pushed = bench.push(job("c1")).await;
        assert!(matches!(pushed, Pushed::New(_)));
        let running = worker.claim(1).await.unwrap().remove(0);
        worker.settle(&running, outcome).await.unwrap();
    }

    bench.push(job("c1")).await;
    worker.claim(1).await.unwrap();
    bench
        .command(&["DEL", "{tokenfleet:refresh:tiktok}:leases"])
        .await;
    heal(&bench.queue).await.unwrap();
    bench.advance(Duration::from_secs(30));

    assert_eq!(keys(&worker.claim(1).await.unwrap()), ["c1"]);
}

#[tokio::test]
async fn l04_attempts_count_at_the_claim_and_pauses_are_kept_in_redis() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let pushed = bench.push(job("c1")).await;
    let first = worker.claim(1).await.unwrap().remove(0);
    bench.advance(Duration::from_secs(30));
    let after_crash = worker.claim(1).await.unwrap().remove(0);

    worker
        .settle(&after_crash, retry(Duration::from_millis(1_234_567)))
        .await
        .unwrap();

    let view = bench.queue.job(pushed.id()).await.unwrap().unwrap();
    assert_eq!((first.view.attempt, after_crash.view.attempt), (1, 2));
    let pause = view.run_at_ms - after_crash.view.started_at_ms.unwrap();
    assert!((1_234_567..1_236_567).contains(&pause), "{pause}");
}

#[tokio::test]
async fn l05_counters_are_exact_whatever_happened() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.queue.push_many(many(300, 3)).await.unwrap();
    let jobs = worker.claim(120).await.unwrap();
    let outcomes = [
        Outcome::Done,
        failed(),
        retry(Duration::from_mins(1)),
        Outcome::Released,
        Outcome::Cancelled,
    ];

    let settles: Vec<_> = jobs
        .into_iter()
        .take(100)
        .enumerate()
        .map(|(at, job)| (job, outcomes[at % 5].clone(), 1))
        .collect();
    worker.turn(&settles, 0).await.unwrap();

    let all = bench.counts().await;
    assert_eq!(
        all,
        Counts {
            waiting: 200,
            delayed: 20,
            active: 20,
            completed: 20,
            failed: 40
        }
    );
    let mut sum = Counts::default();
    for tenant in ["t0", "t1", "t2"] {
        let counts = bench.queue.counts(Some(tenant)).await.unwrap();
        sum.waiting += counts.waiting;
        sum.delayed += counts.delayed;
        sum.active += counts.active;
        sum.completed += counts.completed;
        sum.failed += counts.failed;
    }
    assert_eq!(sum, all);
}

#[tokio::test]
async fn l06_trimmed_jobs_take_no_memory() {
    let bench = Bench::with(QueueSettings {
        keep_for: Duration::from_mins(1),
        ..QueueSettings::default()
    })
    .await;
    bench.queue.push_many(many(5_000, 50)).await.unwrap();
    drain(&bench.queue, &bench.worker()).await;
    let kept = bench.counts().await.completed;

    bench.advance(Duration::from_secs(61));
    while heal(&bench.queue).await.unwrap().1 > 0 {}

    assert_eq!(kept, 500);
    assert_eq!(bench.keys().await, [""; 0]);
}

#[tokio::test]
async fn l07_a_killed_worker_is_replaced_within_the_lease_and_under_the_same_name() {
    let bench = Bench::with(QueueSettings {
        lease: Duration::from_secs(1),
        ..QueueSettings::default()
    })
    .await;
    let started = Arc::new(Semaphore::new(0));
    let signal = started.clone();
    let killed = start(&bench.queue, options(2), move |_, _| {
        signal.add_permits(1);
        std::future::pending()
    });
    bench.push(job("c1")).await;
    started.acquire().await.unwrap().forget();
    killed.worker.abort();

    let next = start(&bench.queue, options(2), |_, _| async { Ok(Outcome::Done) });
    // Within 20 s, not the 300 s of the list.
    until("completed", || async {
        bench.counts().await.completed == 1
    })
    .await;

    next.stop().await;
}

#[tokio::test]
async fn l08_a_worker_with_many_running_jobs_drains_and_ends() {
    let bench = Bench::new().await;
    let (started, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (signal, passed) = (started.clone(), gate.clone());
    let worker = start(&bench.queue, options(300), move |_, _| {
        signal.add_permits(1);
        let gate = passed.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(Outcome::Done)
        }
    });
    bench.queue.push_many(many(500, 1)).await.unwrap();
    started.acquire_many(300).await.unwrap().forget();

    worker.shutdown.cancel();
    gate.add_permits(1_000);
    worker.worker.await.unwrap().unwrap();

    let counts = bench.counts().await;
    assert_eq!((counts.waiting, counts.active, counts.delayed), (200, 0, 0));
    let filter = JobFilter {
        state: Some(JobState::Waiting),
        limit: 200,
        ..JobFilter::default()
    };
    let page = bench.queue.list(Some("t0"), &filter).await.unwrap();
    assert!(page.items.iter().all(|view| view.attempt == 0));
}

#[tokio::test]
async fn l09_a_settle_is_repeated_until_it_is_stored() {
    let bench = Bench::new().await;
    let (started, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (signal, passed) = (started.clone(), gate.clone());
    let worker = start(&bench.queue, options(5), move |_, _| {
        signal.add_permits(1);
        let gate = passed.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(Outcome::Done)
        }
    });
    bench.push_all(&["c1", "c2", "c3", "c4", "c5"]).await;
    started.acquire_many(5).await.unwrap().forget();

    // Settles meet a Redis that stands still, then one that hangs up.
    bench.command(&["CLIENT", "PAUSE", "800"]).await;
    gate.add_permits(5);
    bench.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;

    until("all completed", || async {
        bench.counts().await.completed == 5
    })
    .await;
    assert_eq!(started.available_permits(), 0);
    worker.stop().await;
}

/// So rare that a test would run into its limit before it: what is picked up was woken for.
fn no_safety_poll() -> QueueSettings {
    QueueSettings {
        safety_poll: Duration::from_mins(10),
        ..QueueSettings::default()
    }
}

#[tokio::test]
async fn l10_an_idle_worker_is_woken_for_each_job_and_asks_little() {
    let bench = Bench::with(QueueSettings {
        lease: Duration::from_secs(1),
        ..no_safety_poll()
    })
    .await;
    let begun = Log::default();
    let log = begun.clone();
    let worker = start(&bench.queue, options(3), move |_, _| {
        log.add(());
        async { Ok(Outcome::Done) }
    });

    for at in 0..50 {
        bench.push(job(&format!("c{at}"))).await;
        until("ran", || async { begun.all().len() == at + 1 }).await;
        until("settled", || async { bench.counts().await.active == 0 }).await;
    }
    // An idle worker has a pulse: once per lease it looks a part of the queue over. What it
    // asks for is counted over two of them.
    let looks = async || {
        calls(&bench)
            .await
            .get("hscan")
            .copied()
            .unwrap_or_default()
    };
    let first = looks().await;
    until("a look", || async { looks().await > first }).await;
    let before = calls(&bench).await;
    until("two looks more", || async { looks().await > first + 2 }).await;
    let after = calls(&bench).await;

    let asked: BTreeMap<&str, u32> = after
        .iter()
        .map(|(name, count)| (name.as_str(), count - before.get(name).unwrap_or(&0)))
        .filter(|(_, count)| *count > 0)
        .collect();
    assert!(asked.values().sum::<u32>() <= 45, "{asked:?}");
    worker.stop().await;
}

#[tokio::test]
async fn l10_a_delayed_job_is_never_early_and_needs_no_poll() {
    let bench = Bench::with(no_safety_poll()).await;
    let late = Log::default();
    let log = late.clone();
    let worker = start(&bench.queue, options(3), move |_, job| {
        log.add(job.claimed_at_ms() - job.view().run_at_ms);
        async { Ok(Outcome::Done) }
    });

    let now = now_ms();
    for at in 0..20 {
        bench
            .push(NewJob {
                when: When::At(now + 300 + 37 * at),
                ..job(&format!("c{at}"))
            })
            .await;
    }

    until("all ran", || async { late.all().len() == 20 }).await;
    let late = late.all();
    assert!(late.iter().all(|millis| *millis >= 0), "{late:?}");
    worker.stop().await;
}

/// How often each command was called.
async fn calls(bench: &Bench) -> BTreeMap<String, u32> {
    let redis::Value::BulkString(info) = bench.command(&["INFO", "commandstats"]).await else {
        panic!("INFO is text");
    };
    let info = String::from_utf8(info).unwrap();
    let calls = info.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        // What tests ask, and what a connection says of itself; since Redis 7 with a second name.
        let is_ours = !["client", "config", "hello", "info"].contains(&name.split('|').next()?);
        is_ours.then_some(())?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    });
    calls.collect()
}

/// Commands whose cost is that of what they name or return, and at most the logarithm of what is there.
const CHEAP: &[&str] = &[
    "del",
    "evalsha",
    "exists",
    "hdel",
    "hget",
    "hincrby",
    "hmget",
    "hset",
    "lpush",
    "rpop",
    "set",
    "time",
    "zadd",
    "zcard",
    "zrange",
    "zrem",
    "zremrangebyrank",
];

#[tokio::test]
async fn l11_the_cost_of_a_job_does_not_grow_with_the_backlog() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    let calls_of_turns = async |turns: u32| {
        bench.command(&["CONFIG", "RESETSTAT"]).await;
        let mut settles = Vec::new();
        for _ in 0..turns {
            let turn = worker.turn(&settles, 50).await.unwrap();
            let jobs = turn.jobs.into_iter();
            settles = jobs.map(|job| (job, Outcome::Done, 1)).collect();
        }
        calls(&bench).await
    };
    bench.queue.push_many(many(2_000, 10)).await.unwrap();
    // The first jobs of a tenant to end are put down for trimming.
    calls_of_turns(5).await;
    let small = calls_of_turns(10).await;

    bench.queue.push_many(many(60_000, 10)).await.unwrap();
    calls_of_turns(1).await;
    let large = calls_of_turns(10).await;

    let total = |calls: &BTreeMap<String, u32>| calls.values().sum::<u32>();
    assert!(total(&large) <= total(&small), "{small:?}, then {large:?}");
    let names: Vec<&str> = large.keys().map(String::as_str).collect();
    let dear: Vec<&&str> = names.iter().filter(|name| !CHEAP.contains(name)).collect();
    assert_eq!(dear, [&""; 0]);
}

#[tokio::test]
async fn l12_slow_jobs_keep_their_leases_and_run_once() {
    let bench = Bench::with(QueueSettings {
        lease: Duration::from_millis(900),
        ..QueueSettings::default()
    })
    .await;
    let runs = Log::default();
    let log = runs.clone();
    let handler = move |payload: String, _| {
        log.add(payload);
        async {
            // Two leases and more.
            tokio::time::sleep(Duration::from_millis(2_200)).await;
            Ok(Outcome::Done)
        }
    };
    let workers = [
        start(&bench.queue, options(10), handler.clone()),
        start(&bench.queue, options(10), handler),
    ];

    bench.queue.push_many(many(10, 2)).await.unwrap();

    until("all completed", || async {
        bench.counts().await.completed == 10
    })
    .await;
    assert_eq!(runs.all().len(), 10);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn l13_a_hundred_thousand_jobs_are_pushed_in_one_call() {
    let bench = Bench::new().await;
    let mut jobs = many(100_000, 100);
    jobs[77_777].key = "not a key".to_owned();

    let report = bench.queue.push_many(jobs).await.unwrap();

    let new = report.iter().filter(|r| matches!(r, Ok(Pushed::New(_))));
    assert_eq!((report.len(), new.count()), (100_000, 99_999));
    assert!(report[77_777].is_err());
    assert_eq!(bench.counts().await.waiting, 99_999);
}
