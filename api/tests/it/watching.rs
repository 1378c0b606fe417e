//! What happens to jobs, as it happens: streams of events.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use testkit::Database;
use testkit::redis::Data;

use crate::stub_worker::{Ending, StubWorker};
use crate::world::{World, problem};

testkit::each_database!(
    a_watcher_sees_what_happens_to_the_jobs_of_its_tenant_alone,
    a_watcher_chooses_channel_and_queue_and_wrong_choices_are_named,
    a_stream_ends_with_its_time,
    a_stream_ends_with_the_right_to_watch,
    a_redis_that_restarts_is_told_and_watching_goes_on,
    watchers_that_go_leave_nothing_behind_and_one_too_many_is_refused,
);

const OF_T1: &str = "/api/v1/tenants/t1/jobs/events";
const OF_ALL: &str = "/api/v1/jobs/events";
/// Longer than anything takes.
const LIMIT: Duration = Duration::from_secs(30);

/// A stream of events.
struct Stream {
    response: Response,
    text: String,
    ready: VecDeque<(String, Value)>,
}

impl Stream {
    /// Opens one with this bearer token, and waits until everything is seen from then on.
    async fn open(world: &World, token: &str, path: &str) -> Self {
        let request = world.anonymous(Method::GET, path).bearer_auth(token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("cache-control"), "no-store");
        let mut stream = Self {
            response,
            text: String::new(),
            ready: VecDeque::new(),
        };
        assert_eq!(stream.next().await.unwrap().0, "watching");
        stream
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await;
            let chunk = chunk.expect("something is told").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                self.ready.extend(parse(event));
                let rest = rest.to_owned();
                self.text = rest;
            }
        }
    }

    /// What the next events tell of jobs: event, tenant and channel.
    async fn jobs(&mut self, count: usize) -> Vec<[String; 3]> {
        let mut jobs = Vec::new();
        while jobs.len() < count {
            let (name, job) = self.next().await.unwrap();
            assert_eq!(name, "job", "{job}");
            assert!(job["at"].is_string() && job["job_id"].is_string(), "{job}");
            assert_eq!(job["queue"], "refresh:tiktok");
            let field = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
            jobs.push(["event", "tenant_id", "channel_id"].map(field));
        }
        jobs
    }
}

/// A comment is no event.
fn parse(event: &str) -> Option<(String, Value)> {
    let (name, data) = event.split_once('\n')?;
    let name = name.strip_prefix("event: ")?;
    let data = data.strip_prefix("data: ")?;
    Some((name.to_owned(), serde_json::from_str(data).unwrap()))
}

fn life(tenant: &str, channel: &str) -> Vec<[String; 3]> {
    ["pushed", "started", "completed"]
        .map(|event| [event, tenant, channel].map(str::to_owned))
        .to_vec()
}

async fn refresh(world: &World, tenant: &str, channel: &str) {
    let path = format!("/api/v1/tenants/{tenant}/channels/{channel}/refresh");
    let answer = world.post(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// A tenant `t1` with the channels `a` and `b`, and a worker.
async fn start(database: Database) -> (World, StubWorker) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 90_000).await;
    world.tiktok(&tenant, "b", 90_000).await;
    let worker = StubWorker::start(&world, Ending::Fresh);
    (world, worker)
}

async fn a_watcher_sees_what_happens_to_the_jobs_of_its_tenant_alone(database: Database) {
    let (world, _worker) = start(database).await;
    let other = world.tenant("t2").await;
    world.tiktok(&other, "theirs", 90_000).await;
    let viewer = world.member("t1", "viewer").await;
    let mut own = Stream::open(&world, &viewer.access, OF_T1).await;
    let mut all = Stream::open(&world, crate::world::ADMIN, OF_ALL).await;

    refresh(&world, "t2", "theirs").await;
    refresh(&world, "t1", "a").await;

    assert_eq!(own.jobs(3).await, life("t1", "a"));
    let both = [life("t2", "theirs"), life("t1", "a")].concat();
    assert_eq!(all.jobs(6).await, both);
}

async fn a_watcher_chooses_channel_and_queue_and_wrong_choices_are_named(database: Database) {
    let (world, _worker) = start(database).await;
    let admin = crate::world::ADMIN;
    let mut of_b = Stream::open(&world, admin, &format!("{OF_T1}?channel=b")).await;
    let sweeps = format!("{OF_ALL}?queue=sweep&wait=3600");
    let mut sweeps = Stream::open(&world, admin, &sweeps).await;

    refresh(&world, "t1", "a").await;
    refresh(&world, "t1", "b").await;
    let refused = async |query: &str| world.get(&format!("{OF_T1}?{query}")).await.problem();

    assert_eq!(of_b.jobs(3).await, life("t1", "b"));
    let quiet = tokio::time::timeout(Duration::from_millis(50), sweeps.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    let invalid = |field: &str| problem(422, "invalid_input", &[field]);
    assert_eq!(refused("wait=3601").await, invalid("wait"));
    assert_eq!(refused("speed=1").await, invalid("speed"));
    for nothing in ["channel=c", "queue=refresh:nobody"] {
        assert_eq!(refused(nothing).await, problem(404, "not_found", &[]));
    }
}

async fn a_stream_ends_with_its_time(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    let told = world.get(&format!("{OF_T1}?wait=0")).await;

    let expected = "event: watching\ndata: {\"seconds\":0}\n\nevent: end\ndata: {\"reason\":\"time_over\"}\n\n";
    assert_eq!((told.status, told.text.as_str()), (200, expected));
}

async fn a_stream_ends_with_the_right_to_watch(database: Database) {
    let (world, _worker) = start(database).await;
    let (id, token) = world.service_token("t1", &["jobs:read"]).await;
    let mut stream = Stream::open(&world, &token, OF_T1).await;

    world.delete(&format!("/api/v1/service-tokens/{id}")).await;

    let end = ("end".to_owned(), json!({ "reason": "not_allowed" }));
    assert_eq!(stream.next().await, Some(end));
    assert_eq!(stream.next().await, None);
}

async fn a_redis_that_restarts_is_told_and_watching_goes_on(database: Database) {
    let (mut world, _worker) = start(database).await;
    let mut stream = Stream::open(&world, crate::world::ADMIN, OF_T1).await;

    world.redis.halt(Data::Lost).await.unwrap();
    let away = stream.next().await.unwrap();
    let refused = world.get(OF_T1).await;
    world.redis.resume().await.unwrap();
    let back = stream.next().await.unwrap();
    refresh(&world, "t1", "a").await;

    assert_eq!(away.0, "away");
    assert_eq!(refused.problem(), problem(503, "unavailable", &[]));
    assert_eq!(back, ("back".to_owned(), json!({ "kept": false })));
    assert_eq!(stream.jobs(3).await, life("t1", "a"));
}

async fn watchers_that_go_leave_nothing_behind_and_one_too_many_is_refused(database: Database) {
    let (world, _worker) = start(database).await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(Stream::open(&world, crate::world::ADMIN, OF_T1).await);
    }

    let refused = world.get(OF_T1).await;
    let readers = readers(&world).await;
    drop(streams);

    assert_eq!(refused.problem(), problem(503, "too_many_watchers", &[]));
    assert!(readers > 0 && readers < 20, "one for each queue: {readers}");
    for _ in 0..600 {
        if self::readers(&world).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("somebody still reads");
}

/// Connections that read events.
async fn readers(world: &World) -> usize {
    let mut connection = world.redis.connection().await.unwrap();
    let list = redis::cmd("CLIENT").arg("LIST").to_owned();
    let list: String = list.query_async(&mut connection).await.unwrap();
    list.matches("cmd=xread").count()
}
