//! S2.5 and S2.6: a tenant's recurring refresh, with the real scheduler and worker.

use sea_orm::{ConnectionTrait as _, Database as Connection};
use serde_json::{Value, json};
use simulator::MintRequest;
use testkit::Database;

use super::server::{at, members};
use super::{World, until};

testkit::each_database!(s2_5_a_schedule_sweeps_its_tenant_once_per_slot_and_s2_6_ends_it,);

const PATH: &str = "/api/v1/tenants/acme/schedule";

async fn s2_5_a_schedule_sweeps_its_tenant_once_per_slot_and_s2_6_ends_it(database: Database) {
    let world = World::on(database).await;
    let (up, server) = world.up().await;
    // Within the window of the schedule, and not yet due by policy.
    world
        .import(
            &server,
            &MintRequest::of("tiktok").expires_in(1800).count(3),
        )
        .await;
    let fresh = world
        .import(&server, &MintRequest::of("tiktok").expires_in(7200))
        .await;
    assert_eq!(server.get(PATH).await.status, 404);
    assert_eq!(
        server.delete(PATH).await.of(200),
        json!({ "cancelled": false })
    );

    let body = json!({ "interval_minutes": 120, "refresh_before_minutes": 60 });
    let made = server.put_json(PATH, &body).await.of(200);
    let again = server.put_json(PATH, &body).await.of(200);
    let shown = server.get(PATH).await.of(200);
    let expected = [
        "interval_minutes",
        "job_id",
        "misfire",
        "next_run_at",
        "refresh_before_minutes",
    ];
    assert_eq!(members(&made), expected);
    assert_eq!((&again, &shown), (&made, &made));
    let job = made["job_id"].as_str().expect("a job id");
    let waiting = server.get(&format!("/api/v1/jobs/{job}")).await.of(200);
    assert_eq!(waiting["state"], "delayed", "{waiting}");

    // As if every scheduler had stood still until long after the slot.
    bring_slot_to_the_past(&world).await;
    let swept = until("the slot was run", async || {
        let channels = server.channels().await;
        let generation = |it: &&Value| it["generation"] == 2;
        (channels.iter().filter(generation).count() == 3).then_some(channels)
    })
    .await;
    let next = until("the schedule moved on", async || {
        let next = server.get(PATH).await.of(200);
        (next["job_id"] != made["job_id"]).then_some(next)
    })
    .await;

    assert!(
        at(&next["next_run_at"]) > at(&swept[0]["created_at"]),
        "{next}"
    );
    assert_eq!(
        world.simulator.summary().refreshes,
        3,
        "one run for all missed slots"
    );
    assert_eq!(server.channel(&fresh[0].id).await["generation"], 1);
    let jobs = server.all("/api/v1/tenants/acme/jobs").await;
    let sweeps: Vec<&Value> = jobs
        .iter()
        .filter(|it| it["channel_id"].is_null())
        .collect();
    assert_eq!(sweeps.len(), 1, "{jobs:#?}");
    assert_eq!(sweeps[0]["state"], "completed");

    assert_eq!(
        server.delete(PATH).await.of(200),
        json!({ "cancelled": true })
    );
    assert_eq!(
        server.delete(PATH).await.of(200),
        json!({ "cancelled": false })
    );
    assert_eq!(server.get(PATH).await.status, 404);
    up.stop();
}

async fn bring_slot_to_the_past(world: &World) {
    let database = world.database.as_ref().expect("this world has one");
    let connection = Connection::connect(database.url()).await;
    let connection = connection.expect("the database answers");
    let moved = connection.execute_unprepared("UPDATE schedules SET next_run_at = 1767268800000");
    assert_eq!(moved.await.expect("the table is there").rows_affected(), 1);
}
