//! S2.5 and S2.6 over HTTP.

use std::time::Duration;

use domain::Timestamp;
use insta::{allow_duplicates, assert_json_snapshot};
use serde_json::json;
use testkit::Database;

use crate::world::{World, problem};

testkit::each_database!(
    s2_5_a_schedule_is_made_shown_and_made_again,
    s2_5_the_job_of_the_next_run_is_shown_before_it_exists,
    s2_5_numbers_out_of_range_are_refused_and_change_nothing,
    s2_6_cancelling_says_whether_there_was_a_schedule,
);

const SCHEDULE: &str = "/api/v1/tenants/t1/schedule";

async fn s2_5_a_schedule_is_made_shown_and_made_again(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let before = world.store.now().await.unwrap();
    let missing = world.get(SCHEDULE).await;

    let body = json!({"interval_minutes": 120, "refresh_before_minutes": 60, "misfire": "skip"});
    let put = world.put_json(SCHEDULE, body.clone()).await;
    let again = world.put_json(SCHEDULE, body).await;
    let shown = world.get(SCHEDULE).await;
    let changed = world
        .put_json(SCHEDULE, json!({"interval_minutes": 1}))
        .await;

    assert_eq!(missing.problem(), problem(404, "not_found", &[]));
    assert_eq!(put.status, 200, "{}", put.text);
    allow_duplicates! { assert_json_snapshot!(put.json(), {".job_id" => "[job]", ".next_run_at" => "[time]"}, @r#"
    {
      "interval_minutes": 120,
      "job_id": "[job]",
      "misfire": "skip",
      "next_run_at": "[time]",
      "refresh_before_minutes": 60
    }
    "#); }
    let next = Timestamp::parse(put.json()["next_run_at"].as_str().unwrap()).unwrap();
    let pause = next.since(before);
    assert!(pause >= Duration::from_hours(2) && pause <= Duration::from_secs(7265));
    assert_eq!(again.json(), put.json());
    assert_eq!(shown.json(), put.json());
    assert_ne!(changed.json()["job_id"], put.json()["job_id"]);
    assert_eq!(changed.json()["refresh_before_minutes"], json!(null));
    assert_eq!(changed.json()["misfire"], "once");
}

async fn s2_5_the_job_of_the_next_run_is_shown_before_it_exists(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let body = json!({"interval_minutes": 120});
    let put = world.put_json(SCHEDULE, body).await.json();
    let path = format!("/api/v1/jobs/{}", put["job_id"].as_str().unwrap());

    let job = world.get(&path).await;
    let cancelled = world.delete(&path).await;
    let retried = world.post(&format!("{path}/retry")).await;
    world.delete(SCHEDULE).await;
    let gone = world.get(&path).await;

    assert_eq!(job.json()["run_at"], put["next_run_at"]);
    allow_duplicates! { assert_json_snapshot!(job.json(), {".id" => "[job]", ".run_at" => "[time]"}, @r#"
    {
      "attempt": 0,
      "attempts": [],
      "channel_id": null,
      "id": "[job]",
      "queue": "sweep",
      "run_at": "[time]",
      "state": "delayed",
      "tenant_id": "t1"
    }
    "#); }
    assert_eq!(cancelled.problem(), problem(409, "job_scheduled", &[]));
    assert_eq!(retried.problem(), problem(409, "job_live", &[]));
    assert_eq!(gone.problem(), problem(404, "not_found", &[]));
}

async fn s2_5_numbers_out_of_range_are_refused_and_change_nothing(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    for (body, fields) in [
        (json!({"interval_minutes": 0}), &["interval_minutes"][..]),
        (json!({"interval_minutes": 43_201}), &["interval_minutes"]),
        (json!({"interval_minutes": 1.5}), &["interval_minutes"]),
        (json!({"interval_minutes": "120"}), &["interval_minutes"]),
        (json!({}), &["interval_minutes"]),
        (
            json!({"interval_minutes": 60, "misfire": "twice"}),
            &["misfire"],
        ),
        (
            json!({"interval_minutes": -1, "refresh_before_minutes": -1}),
            &["interval_minutes", "refresh_before_minutes"],
        ),
    ] {
        let answer = world.put_json(SCHEDULE, body).await;

        assert_eq!(answer.problem(), problem(422, "invalid_input", fields));
    }
    assert_eq!(world.get(SCHEDULE).await.status, 404);
}

async fn s2_6_cancelling_says_whether_there_was_a_schedule(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let body = json!({"interval_minutes": 120});
    world.put_json(SCHEDULE, body).await;

    let first = world.delete(SCHEDULE).await;
    let second = world.delete(SCHEDULE).await;

    assert_eq!(
        (first.status, first.json()),
        (200, json!({"cancelled": true}))
    );
    assert_eq!(
        (second.status, second.json()),
        (200, json!({"cancelled": false}))
    );
    assert_eq!(world.get(SCHEDULE).await.status, 404);
}
