//! The queues over HTTP, and all jobs of a tenant that match.

use serde_json::{Value, json};
use testkit::Database;

use crate::stub_worker::{Ending, StubWorker};
use crate::world::{World, problem};

testkit::each_database!(
    a_queue_is_paused_limited_and_shown,
    the_limits_of_a_tenant_are_its_own,
    limits_that_make_no_sense_are_refused,
    a_queue_that_is_fed_by_nobody_does_not_exist,
    all_delayed_jobs_of_a_tenant_are_cancelled_and_a_dry_run_counts_them,
    failed_jobs_that_only_a_person_can_mend_are_not_retried,
    a_delayed_job_is_promoted,
);

const QUEUE: &str = "/api/v1/queues/refresh:tiktok";
const CHANNELS: &str = "/api/v1/tenants/t1/channels";
const JOBS: &str = "/api/v1/tenants/t1/jobs";

async fn refresh_later(world: &World, channel: &str) -> String {
    let path = format!("{CHANNELS}/{channel}/refresh/schedule");
    let answer = world.post_json(&path, json!({ "delay_minutes": 30 })).await;
    answer.json()["job_id"].as_str().unwrap().to_owned()
}

async fn a_queue_is_paused_limited_and_shown(database: Database) {
    let world = World::start(database).await;
    let limits = format!("{QUEUE}/limits");
    let change = json!({ "paused": true, "at_once": 20,
        "rate": { "jobs": 600, "per_seconds": 60, "burst": 5 } });

    let set = world.patch_json(&limits, change).await;
    let lifted = json!({ "paused": false, "rate": null });
    let changed = world.patch_json(&limits, lifted).await;
    let shown = world.get(QUEUE).await.json();
    let all = world.get("/api/v1/queues").await.json();

    let rate = json!({ "every_ms": 100.0, "burst": 5 });
    let paused = json!({ "paused": true, "weight": 1, "at_once": 20, "rate": rate });
    assert_eq!(set.json(), paused);
    let resumed = json!({ "paused": false, "weight": 1, "at_once": 20, "rate": null });
    assert_eq!(changed.json(), resumed);
    assert_eq!(shown["limits"], resumed);
    assert!(all["items"].as_array().unwrap().contains(&shown));
}

async fn the_limits_of_a_tenant_are_its_own(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let limits = format!("{QUEUE}/tenants/t1/limits");

    let set = world.patch_json(&limits, json!({ "weight": 3 })).await;

    let expected = json!({ "paused": false, "weight": 3, "at_once": null, "rate": null });
    assert_eq!((set.status, set.json()), (200, expected.clone()));
    assert_eq!(world.get(&limits).await.json(), expected);
    let queue = world.get(QUEUE).await.json();
    assert_eq!(
        (&queue["limited_tenants"], &queue["limits"]["weight"]),
        (&json!(1), &json!(1))
    );
    let nobody = world.get(&format!("{QUEUE}/tenants/t9/limits")).await;
    assert_eq!(nobody.problem(), problem(404, "not_found", &[]));
}

async fn limits_that_make_no_sense_are_refused(database: Database) {
    let world = World::start(database).await;
    let limits = format!("{QUEUE}/limits");
    let refused = async |change: Value| world.patch_json(&limits, change).await.problem();
    let invalid = |field: &str| {
        let (status, code) = (422, "invalid_input");
        problem(status, code, &[field])
    };

    let no_rate = json!({ "rate": { "jobs": 0, "per_seconds": 1 } });
    assert_eq!(refused(no_rate).await, invalid("rate"));
    assert_eq!(refused(json!({ "weight": 0 })).await, invalid("weight"));
    assert_eq!(refused(json!({ "at_once": 0 })).await, invalid("at_once"));
    assert_eq!(refused(json!({ "speed": 1 })).await, invalid("speed"));
}

async fn a_queue_that_is_fed_by_nobody_does_not_exist(database: Database) {
    let world = World::start(database).await;

    let shown = world.get("/api/v1/queues/refresh:nobody").await;
    let healed = world.post(&format!("{QUEUE}/heal")).await;

    assert_eq!(shown.problem(), problem(404, "not_found", &[]));
    assert_eq!(healed.json(), json!({ "put_back": 0, "dropped": 0 }));
}

async fn all_delayed_jobs_of_a_tenant_are_cancelled_and_a_dry_run_counts_them(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    let mut jobs = Vec::new();
    for channel in ["a", "b", "c"] {
        world.tiktok(&tenant, channel, 90_000).await;
        jobs.push(refresh_later(&world, channel).await);
    }
    let cancel = async |body| {
        world
            .post_json(&format!("{JOBS}/cancel"), body)
            .await
            .json()
    };

    let dry = cancel(json!({ "state": "delayed", "dry_run": true })).await;
    let one = cancel(json!({ "channel": "a" })).await;
    let rest = cancel(json!({})).await;

    let answer = |matched, changed, dry_run| {
        json!({ "matched": matched, "changed": changed, "refused": 0, "more": false,
            "dry_run": dry_run })
    };
    assert_eq!(dry, answer(3, 0, true));
    assert_eq!(one, answer(1, 1, false));
    assert_eq!(rest, answer(2, 2, false));
    for job in jobs {
        let shown = world.get(&format!("/api/v1/jobs/{job}")).await.json();
        assert_eq!(shown["state"], "cancelled");
    }
}

async fn failed_jobs_that_only_a_person_can_mend_are_not_retried(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    let _worker = StubWorker::start(&world, Ending::Revoked);
    let answer = world.post(&format!("{CHANNELS}/a/refresh?wait=0")).await;
    let job = format!("/api/v1/jobs/{}", answer.json()["job_id"].as_str().unwrap());
    world
        .until(&job, |answer| answer.json()["state"] == "failed")
        .await;
    let retry = format!("{JOBS}/retry");

    let retried = world.post_json(&retry, json!({})).await.json();
    let wrong = world.post_json(&retry, json!({ "state": "waiting" })).await;

    let expected = json!({ "matched": 1, "changed": 0, "refused": 1, "more": false,
        "dry_run": false });
    assert_eq!(retried, expected);
    assert_eq!(wrong.problem(), problem(422, "invalid_input", &["state"]));
}

async fn a_delayed_job_is_promoted(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 90_000).await;
    let job = refresh_later(&world, "a").await;
    let promote = format!("/api/v1/jobs/{job}/promote");

    let promoted = world.post(&promote).await;
    let again = world.post(&promote).await;

    let waiting = json!({ "job_id": job, "state": "waiting" });
    assert_eq!((promoted.status, promoted.json()), (200, waiting.clone()));
    assert_eq!(again.json(), waiting);
}
