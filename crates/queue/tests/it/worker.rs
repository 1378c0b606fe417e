//! Workers of apalis on the queue.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokenfleet_queue::{
    BoxDynError, Consumer, ConsumerOptions, JobContext, JobState, JobView, NewJob, Outcome, Pushed,
    Queue, QueueSettings, WorkerError, run,
};
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Bench, job, open, until};

/// A running worker, and what stops it.
pub(crate) struct Running {
    pub(crate) shutdown: CancellationToken,
    pub(crate) worker: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.worker.await.unwrap().unwrap();
    }
}

pub(crate) fn options(concurrency: usize) -> ConsumerOptions {
    ConsumerOptions::new("test", Uuid::now_v7()).concurrency(concurrency)
}

/// Runs a worker whose handler gets the payload and the context.
pub(crate) fn start<H, Fut>(queue: &Queue, options: ConsumerOptions, handler: H) -> Running
where
    H: Fn(String, JobContext) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Outcome, BoxDynError>> + Send + 'static,
{
    let shutdown = CancellationToken::new();
    let consumer: Consumer<String> = queue.consumer(options.shutdown(shutdown.clone()));
    let worker = tokio::spawn(run(consumer, handler));
    Running { shutdown, worker }
}

/// Notes what it is told of.
#[derive(Clone)]
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Log<T> {
    pub(crate) fn add(&self, item: T) {
        self.0.lock().unwrap().push(item);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_pushed_job_is_run_and_completes() {
    let bench = Bench::new().await;
    let seen = Log::default();
    let log = seen.clone();
    let worker = start(&bench.queue, options(3), move |payload, job| {
        log.add((
            payload,
            job.tenant().to_owned(),
            job.attempt(),
            job.version(),
        ));
        async { Ok(Outcome::Done) }
    });

    let pushed = bench.push(job("c1")).await;

    until("completed", || async {
        bench.state(&pushed).await == Some(JobState::Completed)
    })
    .await;
    assert_eq!(seen.all(), [("c1".to_owned(), "t1".to_owned(), 1, 1)]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_jobs_of_many_tenants_run_exactly_once() {
    let bench = Bench::new().await;
    let jobs: Vec<NewJob> = (0..10_000)
        .map(|at| NewJob {
            tenant: format!("t{}", at % 37),
            ..job(&format!("c{at}"))
        })
        .collect();
    bench.queue.push_many(jobs).await.unwrap();
    let runs = Log::default();

    let workers: Vec<Running> = (0..3)
        .map(|at| {
            let runs = runs.clone();
            // With two calls of Redis at once, and with one.
            let options = options(20).overlaps(at > 0);
            start(&bench.queue, options, move |payload, _| {
                runs.add(payload);
                async { Ok(Outcome::Done) }
            })
        })
        .collect();
    until("all ran", || async { runs.all().len() >= 10_000 }).await;
    for worker in workers {
        worker.stop().await;
    }

    let mut ran = runs.all();
    ran.sort();
    ran.dedup();
    assert_eq!((ran.len(), runs.all().len()), (10_000, 10_000));
    let counts = bench.counts().await;
    assert_eq!((counts.waiting, counts.delayed, counts.active), (0, 0, 0));
    assert_eq!(counts.completed, 370);
}

#[tokio::test]
async fn no_more_jobs_run_at_once_than_the_worker_has_slots() {
    let bench = Bench::new().await;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, max) = (running.clone(), most.clone());
    let gate = Arc::new(Semaphore::new(0));
    let opened = gate.clone();
    let worker = start(&bench.queue, options(4), move |_, _| {
        max.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let (now, gate) = (now.clone(), gate.clone());
        async move {
            gate.acquire().await.unwrap().forget();
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(Outcome::Done)
        }
    });
    let keys: Vec<String> = (0..30).map(|at| format!("c{at}")).collect();

    for key in &keys {
        bench.push(job(key)).await;
    }
    until("four run", || async { running.load(Ordering::SeqCst) == 4 }).await;
    let active = bench.counts().await.active;
    opened.add_permits(30);
    until("all done", || async {
        bench.counts().await.completed == 10
    })
    .await;

    assert_eq!((active, most.load(Ordering::SeqCst)), (4, 4));
    worker.stop().await;
}

#[tokio::test]
async fn handlers_of_one_worker_run_side_by_side() {
    let bench = Bench::new().await;
    let barrier = Arc::new(Barrier::new(3));
    let worker = start(&bench.queue, options(3), move |_, _| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            Ok(Outcome::Done)
        }
    });

    bench.push_all(&["c1", "c2", "c3"]).await;

    until("all met", || async { bench.counts().await.completed == 3 }).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_panic_is_an_error_of_that_job_alone_and_its_message_is_not_kept() {
    let bench = Bench::with(QueueSettings {
        max_attempts: 1,
        ..QueueSettings::default()
    })
    .await;
    let told: Log<JobView> = Log::default();
    let log = told.clone();
    let hook = options(3).on_poison(move |view| {
        log.add(view);
        async {}
    });
    let worker = start(&bench.queue, hook, |payload, _| async move {
        assert_ne!(payload, "bad", "secret-token");
        Ok(Outcome::Done)
    });

    let bad = bench.push(job("bad")).await;
    let good = bench.push(job("good")).await;

    until("both ended", || async {
        bench.state(&bad).await == Some(JobState::Failed)
            && bench.state(&good).await == Some(JobState::Completed)
    })
    .await;
    let view = bench.queue.job(bad.id()).await.unwrap().unwrap();
    assert_eq!(view.error.as_deref(), Some("the handler panicked"));
    let told = told.all();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].id, told[0].state), (bad.id(), JobState::Failed));
    assert_eq!(told[0].error, view.error);
    worker.stop().await;
}

#[tokio::test]
async fn an_error_is_retried_until_the_attempts_are_spent() {
    let bench = Bench::with(QueueSettings {
        backoff_base: Duration::from_millis(5),
        ..QueueSettings::default()
    })
    .await;
    let attempts = Log::default();
    let log = attempts.clone();
    let worker = start(&bench.queue, options(3), move |_, job| {
        log.add((job.attempt(), job.is_last_attempt()));
        async { Err("no luck".into()) }
    });

    let pushed = bench.push(job("c1")).await;

    until("failed", || async {
        bench.state(&pushed).await == Some(JobState::Failed)
    })
    .await;
    assert_eq!(attempts.all(), [(1, false), (2, false), (3, true)]);
    let view = bench.queue.job(pushed.id()).await.unwrap().unwrap();
    assert_eq!((view.attempt, view.error.as_deref()), (3, Some("no luck")));
    worker.stop().await;
}

#[tokio::test]
async fn a_payload_that_cannot_be_read_fails_its_job_and_not_the_worker() {
    let bench = Bench::new().await;
    let worker = start(&bench.queue, options(3), |_, _| async { Ok(Outcome::Done) });

    let bad = bench
        .push(NewJob {
            payload: b"{".to_vec(),
            ..job("bad")
        })
        .await;
    let good = bench.push(job("good")).await;

    until("both ended", || async {
        bench.state(&bad).await == Some(JobState::Failed)
            && bench.state(&good).await == Some(JobState::Completed)
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn the_work_may_turn_out_to_be_based_on_a_newer_version() {
    let bench = Bench::new().await;
    let (started, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (signal, passed) = (started.clone(), gate.clone());
    let worker = start(&bench.queue, options(3), move |_, job| {
        signal.add_permits(1);
        let gate = passed.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            job.work_is_based_on(7);
            Ok(Outcome::Done)
        }
    });
    let first = bench.push(job("c1")).await;
    started.acquire().await.unwrap().forget();
    let served = bench
        .push(NewJob {
            version: 7,
            ..job("c1")
        })
        .await;

    gate.add_permits(1);

    until("both completed", || async {
        bench.state(&served).await == Some(JobState::Completed)
    })
    .await;
    assert_eq!(served, Pushed::Again(served.id().clone()));
    let view = bench.queue.job(served.id()).await.unwrap().unwrap();
    assert_eq!(view.served_by, Some(first.id().clone()));
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_says_when_redis_last_answered() {
    let bench = Bench::new().await;
    let consumer: Consumer<String> = bench.queue.consumer(options(1));
    let health = consumer.health();
    let before = health.last_round_trip();

    let worker = tokio::spawn(run(consumer, |_: String, _: JobContext| async {
        Ok::<_, BoxDynError>(Outcome::Done)
    }));

    assert_eq!(before, None);
    until("in touch", || async { health.last_round_trip().is_some() }).await;
    worker.abort();
}

#[tokio::test]
async fn workers_of_one_queue_with_other_settings_are_told() {
    let bench = Bench::with(QueueSettings {
        lease: Duration::from_secs(1),
        ..QueueSettings::default()
    })
    .await;
    let settings = QueueSettings {
        keep_failed: 7,
        ..bench.queue.settings().clone()
    };
    let others = open(&bench.server, settings).await;
    let consumers: [Consumer<String>; 2] = [
        bench.queue.consumer(options(1)),
        others.queue(bench.queue.name()).consumer(options(1)),
    ];
    let health = consumers.each_ref().map(Consumer::health);

    let workers = consumers.map(|consumer| {
        tokio::spawn(run(consumer, |_: String, _: JobContext| async {
            Ok::<_, BoxDynError>(Outcome::Done)
        }))
    });

    until("both are told", || async {
        health
            .iter()
            .all(|health| health.other_settings().is_some())
    })
    .await;
    let told = health[0].other_settings().unwrap();
    assert!(told.contains("7 failed"), "{told}");
    for worker in workers {
        worker.abort();
    }
}

#[tokio::test]
async fn tasks_may_be_pushed_through_apalis() {
    use apalis_core::backend::TaskSink as _;
    use apalis_core::task::builder::TaskBuilder;

    let bench = Bench::new().await;
    let mut sink: Consumer<String> = bench.queue.consumer(options(1));
    let seen = Log::default();
    let log = seen.clone();
    let worker = start(&bench.queue, options(1), move |payload, job| {
        log.add((payload, job.tenant().to_owned(), job.id().key == "k1"));
        async { Ok(Outcome::Done) }
    });

    sink.push("plain".to_owned()).await.unwrap();
    let task = TaskBuilder::new("keyed".to_owned()).idempotency_key("k1");
    sink.push_task(task.build()).await.unwrap();

    until("both ran", || async { seen.all().len() == 2 }).await;
    let mut seen = seen.all();
    seen.sort();
    assert_eq!(
        seen,
        [
            ("keyed".to_owned(), "default".to_owned(), true),
            ("plain".to_owned(), "default".to_owned(), false),
        ]
    );
    worker.stop().await;
}
