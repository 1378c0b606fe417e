//! The queues over HTTP, and all jobs of a tenant that match.

use std::time::Duration;

use domain::{ChannelUid, Generation, ProviderName, TenantUid, Timestamp};
use queue::{NewJob, When};
use reqwest::Method;
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
    jobs_of_all_tenants_are_changed_at_once_by_the_platform_alone,
    failed_jobs_that_only_a_person_can_mend_are_not_retried,
    a_delayed_job_is_promoted,
    a_purge_removes_what_matches_and_what_is_due_comes_back,
    a_purge_that_makes_no_sense_is_refused,
    every_queue_is_listed_and_jobs_are_found_by_queue,
    a_call_changes_200_jobs_and_the_next_goes_on_at_its_cursor,
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
    let detail = shown.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.starts_with("There is no such queue; there are refresh:facebook, "),
        "{detail}"
    );
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
        json!({ "matched": matched, "changed": changed, "refused": 0, "next_cursor": null,
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

async fn jobs_of_all_tenants_are_changed_at_once_by_the_platform_alone(database: Database) {
    let world = World::start(database).await;
    let mut jobs = Vec::new();
    for tenant in ["t1", "t2", "t3"] {
        let owner = world.tenant(tenant).await;
        world.tiktok(&owner, "a", 90_000).await;
        let later = format!("/api/v1/tenants/{tenant}/channels/a/refresh/schedule");
        let answer = world
            .post_json(&later, json!({ "delay_minutes": 30 }))
            .await;
        jobs.push(answer.json()["job_id"].as_str().unwrap().to_owned());
    }
    let change = async |verb: &str, body| {
        let answer = world.post_json(&format!("/api/v1/jobs/{verb}"), body).await;
        answer.json()
    };

    let unsaid = world.post("/api/v1/jobs/cancel").await;
    let elsewhere = change("cancel", json!({ "queue": "refresh:facebook" })).await;
    let dry = change("cancel", json!({ "dry_run": true })).await;
    let promoted = change("promote", json!({ "queue": "refresh:tiktok" })).await;
    let cancelled = change("cancel", json!({ "state": "waiting" })).await;
    let one_channel = world
        .post_json("/api/v1/jobs/cancel", json!({ "channel": "a" }))
        .await;

    let answer = |matched, changed, dry_run| {
        json!({ "matched": matched, "changed": changed, "refused": 0, "next_cursor": null,
            "dry_run": dry_run })
    };
    assert_eq!(unsaid.status, 415, "{}", unsaid.text);
    assert_eq!(elsewhere, answer(0, 0, false));
    assert_eq!(dry, answer(3, 0, true));
    assert_eq!(promoted, answer(3, 3, false));
    assert_eq!(cancelled, answer(3, 3, false));
    let invalid = problem(422, "invalid_input", &["channel"]);
    assert_eq!(one_channel.problem(), invalid);
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

    let expected = json!({ "matched": 1, "changed": 0, "refused": 1, "next_cursor": null,
        "dry_run": false });
    assert_eq!(retried, expected);
    assert_eq!(wrong.problem(), problem(422, "invalid_input", &["state"]));
    for cursor in ["x", "waiting.x", "failed.x"] {
        let wrong = world.post(&format!("{retry}?cursor={cursor}")).await;
        assert_eq!(wrong.problem(), problem(422, "invalid_input", &["cursor"]));
    }
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

async fn a_purge_removes_what_matches_and_what_is_due_comes_back(database: Database) {
    let world = World::start(database).await;
    let (tenant, other) = (world.tenant("t1").await, world.tenant("t2").await);
    world.tiktok(&other, "theirs", 90_000).await;
    let theirs = "/api/v1/tenants/t2/channels/theirs/refresh/schedule";
    world
        .post_json(theirs, json!({ "delay_minutes": 30 }))
        .await;
    let mut jobs = Vec::new();
    for channel in ["a", "b"] {
        world.tiktok(&tenant, channel, 90_000).await;
        jobs.push(refresh_later(&world, channel).await);
    }
    let purge = async |body| {
        let answer = world.post_json(&format!("{QUEUE}/purge"), body).await;
        answer.json()
    };
    let left = async || world.get(QUEUE).await.json()["delayed"].clone();

    let dry = purge(json!({ "state": "delayed", "dry_run": true })).await;
    let after_dry = left().await;
    let running = purge(json!({ "state": "active" })).await;
    let own = purge(json!({ "tenant_id": "t1" })).await;
    let after_own = left().await;
    let rest = purge(json!({})).await;

    let answer = |matched, removed, dry_run| {
        json!({ "matched": matched, "removed": removed, "running": 0, "more": false,
            "dry_run": dry_run })
    };
    assert_eq!((dry, after_dry), (answer(3, 0, true), json!(3)));
    assert_eq!(running, answer(0, 0, false));
    assert_eq!((own, after_own), (answer(2, 2, false), json!(1)));
    assert_eq!((rest, left().await), (answer(1, 1, false), json!(0)));
    // The wish stands on the row, and is handed out at its time.
    for job in jobs {
        let shown = world.get(&format!("/api/v1/jobs/{job}")).await.json();
        assert_eq!(shown["state"], "delayed");
    }
    let lines = world.get("/api/v1/audit?action=queue.purge").await.json();
    let line = &lines["items"][1];
    assert_eq!(lines["items"].as_array().unwrap().len(), 3, "{lines}");
    assert_eq!(line["target"], "queues/refresh:tiktok");
    assert_eq!(line["tenant_id"], "t1");
    let details = json!({ "state": null, "tenant_id": "t1", "removed": 2, "running": 0 });
    assert_eq!(line["details"], details);
}

async fn a_purge_that_makes_no_sense_is_refused(database: Database) {
    let world = World::start(database).await;
    let path = format!("{QUEUE}/purge");
    let refused = async |body: Value| world.post_json(&path, body).await.problem();

    let unsaid = world.request(Method::POST, &path).send().await.unwrap();
    let nobody = world
        .post_json("/api/v1/queues/refresh:nobody/purge", json!({}))
        .await;

    assert_eq!(unsaid.status(), 415);
    assert_eq!(nobody.problem(), problem(404, "not_found", &[]));
    let missing = problem(404, "not_found", &[]);
    assert_eq!(refused(json!({ "tenant_id": "t9" })).await, missing);
    let invalid = |field: &str| problem(422, "invalid_input", &[field]);
    assert_eq!(refused(json!({ "state": "lost" })).await, invalid("state"));
    assert_eq!(refused(json!({ "all": true })).await, invalid("all"));
}

async fn every_queue_is_listed_and_jobs_are_found_by_queue(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 90_000).await;
    let job = refresh_later(&world, "a").await;
    let listed = async |path: &str| {
        let page = world.get(path).await.json();
        let items = page["items"].as_array().unwrap().iter();
        items.map(|it| it["id"].clone()).collect::<Vec<_>>()
    };

    let queues = world.get("/api/v1/queues").await.json();
    let queues = queues["items"].as_array().unwrap().iter();
    let names: Vec<&str> = queues.map(|it| it["queue"].as_str().unwrap()).collect();

    for name in ["refresh:tiktok", "refresh:facturify", "sweep", "webhook"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for jobs in [JOBS, "/api/v1/jobs"] {
        let of = |queue: &str| format!("{jobs}?queue={queue}");
        assert_eq!(listed(&of("refresh:tiktok")).await, [json!(job)]);
        assert_eq!(listed(&of("webhook")).await, [] as [Value; 0]);
        let unknown = world.get(&of("refresh:nobody")).await;
        assert_eq!(unknown.problem(), problem(404, "not_found", &[]));
    }
    let cancel = json!({ "queue": "sweep", "dry_run": true });
    let none = world.post_json(&format!("{JOBS}/cancel"), cancel).await;
    assert_eq!(none.json()["matched"], 0);
}

async fn a_call_changes_200_jobs_and_the_next_goes_on_at_its_cursor(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    let run_at = world
        .store
        .now()
        .await
        .unwrap()
        .plus(Duration::from_hours(1));
    let jobs = (0..250).map(|_| delayed(tenant.uid, run_at)).collect();
    let queue = world.queues.queue(&"refresh:tiktok".parse().unwrap());
    queue.push_many(jobs).await.unwrap();
    let cancel = async |cursor: &str| {
        let path = format!("{JOBS}/cancel?cursor={cursor}");
        world.post(&path).await.json()
    };

    let first = world.post(&format!("{JOBS}/cancel")).await.json();
    let second = cancel(first["next_cursor"].as_str().unwrap()).await;
    let nothing = world.post(&format!("{JOBS}/cancel")).await.json();

    let counts = |answer: &Value| [answer["matched"].clone(), answer["changed"].clone()];
    assert_eq!(counts(&first), [json!(200), json!(200)]);
    assert_eq!(counts(&second), [json!(50), json!(50)]);
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(counts(&nothing), [json!(0), json!(0)]);
}

/// The job of a channel that is gone by now.
fn delayed(tenant: TenantUid, run_at: Timestamp) -> NewJob {
    jobs::refresh(jobs::RefreshRequest {
        tenant,
        channel: ChannelUid::generate(),
        provider: &ProviderName::from_static("tiktok"),
        generation: Generation(1),
        when: When::At(run_at.as_millis()),
        deadline: run_at,
        not_before: None,
        id: None,
    })
}
