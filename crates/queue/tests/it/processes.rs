//! Workers that are processes of their own, and what may become of these.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokenfleet_queue::{Consumer, JobContext, JobState, NewJob, Outcome, QueueSettings, run};

use crate::support::{Bench, job, name, until};
use crate::worker::options;

/// Jobs that one process runs at once.
const CONCURRENCY: usize = 8;
/// Where workers note each run before it ends: key, attempt.
const RAN: &str = "ran";

fn settings() -> QueueSettings {
    QueueSettings {
        lease: Duration::from_secs(2),
        safety_poll: Duration::from_millis(300),
        keep_completed: 10_000,
        max_attempts: 100,
        ..QueueSettings::default()
    }
}

/// A worker in a process of its own: this very program, told to run one test alone.
struct Process(Child);

impl Process {
    fn start(bench: &Bench) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "processes::a_worker_of_another_test",
                "--ignored",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{}", bench.server.url()).unwrap();
        Self(child)
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([name, &self.0.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test: what [`Process`] runs. A key that begins with `slow` takes its time at the first
/// attempt, one that begins with `poison` kills the process.
#[tokio::test]
#[ignore = "other tests run it in a process of its own"]
async fn a_worker_of_another_test() {
    let mut url = String::new();
    std::io::stdin().lock().read_line(&mut url).unwrap();
    let redis = redis::Client::open(url.trim()).unwrap();
    let redis = redis.get_multiplexed_async_connection().await.unwrap();
    let connect = tokenfleet_queue::ConnectOptions::new(url.trim()).defaults(settings());
    let queues = tokenfleet_queue::Queues::connect(connect).await.unwrap();
    let queue = queues.queue(&name("refresh:tiktok"));
    let consumer: Consumer<String> = queue.consumer(options(CONCURRENCY));

    run(consumer, move |key: String, job: JobContext| {
        let mut redis = redis.clone();
        async move {
            let note = format!("{key} {}", job.attempt());
            redis::cmd("RPUSH")
                .arg(RAN)
                .arg(note)
                .query_async::<()>(&mut redis)
                .await?;
            if key.starts_with("poison") {
                std::process::abort();
            }
            let takes = match (key.starts_with("slow"), job.attempt()) {
                (true, 1) => Duration::from_mins(1),
                _ => Duration::from_millis(2),
            };
            tokio::select! {
                () = tokio::time::sleep(takes) => {}
                () = job.stop_token().cancelled_owned() => {}
            }
            Ok::<_, tokenfleet_queue::BoxDynError>(Outcome::Done)
        }
    })
    .await
    .unwrap();
}

/// How often each key was run.
async fn runs(bench: &Bench) -> BTreeMap<String, usize> {
    let mut redis = bench.server.connection().await.unwrap();
    let notes: Vec<String> = redis::cmd("LRANGE")
        .arg(RAN)
        .arg(0)
        .arg(-1)
        .query_async(&mut redis)
        .await
        .unwrap();
    let mut runs = BTreeMap::new();
    for note in notes {
        let (key, _) = note.split_once(' ').unwrap();
        *runs.entry(key.to_owned()).or_default() += 1;
    }
    runs
}

async fn is_drained(bench: &Bench) -> bool {
    let counts = bench.counts().await;
    counts.waiting + counts.delayed + counts.active == 0
}

#[tokio::test]
async fn kill_9_in_a_loop_loses_no_job_and_repeats_only_what_ran_there() {
    let bench = Bench::with(settings()).await;
    let jobs: Vec<NewJob> = (0..2_000).map(|at| job(&format!("c{at}"))).collect();
    bench.queue.push_many(jobs).await.unwrap();
    let mut workers = vec![Process::start(&bench), Process::start(&bench)];

    for round in 1..=6_u64 {
        until("the fleet went on", || async {
            bench.counts().await.completed >= 250 * round
        })
        .await;
        workers.remove(0);
        workers.push(Process::start(&bench));
    }
    until("all ended", || is_drained(&bench)).await;

    let runs = runs(&bench).await;
    let counts = bench.counts().await;
    let repeated: usize = runs.values().map(|count| count - 1).sum();
    assert_eq!(
        (runs.len(), counts.completed, counts.failed),
        (2_000, 2_000, 0)
    );
    assert!(repeated <= 6 * CONCURRENCY, "{repeated} ran again");
}

#[tokio::test]
async fn a_process_that_was_stopped_beyond_its_lease_changes_nothing_when_it_goes_on() {
    let bench = Bench::with(settings()).await;
    let pushed = bench.push(job("slow")).await;
    let stopped = Process::start(&bench);
    until("it runs", || async { runs(&bench).await.len() == 1 }).await;

    stopped.signal("-STOP");
    let _other = Process::start(&bench);
    until("the other one did it", || async {
        bench.state(&pushed).await == Some(JobState::Completed)
    })
    .await;
    let before = bench.queue.job(pushed.id()).await.unwrap();
    stopped.signal("-CONT");
    // It learns that its lease is lost, ends its handler, and can work again.
    bench.push(job("after")).await;
    until("all ended", || is_drained(&bench)).await;

    let after = bench.queue.job(pushed.id()).await.unwrap();
    assert_eq!(after, before);
    assert_eq!(after.unwrap().attempt, 2);
    assert_eq!(runs(&bench).await["slow"], 2);
}

#[tokio::test]
async fn a_job_that_kills_its_worker_ends_as_poison_and_the_others_are_done() {
    let bench = Bench::with(settings()).await;
    let poison = bench.push(job("poison")).await;
    let jobs: Vec<NewJob> = (0..50).map(|at| job(&format!("c{at}"))).collect();
    bench.queue.push_many(jobs).await.unwrap();
    let mut worker = Process::start(&bench);

    until("all ended", || {
        // What a service manager does.
        if worker.has_ended() {
            worker = Process::start(&bench);
        }
        is_drained(&bench)
    })
    .await;

    let view = bench.queue.job(poison.id()).await.unwrap().unwrap();
    assert_eq!((view.state, view.crashes), (JobState::Failed, 3));
    assert_eq!(runs(&bench).await["poison"], 3);
    // Whoever ran beside it was lost as often at most.
    let counts = bench.counts().await;
    assert_eq!(counts.completed + counts.failed, 51);
}
