//! S2.17 over HTTP.

use std::time::Duration;

use insta::{allow_duplicates, assert_json_snapshot};
use serde_json::{Value, json};
use testkit::Database;

use crate::stub_worker::{Ending, StubWorker};
use crate::world::{Setup, World, problem};

testkit::each_database!(
    s2_17_a_job_is_shown_with_its_attempts,
    s2_17_a_job_that_redis_forgot_is_shown_from_the_history,
    s2_17_jobs_are_listed_by_state_and_channel_in_pages,
    s2_17_ended_jobs_of_all_queues_are_listed_newest_first_up_to_what_is_kept,
    s2_17_a_waiting_job_is_cancelled_and_stays_so,
    s2_17_a_running_job_is_told_and_its_worker_decides,
    s2_17_a_later_refresh_that_redis_forgot_is_cancelled,
    s2_17_an_ended_job_is_not_cancelled,
    s2_17_a_failed_job_is_retried_as_a_new_one,
    s2_17_a_live_job_is_not_retried,
    s2_17_a_job_of_nobody_does_not_exist,
    s2_17_bad_filters_are_refused,
);

const CHANNELS: &str = "/api/v1/tenants/t1/channels";
const JOBS: &str = "/api/v1/tenants/t1/jobs";

/// Asks for a refresh of a channel without waiting, and gives the job's address.
async fn job(world: &World, channel: &str) -> String {
    let answer = world
        .post(&format!("{CHANNELS}/{channel}/refresh?wait=0"))
        .await;
    format!("/api/v1/jobs/{}", answer.json()["job_id"].as_str().unwrap())
}

async fn until_state(world: &World, job: &str, state: &str) -> Value {
    let answer = world
        .until(job, |answer| answer.json()["state"] == state)
        .await;
    answer.json()
}

async fn s2_17_a_job_is_shown_with_its_attempts(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    let job = job(&world, "a").await;
    let _worker = StubWorker::start(&world, Ending::Revoked);

    let shown = until_state(&world, &job, "failed").await;

    assert!(job.ends_with(shown["id"].as_str().unwrap()));
    allow_duplicates! { assert_json_snapshot!(shown, {
        ".id" => "[job]", ".attempts[].job_id" => "[job]",
        ".created_at" => "[time]", ".run_at" => "[time]",
        ".started_at" => "[time]", ".finished_at" => "[time]",
        ".attempts[].started_at" => "[time]",
    }, @r#"
    {
      "attempt": 1,
      "attempts": [
        {
          "attempt": 1,
          "details": {
            "provider_code": "invalid_grant",
            "reason": "revoked"
          },
          "duration_ms": 5,
          "ends_job": true,
          "job_id": "[job]",
          "outcome": "reauth_required",
          "started_at": "[time]"
        }
      ],
      "channel_id": "a",
      "created_at": "[time]",
      "error": "reauth_required",
      "finished_at": "[time]",
      "id": "[job]",
      "max_attempts": 3,
      "queue": "refresh:tiktok",
      "run_at": "[time]",
      "started_at": "[time]",
      "state": "failed",
      "tenant_id": "t1"
    }
    "#); }
}

async fn s2_17_a_job_that_redis_forgot_is_shown_from_the_history(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    let _worker = StubWorker::start(&world, Ending::Fresh);
    let job = job(&world, "a").await;
    until_state(&world, &job, "completed").await;
    flush(&world).await;

    let shown = world.get(&job).await;

    assert_eq!(shown.status, 200, "{}", shown.text);
    let shown = shown.json();
    assert_eq!(shown["state"], "completed");
    assert_eq!(shown["attempts"][0]["outcome"], "refreshed");
    assert_eq!(shown["tenant_id"], "t1");
}

async fn flush(world: &World) {
    let mut connection = world.redis.connection().await.unwrap();
    redis::cmd("FLUSHALL")
        .query_async::<()>(&mut connection)
        .await
        .unwrap();
}

async fn s2_17_jobs_are_listed_by_state_and_channel_in_pages(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    let other = world.tenant("t2").await;
    for id in ["a", "b", "c"] {
        world.tiktok(&tenant, id, 7200).await;
        job(&world, id).await;
    }
    world.tiktok(&tenant, "d", 7200).await;
    let later = json!({"delay_minutes": 5});
    world
        .post_json(&format!("{CHANNELS}/d/refresh/schedule"), later)
        .await;
    world.tiktok(&other, "x", 7200).await;
    world
        .post("/api/v1/tenants/t2/channels/x/refresh?wait=0")
        .await;
    let list = async |query: &str| channels(&world, &format!("{JOBS}{query}")).await;

    assert_eq!(list("?state=waiting").await.0.len(), 3);
    assert_eq!(list("?state=delayed").await.0, ["d"]);
    assert_eq!(list("?state=failed").await.0, Vec::<String>::new());
    assert_eq!(list("?channel=b").await.0, ["b"]);
    let mut seen = Vec::new();
    let mut query = "?limit=1".to_owned();
    loop {
        let (page, cursor) = list(&query).await;
        assert!(page.len() <= 1);
        seen.extend(page);
        let Some(cursor) = cursor else { break };
        query = format!("?limit=1&cursor={cursor}");
    }
    assert_eq!(seen[3], "d");
    seen.sort();
    assert_eq!(seen, ["a", "b", "c", "d"]);
    assert_eq!(channels(&world, "/api/v1/jobs").await.0.len(), 5);
    assert_eq!(
        channels(&world, "/api/v1/jobs?state=delayed").await.0,
        ["d"]
    );
}

/// The channels of a page of jobs, and the cursor of the next.
async fn channels(world: &World, path: &str) -> (Vec<String>, Option<String>) {
    let answer = world.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let page = answer.json();
    let channel = |job: &Value| job["channel_id"].as_str().unwrap().to_owned();
    let items = page["items"].as_array().unwrap();
    let cursor = page["next_cursor"].as_str().map(ToOwned::to_owned);
    (items.iter().map(channel).collect(), cursor)
}

async fn s2_17_ended_jobs_of_all_queues_are_listed_newest_first_up_to_what_is_kept(
    database: Database,
) {
    let mut setup = Setup::default();
    setup.settings.keep_completed = 2;
    let world = World::with(database, setup).await;
    let tenant = world.tenant("t1").await;
    let worker = StubWorker::start(&world, Ending::Fresh);
    for id in ["a", "b", "c", "d"] {
        if id == "d" {
            worker.set(Ending::Revoked);
        }
        world.tiktok(&tenant, id, 7200).await;
        let job = job(&world, id).await;
        world
            .until(&job, |job| job.json().get("finished_at").is_some())
            .await;
    }

    assert_eq!(channels(&world, JOBS).await.0, ["d", "c", "b"]);
    let completed = format!("{JOBS}?state=completed");
    assert_eq!(channels(&world, &completed).await.0, ["c", "b"]);
    let (page, cursor) = channels(&world, &format!("{JOBS}?limit=2")).await;
    let rest = format!("{JOBS}?limit=2&cursor={}", cursor.unwrap());
    assert_eq!(page, ["d", "c"]);
    assert_eq!(channels(&world, &rest).await.0, ["b"]);
}

async fn s2_17_a_waiting_job_is_cancelled_and_stays_so(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    let job = job(&world, "a").await;

    let cancelled = world.delete(&job).await;
    let again = world.delete(&job).await;
    let shown = world.get(&job).await.json();

    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    allow_duplicates! { assert_json_snapshot!(cancelled.json(), {".job_id" => "[job]"}, @r#"
    {
      "job_id": "[job]",
      "state": "cancelled"
    }
    "#); }
    assert_eq!(again.problem(), problem(409, "job_ended", &[]));
    assert_eq!(shown["state"], "cancelled");
    assert_eq!(shown["attempts"][0]["outcome"], "cancelled");
    let channel = world.channel(&tenant, "a").await;
    assert_eq!(channel.next_handout_at, channel.refresh_due_at);
    assert_eq!(world.store.promise(channel.uid).await.unwrap(), None);
}

async fn s2_17_a_running_job_is_told_and_its_worker_decides(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    let _worker = StubWorker::start(&world, Ending::Cancelled);
    let job = job(&world, "a").await;
    until_state(&world, &job, "active").await;

    let cancelled = world.delete(&job).await;
    let shown = until_state(&world, &job, "cancelled").await;

    assert_eq!(cancelled.status, 202, "{}", cancelled.text);
    assert_eq!(cancelled.json()["state"], "active");
    assert_eq!(shown["attempts"][0]["outcome"], "cancelled");
}

async fn s2_17_a_later_refresh_that_redis_forgot_is_cancelled(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    let channel = world.tiktok(&tenant, "a", 7200).await;
    let path = format!("{CHANNELS}/a/refresh/schedule");
    let later = world.post_json(&path, json!({"delay_minutes": 5})).await;
    let job = format!("/api/v1/jobs/{}", later.json()["job_id"].as_str().unwrap());
    flush(&world).await;

    let cancelled = world.delete(&job).await;
    let shown = world.get(&job).await.json();

    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    assert_eq!(shown["state"], "cancelled");
    assert_eq!(world.store.promise(channel.uid).await.unwrap(), None);
}

async fn s2_17_an_ended_job_is_not_cancelled(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    let _worker = StubWorker::start(&world, Ending::Fresh);
    let job = job(&world, "a").await;
    until_state(&world, &job, "completed").await;

    let in_queue = world.delete(&job).await;
    let retried = world.post(&format!("{job}/retry")).await;
    flush(&world).await;
    let in_history = world.delete(&job).await;

    assert_eq!(in_queue.problem(), problem(409, "job_ended", &[]));
    assert_eq!(retried.problem(), problem(409, "job_not_failed", &[]));
    assert_eq!(in_history.problem(), problem(409, "job_ended", &[]));
}

async fn s2_17_a_failed_job_is_retried_as_a_new_one(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    let worker = StubWorker::start(&world, Ending::Revoked);
    let failed = job(&world, "a").await;
    until_state(&world, &failed, "failed").await;
    let refused = world.post(&format!("{failed}/retry")).await;
    let channel = world.channel(&tenant, "a").await;
    let ago = channel.created_at.minus(Duration::from_hours(1));
    world
        .store
        .replace_grant(channel.uid, repaired(&channel, ago))
        .await
        .unwrap();
    worker.set(Ending::Fresh);

    let retried = world.post(&format!("{failed}/retry")).await;
    let new = format!(
        "/api/v1/jobs/{}",
        retried.json()["job_id"].as_str().unwrap()
    );
    until_state(&world, &new, "completed").await;
    let old = world.get(&failed).await.json();

    assert_eq!(refused.problem(), problem(409, "channel_needs_reauth", &[]));
    assert_eq!(retried.status, 202, "{}", retried.text);
    assert_ne!(new, failed);
    assert_eq!(old["state"], "failed");
}

/// Credentials that a person brings for a channel whose grant was revoked.
fn repaired(channel: &store::Channel, end: domain::Timestamp) -> store::NewGrant {
    store::NewGrant {
        generation: channel.generation.next(),
        sealed: testkit::sealed("repaired"),
        facts: testkit::facts(end),
        app_identity: None,
    }
}

async fn s2_17_a_live_job_is_not_retried(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    let job = job(&world, "a").await;

    let answer = world.post(&format!("{job}/retry")).await;

    assert_eq!(answer.problem(), problem(409, "job_live", &[]));
}

async fn s2_17_a_job_of_nobody_does_not_exist(database: Database) {
    let world = World::start(database).await;

    for id in [
        "x",
        "%ff",
        "refresh~tiktok-k-abcdefgh",
        "sweep-k-abcdefgh",
        "%00",
    ] {
        let path = format!("/api/v1/jobs/{id}");

        assert_eq!(
            world.get(&path).await.problem(),
            problem(404, "not_found", &[])
        );
        assert_eq!(
            world.delete(&path).await.problem(),
            problem(404, "not_found", &[])
        );
        let retried = world.post(&format!("{path}/retry")).await;
        assert_eq!(retried.problem(), problem(404, "not_found", &[]));
    }
}

async fn s2_17_bad_filters_are_refused(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    for (query, field) in [
        ("state=done", "state"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("colour=red", "colour"),
    ] {
        let answer = world.get(&format!("{JOBS}?{query}")).await;

        assert_eq!(answer.problem(), problem(422, "invalid_input", &[field]));
    }
    let foreign = world.get(&format!("{JOBS}?channel=nobody")).await;
    assert_eq!(foreign.problem(), problem(404, "not_found", &[]));
}
