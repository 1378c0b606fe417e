//! What is kept of ended jobs, and that nothing else is.

use std::time::Duration;

use tokenfleet_queue::{Counts, JobFilter, JobState, NewJob, Outcome, Purged, QueueSettings};

use crate::support::{Bench, failed, job, now_ms, of};

async fn end_all(bench: &Bench, outcome: Outcome) {
    let worker = bench.worker();
    loop {
        let jobs = worker.claim(100).await.unwrap();
        if jobs.is_empty() {
            return;
        }
        let settles: Vec<_> = jobs
            .into_iter()
            .map(|job| (job, outcome.clone(), 1))
            .collect();
        worker.turn(&settles, 0).await.unwrap();
    }
}

#[tokio::test]
async fn each_tenant_keeps_its_last_ten_completed_and_fifty_failed_jobs() {
    let bench = Bench::new().await;
    for outcome in [Outcome::Done, failed()] {
        let jobs: Vec<NewJob> = (0..240)
            .map(|at| of(&format!("t{}", at % 3), &format!("c{at:03}")))
            .collect();
        bench.queue.push_many(jobs).await.unwrap();
        end_all(&bench, outcome).await;
    }

    for tenant in ["t0", "t1", "t2"] {
        let counts = bench.queue.counts(Some(tenant)).await.unwrap();
        assert_eq!((counts.completed, counts.failed), (10, 50), "{tenant}");
    }
    let filter = JobFilter {
        state: Some(JobState::Completed),
        ..JobFilter::default()
    };
    let page = bench.queue.list(Some("t0"), &filter).await.unwrap();
    let newest: Vec<String> = page.items.into_iter().map(|view| view.id.key).collect();
    let last_ten: Vec<String> = (0..10).map(|at| format!("c{:03}", 237 - 3 * at)).collect();
    assert_eq!(newest, last_ten);
}

#[tokio::test]
async fn ended_jobs_of_one_key_are_told_apart() {
    let bench = Bench::new().await;
    let mut ids = Vec::new();

    for _ in 0..3 {
        ids.push(bench.push(job("c1")).await);
        end_all(&bench, Outcome::Done).await;
    }

    ids.dedup();
    assert_eq!(ids.len(), 3);
    for id in &ids {
        assert_eq!(bench.state(id).await, Some(JobState::Completed));
    }
}

#[tokio::test]
async fn what_is_not_to_be_kept_is_not_written() {
    let bench = Bench::with(QueueSettings {
        keep_completed: 0,
        keep_failed: 0,
        ..QueueSettings::default()
    })
    .await;
    bench.push_all(&["c1", "c2"]).await;
    let worker = bench.worker();
    let jobs = worker.claim(2).await.unwrap();

    worker.settle(&jobs[0], Outcome::Done).await.unwrap();
    worker.settle(&jobs[1], failed()).await.unwrap();
    worker.claim(1).await.unwrap();

    assert_eq!(bench.keys().await, [""; 0]);
}

#[tokio::test]
async fn ended_jobs_are_dropped_when_they_are_too_old() {
    let bench = Bench::new().await;
    for tenant in ["t1", "t2"] {
        bench.push(of(tenant, &format!("{tenant}-old"))).await;
    }
    end_all(&bench, Outcome::Done).await;
    bench.advance(Duration::from_hours(5 * 24));
    bench.push(of("t2", "t2-new")).await;
    end_all(&bench, failed()).await;

    bench.advance(Duration::from_hours(3 * 24));
    let dropped = tokenfleet_queue::testing::heal(&bench.queue).await.unwrap();
    let left = bench.counts().await;
    bench.advance(Duration::from_hours(7 * 24));
    let rest = tokenfleet_queue::testing::heal(&bench.queue).await.unwrap();

    assert_eq!((dropped, rest), ((0, 2), (0, 1)));
    assert_eq!((left.completed, left.failed), (0, 1));
    assert_eq!(bench.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_purged_tenant_leaves_no_byte_behind() {
    let bench = Bench::new().await;
    let worker = bench.worker();
    for outcome in [Outcome::Done, failed()] {
        for at in 0..30 {
            bench.push(job(&format!("e{at}"))).await;
        }
        end_all(&bench, outcome).await;
    }
    bench.push(job("runs")).await;
    let running = worker.claim(1).await.unwrap().remove(0);
    let waiting: Vec<NewJob> = (0..1200).map(|at| job(&format!("w{at}"))).collect();
    bench.queue.push_many(waiting).await.unwrap();
    for at in 0..700 {
        let when = tokenfleet_queue::When::At(now_ms() + 60_000 + at);
        bench
            .push(NewJob {
                when,
                ..job(&format!("d{at}"))
            })
            .await;
    }
    bench.push(of("t2", "other")).await;

    let purged = bench.queue.purge_tenant("t1").await.unwrap();
    let letter = worker.settle(&running, Outcome::Done).await.unwrap();

    assert_eq!(
        purged,
        Purged {
            removed: 10 + 30 + 1200 + 700,
            running: 1
        }
    );
    assert_eq!(letter, "D");
    let counts = bench.queue.counts(Some("t1")).await.unwrap();
    assert_eq!(counts, Counts::default());
    assert!(!bench.keys().await.iter().any(|key| key.ends_with(":t1")));
    bench.queue.purge_tenant("t2").await.unwrap();
    assert_eq!(bench.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_purged_key_leaves_no_byte_behind_and_others_alone() {
    let bench = Bench::new().await;
    for key in ["c1", "c2", "c1"] {
        bench.push(job(key)).await;
        end_all(&bench, failed()).await;
    }
    bench.push_all(&["c1", "c2"]).await;

    let purged = bench.queue.purge_key("t1", "c1").await.unwrap();

    assert_eq!(
        purged,
        Purged {
            removed: 3,
            running: 0
        }
    );
    let page = bench
        .queue
        .list(Some("t1"), &JobFilter::default())
        .await
        .unwrap();
    let keys: Vec<&str> = page.items.iter().map(|view| &*view.id.key).collect();
    assert_eq!(keys, ["c2", "c2"]);
}

#[tokio::test]
async fn a_waiting_job_takes_at_most_400_bytes() {
    let bench = Bench::new().await;
    let used = async || {
        let redis::Value::BulkString(info) = bench.command(&["INFO", "memory"]).await else {
            panic!("INFO is text");
        };
        let info = String::from_utf8(info).unwrap();
        // Without the buffers of connections.
        let name = "used_memory_dataset:";
        let line = info.lines().find(|line| line.starts_with(name));
        line.unwrap()[name.len()..].trim().parse::<u64>().unwrap()
    };
    // Keys and tenants as long as UUIDs without hyphens, and the channel's again in the payload.
    let uid = |at: u64| format!("{at:032x}");
    let jobs: Vec<NewJob> = (0..30_000)
        .map(|at| NewJob {
            payload: format!("{{\"channel\":\"{}\"}}", uid(at)).into_bytes(),
            ..of(&uid(7), &uid(at))
        })
        .collect();
    let before = used().await;

    bench.queue.push_many(jobs).await.unwrap();

    let each = (used().await - before) / 30_000;
    assert!(each <= 400, "{each} bytes");
}
