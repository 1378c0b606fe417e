//! One private Redis, one queue, and short ways to say what tests say often.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokenfleet_queue::testing::{HandJob, HandWorker};
use tokenfleet_queue::{
    ConnectOptions, Counts, JobState, NewJob, Outcome, Pushed, Queue, QueueName, QueueSettings,
    Queues, When,
};

use testkit::redis::RedisServer;

/// A queue on a Redis of its own.
pub(crate) struct Bench {
    pub(crate) server: RedisServer,
    pub(crate) queues: Queues,
    pub(crate) queue: Queue,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(QueueSettings::default()).await
    }

    pub(crate) async fn with(settings: QueueSettings) -> Self {
        let server = RedisServer::start().await.unwrap();
        let queues = open(&server, settings).await;
        let queue = queues.queue(&name("refresh:tiktok"));
        Self {
            server,
            queues,
            queue,
        }
    }

    pub(crate) fn worker(&self) -> HandWorker {
        HandWorker::new(&self.queue)
    }

    pub(crate) async fn push(&self, job: NewJob) -> Pushed {
        self.queue.push(job).await.unwrap()
    }

    pub(crate) async fn push_all(&self, keys: &[&str]) {
        for key in keys {
            self.push(job(key)).await;
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.queues.advance_clock(by);
    }

    pub(crate) async fn counts(&self) -> Counts {
        self.queue.counts(None).await.unwrap()
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        let mut redis = self.server.connection().await.unwrap();
        let mut keys: Vec<String> = redis::cmd("KEYS")
            .arg("*")
            .query_async(&mut redis)
            .await
            .unwrap();
        keys.sort();
        keys
    }

    pub(crate) async fn command(&self, words: &[&str]) -> redis::Value {
        let mut redis = self.server.connection().await.unwrap();
        let (first, rest) = words.split_first().unwrap();
        redis::cmd(first)
            .arg(rest)
            .query_async(&mut redis)
            .await
            .unwrap()
    }

    pub(crate) async fn state(&self, pushed: &Pushed) -> Option<JobState> {
        let view = self.queue.job(pushed.id()).await.unwrap();
        view.map(|view| view.state)
    }
}

pub(crate) async fn open(server: &RedisServer, settings: QueueSettings) -> Queues {
    Queues::connect(ConnectOptions::new(server.url()).defaults(settings))
        .await
        .unwrap()
}

pub(crate) fn name(text: &str) -> QueueName {
    text.parse().unwrap()
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A scheduled job of tenant `t1`, version 1, whose payload is its key.
pub(crate) fn job(key: &str) -> NewJob {
    NewJob {
        key: key.to_owned(),
        tenant: "t1".to_owned(),
        payload: serde_json::to_vec(key).unwrap(),
        when: When::Scheduled,
        deadline_ms: 1_000,
        not_before_ms: 0,
        version: 1,
        id_hint: None,
        max_attempts: None,
    }
}

pub(crate) fn of(tenant: &str, key: &str) -> NewJob {
    NewJob {
        tenant: tenant.to_owned(),
        ..job(key)
    }
}

pub(crate) fn keys(jobs: &[HandJob]) -> Vec<&str> {
    jobs.iter().map(|job| job.view.id.key.as_str()).collect()
}

pub(crate) fn retry(after: Duration) -> Outcome {
    Outcome::Retry {
        after: Some(after),
        not_before: false,
        why: "try again".to_owned(),
    }
}

pub(crate) fn failed() -> Outcome {
    Outcome::Failed {
        why: "no".to_owned(),
    }
}

/// Waits for a state, at most 20 s.
pub(crate) async fn until<F, Fut>(what: &str, mut holds: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let give_up_at = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < give_up_at, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
