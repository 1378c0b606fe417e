//! A queue on an empty Redis, its jobs and its workers.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use queue::{
    BoxDynError, ConnectOptions, ConsumerOptions, JobContext, NewJob, Outcome, Pushed, Queue,
    Queues, When, WorkerError,
};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use testkit::redis::RedisServer;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Jobs of one call: what is pushed is in memory.
const PUSH: usize = 50_000;
/// A million jobs leave a busy machine little time for answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a job carries: as much as a refresh does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payload {
    /// The job's number among all, as `channel_17`.
    pub(crate) channel_id: String,
    /// Its tenant.
    pub(crate) tenant_id: String,
}

/// A queue and the Redis it is on.
pub(crate) struct Ground {
    pub(crate) queue: Queue,
    /// Where that Redis is.
    pub(crate) url: String,
    redis: MultiplexedConnection,
    _server: Option<RedisServer>,
}

impl Ground {
    /// A queue on this Redis, which is emptied, or on a private one.
    pub(crate) async fn prepare(url: Option<&str>) -> anyhow::Result<Self> {
        let server = match url {
            Some(_) => None,
            None => Some(RedisServer::start().await?),
        };
        let private = server.as_ref().map(RedisServer::url);
        let url = url.map(str::to_owned).or(private).unwrap_or_default();
        let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(url.as_str())?;
        let mut redis = client
            .get_multiplexed_async_connection_with_config(&patient)
            .await?;
        let flush = redis::cmd("FLUSHDB");
        flush.query_async::<()>(&mut redis).await?;
        Ok(Self {
            queue: queue_on(&url).await?,
            url,
            redis,
            _server: server,
        })
    }

    /// Pushes jobs, all of them new.
    pub(crate) async fn push(&self, jobs: impl Iterator<Item = NewJob>) -> anyhow::Result<()> {
        push(&self.queue, jobs).await
    }

    /// A worker whose jobs do this.
    pub(crate) fn work<F, Fut>(&self, concurrency: usize, job: F) -> Worker
    where
        F: Fn(Payload) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let options = ConsumerOptions::new("bench", Uuid::now_v7()).concurrency(concurrency);
        let shutdown = options.shutdown.clone();
        let consumer = self.queue.consumer::<Payload>(options);
        let handler = move |payload: Payload, _: JobContext| {
            let work = job(payload);
            async move {
                work.await;
                Ok::<_, BoxDynError>(Outcome::Done)
            }
        };
        Worker {
            shutdown,
            task: tokio::spawn(queue::run(consumer, handler)),
        }
    }

    /// A number that Redis tells about itself.
    pub(crate) async fn info(&mut self, section: &str, field: &str) -> anyhow::Result<f64> {
        let mut info = redis::cmd("INFO");
        let text: String = info.arg(section).query_async(&mut self.redis).await?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let value = line.with_context(|| format!("Redis tells no {field}"))?;
        Ok(value.trim().parse()?)
    }

    /// Bytes that Redis uses.
    pub(crate) async fn redis_bytes(&mut self) -> anyhow::Result<f64> {
        self.info("memory", "used_memory").await
    }

    /// CPU time of Redis.
    pub(crate) async fn redis_cpu(&mut self) -> anyhow::Result<Duration> {
        let user = self.info("cpu", "used_cpu_user").await?;
        let sys = self.info("cpu", "used_cpu_sys").await?;
        Ok(Duration::from_secs_f64(user + sys))
    }
}

/// The queue on this Redis.
pub(crate) async fn queue_on(url: &str) -> anyhow::Result<Queue> {
    let mut options = ConnectOptions::new(url);
    options.response_timeout = PATIENCE;
    let queues = Queues::connect(options).await?;
    Ok(queues.queue(&"bench".parse()?))
}

/// Pushes jobs, all of them new.
pub(crate) async fn push(queue: &Queue, jobs: impl Iterator<Item = NewJob>) -> anyhow::Result<()> {
    let mut jobs = jobs.peekable();
    while jobs.peek().is_some() {
        let chunk = jobs.by_ref().take(PUSH).collect();
        let pushed = queue.push_many(chunk).await?;
        let all_new = pushed.iter().all(|it| matches!(it, Ok(Pushed::New(_))));
        ensure!(all_new, "a job was not taken as new");
    }
    Ok(())
}

/// A running worker.
pub(crate) struct Worker {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Worker {
    /// Lets it finish what runs, and waits until all of it is settled.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        Ok(self.task.await??)
    }
}

/// The job of this number, for one of so many tenants; earlier ones go first.
pub(crate) fn job(number: usize, tenants: usize) -> NewJob {
    job_of(&format!("tenant_{}", number % tenants), number)
}

/// The job of this number for this tenant.
pub(crate) fn job_of(tenant: &str, number: usize) -> NewJob {
    let payload = Payload {
        channel_id: format!("channel_{number}"),
        tenant_id: tenant.to_owned(),
    };
    NewJob {
        key: payload.channel_id.clone(),
        tenant: tenant.to_owned(),
        payload: serde_json::to_vec(&payload).expect("texts are JSON"),
        when: When::Scheduled,
        deadline_ms: 1_800_000_000_000 + i64::try_from(number).unwrap_or(i64::MAX),
        not_before_ms: 0,
        version: 1,
        id_hint: None,
        max_attempts: None,
    }
}

/// Milliseconds since the epoch, by the clock that Redis uses too on this machine.
pub(crate) fn now_ms() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64() * 1e3
}
