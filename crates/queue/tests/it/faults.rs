//! Trouble with Redis and with workers, while workers run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokenfleet_queue::{
    ConnectError, ConnectOptions, Consumer, JobContext, JobState, JobView, NewJob, Outcome,
    QueueSettings, Queues, run,
};
use tokio::sync::Semaphore;

use crate::support::{Bench, job, name, open, until};
use crate::worker::{Log, options, start};
use testkit::redis::{Data, RedisServer};

/// Short enough for a test to wait for, long enough for a busy machine.
fn short_lease() -> QueueSettings {
    QueueSettings {
        lease: Duration::from_millis(1_500),
        safety_poll: Duration::from_millis(500),
        ..QueueSettings::default()
    }
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"])
        .await
        .unwrap();

    let refused = Queues::connect(ConnectOptions::new(server.url())).await;

    assert_eq!(
        refused.unwrap_err().to_string(),
        "Redis has maxmemory-policy 'allkeys-lru', which drops keys when the memory is full; \
         the only one allowed is 'noeviction'"
    );
}

#[tokio::test]
async fn a_wrong_address_is_told_from_a_redis_that_is_away() {
    let nobody = Queues::connect(ConnectOptions::new("redis://127.0.0.1:1")).await;
    let nonsense = Queues::connect(ConnectOptions::new("http://x:secret@y")).await;
    let prefix = Queues::connect(ConnectOptions::new("redis://127.0.0.1:1").prefix("{x}")).await;

    assert!(matches!(nobody, Err(ConnectError::Unreachable(_))));
    let nonsense = nonsense.unwrap_err();
    assert!(matches!(nonsense, ConnectError::Url));
    assert!(!format!("{nonsense} {nonsense:?}").contains("secret"));
    assert!(matches!(prefix, Err(ConnectError::Prefix(_))));
}

#[tokio::test]
async fn the_jobs_of_a_dropped_worker_are_run_by_another() {
    let bench = Bench::with(short_lease()).await;
    let started = Arc::new(Semaphore::new(0));
    let signal = started.clone();
    let first = start(&bench.queue, options(3), move |_, _| {
        signal.add_permits(1);
        std::future::pending()
    });
    let pushed = bench.push(job("c1")).await;
    started.acquire().await.unwrap().forget();

    first.worker.abort();
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
    assert_eq!(attempts.all(), [2]);
    second.stop().await;
}

#[tokio::test]
async fn a_job_may_run_longer_than_its_lease_as_long_as_its_worker_lives() {
    let bench = Bench::with(short_lease()).await;
    let runs = Log::default();
    let log = runs.clone();
    let worker = start(&bench.queue, options(3), move |_, job: JobContext| {
        log.add(job.attempt());
        async move {
            // Longer than two leases; a lost lease would end it at once.
            let two_leases = tokio::time::sleep(Duration::from_millis(3_500));
            tokio::select! {
                () = two_leases => Ok(Outcome::Done),
                () = job.stop_token().cancelled_owned() => Err("lost".into()),
            }
        }
    });

    let pushed = bench.push(job("c1")).await;

    until("completed", || async {
        bench.state(&pushed).await == Some(JobState::Completed)
    })
    .await;
    assert_eq!(runs.all(), [1]);
    worker.stop().await;
}

#[tokio::test]
async fn a_poisonous_job_is_told_of_and_fails() {
    let bench = Bench::with(QueueSettings {
        poison_after: 1,
        ..short_lease()
    })
    .await;
    let pushed = bench.push(job("c1")).await;
    bench.worker().claim(1).await.unwrap();
    let told: Log<JobView> = Log::default();
    let log = told.clone();
    let hook = options(3).on_poison(move |view| {
        log.add(view);
        async {}
    });
    let worker = start(&bench.queue, hook, |_, _| async { Ok(Outcome::Done) });

    until("failed", || async {
        bench.state(&pushed).await == Some(JobState::Failed)
    })
    .await;

    let told = told.all();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0].id, told[0].state),
        (pushed.id(), JobState::Failed)
    );
    assert_eq!(
        told[0].error.as_deref(),
        Some("its worker was lost 1 times")
    );
    worker.stop().await;
}

#[tokio::test]
async fn killed_connections_cost_no_job_and_no_worker() {
    let bench = Bench::new().await;
    let ran = Log::default();
    let log = ran.clone();
    let worker = start(&bench.queue, options(5), move |payload, _| {
        log.add(payload);
        async { Ok(Outcome::Done) }
    });

    for round in 0..10 {
        for at in 0..20 {
            bench.push(job(&format!("c{round}-{at}"))).await;
        }
        bench.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    }

    until("all ran", || async {
        let counts = bench.queue.counts(None).await;
        ran.all().len() >= 200 && counts.is_ok_and(|c| c.waiting + c.active + c.delayed == 0)
    })
    .await;
    let mut keys = ran.all();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), ran.all().len()), (200, 200));
    worker.stop().await;
}

#[tokio::test]
async fn a_redis_that_restarts_with_its_data_goes_on_where_it_was() {
    let mut bench = Bench::new().await;
    let (started, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (signal, passed) = (started.clone(), gate.clone());
    let worker = start(&bench.queue, options(2), move |_, _| {
        signal.add_permits(1);
        let gate = passed.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(Outcome::Done)
        }
    });
    bench.push_all(&["c1", "c2", "c3"]).await;
    started.acquire_many(2).await.unwrap().forget();

    bench.server.halt(Data::Kept).await.unwrap();
    gate.add_permits(3);
    bench.server.resume().await.unwrap();

    until("all completed", || async {
        let counts = bench.queue.counts(None).await;
        counts.is_ok_and(|counts| counts.completed == 3)
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_redis_that_restarts_empty_takes_new_jobs_and_old_results_change_nothing() {
    let mut bench = Bench::new().await;
    let (started, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (signal, passed) = (started.clone(), gate.clone());
    let worker = start(&bench.queue, options(2), move |payload, _| {
        signal.add_permits(1);
        let gate = passed.clone();
        async move {
            if payload == "slow" {
                gate.acquire().await.unwrap().forget();
            }
            Ok(Outcome::Done)
        }
    });
    bench.push(job("slow")).await;
    started.acquire().await.unwrap().forget();

    bench.server.halt(Data::Lost).await.unwrap();
    bench.server.resume().await.unwrap();
    let slow = NewJob {
        payload: b"\"quick\"".to_vec(),
        ..job("slow")
    };
    let pushed = bench.push(slow).await;
    until("completed", || async {
        bench.state(&pushed).await == Some(JobState::Completed)
    })
    .await;
    let before = bench.queue.job(pushed.id()).await.unwrap();
    gate.add_permits(1);
    worker.stop().await;

    assert_eq!(bench.queue.job(pushed.id()).await.unwrap(), before);
    assert_eq!(bench.counts().await.completed, 1);
}

#[tokio::test]
async fn a_flushed_redis_is_served_on() {
    let bench = Bench::with(short_lease()).await;
    let worker = start(&bench.queue, options(2), |_, _| async { Ok(Outcome::Done) });
    bench.push(job("c1")).await;

    bench.command(&["FLUSHALL"]).await;
    bench.command(&["SCRIPT", "FLUSH"]).await;
    let pushed = bench.push(job("c2")).await;

    until("completed", || async {
        bench.state(&pushed).await == Some(JobState::Completed)
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_redis_that_forgets_its_scripts_under_load_is_told_them_again() {
    let bench = Bench::new().await;
    let ran = Log::default();
    let log = ran.clone();
    let worker = start(&bench.queue, options(5), move |payload, _| {
        log.add(payload);
        async { Ok(Outcome::Done) }
    });

    for at in 0..300 {
        bench.command(&["SCRIPT", "FLUSH"]).await;
        bench.push(job(&format!("c{at}"))).await;
    }

    until("all ran", || async {
        ran.all().len() >= 300 && bench.counts().await.active == 0
    })
    .await;
    assert_eq!(ran.all().len(), 300);
    worker.stop().await;
}

#[tokio::test]
async fn a_stall_of_redis_kills_no_worker() {
    let bench = Bench::new().await;
    let worker = start(&bench.queue, options(2), |_, _| async { Ok(Outcome::Done) });
    let first = bench.push(job("c1")).await;
    until("completed", || async {
        bench.state(&first).await == Some(JobState::Completed)
    })
    .await;

    bench.command(&["CLIENT", "PAUSE", "900"]).await;
    let second = bench.push(job("c2")).await;

    until("completed", || async {
        bench.state(&second).await == Some(JobState::Completed)
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_recovered_without_waiting_for_the_lease() {
    let server = RedisServer::start().await.unwrap();
    let mut options_of = ConnectOptions::new(server.url());
    options_of.response_timeout = Duration::from_millis(300);
    let queues = Queues::connect(options_of).await.unwrap();
    let queue = queues.queue(&name("refresh:tiktok"));
    let pusher = open(&server, QueueSettings::default()).await;
    let attempts = Log::default();
    let log = attempts.clone();
    let worker = start(&queue, options(2), move |_, job| {
        log.add((job.id().key.clone(), job.attempt(), job.view().crashes));
        async { Ok(Outcome::Done) }
    });
    let other = pusher.queue(queue.name());
    other.push(job("c0")).await.unwrap();
    until("first ran", || async { attempts.all().len() == 1 }).await;

    // While it is stopped, the worker's claim is written, and given up before it is answered.
    for round in 1..=5 {
        let signal = |name: &str| {
            std::process::Command::new("kill")
                .args([name, &server.pid().to_string()])
                .status()
                .unwrap()
        };
        let key = format!("c{round}");
        signal("-STOP");
        let (queue, new) = (other.clone(), job(&key));
        let push = tokio::spawn(async move { queue.push(new).await });
        tokio::time::sleep(Duration::from_millis(50 * round)).await;
        signal("-CONT");
        push.await.unwrap().unwrap();
        until("ran", || async {
            attempts.all().iter().any(|(ran, ..)| *ran == key)
        })
        .await;
    }

    assert!(
        attempts
            .all()
            .iter()
            .all(|(_, attempt, crashes)| (*attempt, *crashes) == (1, 0))
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_stopped_while_redis_is_away_ends_with_its_leases() {
    let mut bench = Bench::with(short_lease()).await;
    let (started, stopped) = (
        Arc::new(Semaphore::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (signal, told) = (started.clone(), stopped.clone());
    let worker = start(&bench.queue, options(2), move |_, job: JobContext| {
        signal.add_permits(1);
        let told = told.clone();
        async move {
            job.stop_token().cancelled().await;
            told.store(!job.is_cancelled(), Ordering::SeqCst);
            Ok(Outcome::Released)
        }
    });
    bench.push(job("c1")).await;
    started.acquire().await.unwrap().forget();

    bench.server.halt(Data::Lost).await.unwrap();
    worker.stop().await;

    assert!(stopped.load(Ordering::SeqCst), "the handler was not told");
}

#[tokio::test]
async fn a_monitor_of_apalis_can_run_a_worker() {
    use apalis_core::monitor::Monitor;
    use apalis_core::worker::builder::WorkerBuilder;

    let bench = Bench::new().await;
    let queue = bench.queue.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let monitor = Monitor::new().register(move |_| {
        let consumer: Consumer<String> = queue.consumer(options(2));
        WorkerBuilder::new("monitored")
            .backend(consumer)
            .build(|_: String, _: JobContext| async {
                Ok::<_, tokenfleet_queue::BoxDynError>(Outcome::Done)
            })
    });
    let monitor = tokio::spawn(monitor.run_with_signal(async {
        let _ = stopped.await;
        Ok(())
    }));

    let pushed = bench.push(job("c1")).await;
    until("completed", || async {
        bench.state(&pushed).await == Some(JobState::Completed)
    })
    .await;
    stop.send(()).unwrap();

    monitor.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_consumer_leaves_its_queue_alone() {
    let bench = Bench::new().await;
    let consumer: Consumer<String> = bench.queue.consumer(options(2));
    let running = tokio::spawn(run(consumer, |_: String, _: JobContext| async {
        Ok::<_, tokenfleet_queue::BoxDynError>(Outcome::Done)
    }));
    let first = bench.push(job("c1")).await;
    until("completed", || async {
        bench.state(&first).await == Some(JobState::Completed)
    })
    .await;

    running.abort();
    let _ = running.await;
    let second = bench.push(job("c2")).await;

    assert_eq!(bench.state(&second).await, Some(JobState::Waiting));
}

#[tokio::test]
async fn nine_thousand_jobs_of_a_dead_worker_are_all_taken_over() {
    let bench = Bench::new().await;
    let jobs: Vec<NewJob> = (0..9_000).map(|at| job(&format!("c{at}"))).collect();
    bench.queue.push_many(jobs).await.unwrap();
    let dead = bench.worker();
    for _ in 0..45 {
        dead.claim(200).await.unwrap();
    }
    bench.advance(Duration::from_secs(30));

    let worker = bench.worker();
    let (mut settles, mut done) = (Vec::new(), 0);
    while bench.counts().await.waiting + bench.counts().await.active > 0 {
        let turn = worker.turn(&settles, 200).await.unwrap();
        done += turn.jobs.len();
        let jobs = turn.jobs.into_iter();
        settles = jobs.map(|job| (job, Outcome::Done, 1)).collect();
    }

    assert_eq!(done, 9_000);
    assert_eq!(bench.queue.counts(Some("t1")).await.unwrap().active, 0);
}
