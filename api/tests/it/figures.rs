//! S2.7 and S2.8 over HTTP.

use insta::{allow_duplicates, assert_json_snapshot};
use serde_json::json;
use testkit::Database;

use crate::stub_worker::{Ending, StubWorker};
use crate::world::World;

testkit::each_database!(
    s2_7_jobs_are_counted_where_they_stand,
    s2_7_totals_survive_a_flush_and_the_platform_sees_all_tenants,
    s2_8_a_tenants_channels_are_counted,
);

const STATUS: &str = "/api/v1/tenants/t1/jobs/status";

async fn s2_7_jobs_are_counted_where_they_stand(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    let channels = "/api/v1/tenants/t1/channels";
    for id in ["a", "b", "c"] {
        world.tiktok(&tenant, id, 7200).await;
    }
    world.post(&format!("{channels}/a/refresh?wait=0")).await;
    let later = json!({"delay_minutes": 5});
    world
        .post_json(&format!("{channels}/b/refresh/schedule"), later.clone())
        .await;
    let cancelled = world
        .post_json(&format!("{channels}/c/refresh/schedule"), later)
        .await;
    let id = cancelled.json()["job_id"].as_str().unwrap().to_owned();
    world.delete(&format!("/api/v1/jobs/{id}")).await;

    let status = world.get(STATUS).await;

    assert_eq!(status.status, 200, "{}", status.text);
    allow_duplicates! { assert_json_snapshot!(status.json(), @r#"
    {
      "jobs_active": 0,
      "jobs_cancelled": 1,
      "jobs_completed": 0,
      "jobs_delayed": 1,
      "jobs_failed": 0,
      "jobs_waiting": 1
    }
    "#); }
}

async fn s2_7_totals_survive_a_flush_and_the_platform_sees_all_tenants(database: Database) {
    let world = World::start(database).await;
    let worker = StubWorker::start(&world, Ending::Fresh);
    for id in ["t1", "t2"] {
        let tenant = world.tenant(id).await;
        world.tiktok(&tenant, "a", 7200).await;
        world
            .post(&format!("/api/v1/tenants/{id}/channels/a/refresh"))
            .await;
    }
    worker.set(Ending::Revoked);
    world.post("/api/v1/tenants/t2/channels/a/refresh").await;
    let mut connection = world.redis.connection().await.unwrap();
    redis::cmd("FLUSHALL")
        .query_async::<()>(&mut connection)
        .await
        .unwrap();

    let one = world.get(STATUS).await.json();
    let all = world.get("/api/v1/jobs/status").await.json();

    assert_eq!(one["jobs_completed"], 1);
    assert_eq!(one["jobs_failed"], 0);
    assert_eq!(all["jobs_completed"], 2);
    assert_eq!(all["jobs_failed"], 1);
}

async fn s2_8_a_tenants_channels_are_counted(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "urgent", 1800).await;
    world.tiktok(&tenant, "refreshed", 7200).await;
    world.tiktok(&tenant, "revoked", 7200).await;
    let expired = json!({
        "access_token": "planted-access-token", "expires_at": "2020-01-01T00:00:00Z",
    });
    world.import(&tenant, "expired", "facebook", expired).await;
    let worker = StubWorker::start(&world, Ending::Fresh);
    let channels = "/api/v1/tenants/t1/channels";
    world.post(&format!("{channels}/refreshed/refresh")).await;
    worker.set(Ending::Revoked);
    world.post(&format!("{channels}/revoked/refresh")).await;

    let answer = world.get("/api/v1/tenants/t1/refresh/statistics").await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let urgent = world.channel(&tenant, "urgent").await.access_expires_at;
    assert_eq!(
        answer.json()["statistics"]["next_expiry"],
        urgent.unwrap().to_string()
    );
    allow_duplicates! { assert_json_snapshot!(answer.json(), {".statistics.next_expiry" => "[time]"}, @r#"
    {
      "statistics": {
        "by_provider": {
          "facebook": 1,
          "tiktok": 3
        },
        "by_state": {
          "active": 2,
          "error": 0,
          "needs_reauth": 2,
          "never_expires": 0,
          "paused": 0
        },
        "channels_needing_refresh": 1,
        "channels_with_refresh_token": 3,
        "failed_24h": 1,
        "next_expiry": "[time]",
        "refreshed_24h": 1,
        "total_channels": 4,
        "urgent_channels": 1
      }
    }
    "#); }
}
