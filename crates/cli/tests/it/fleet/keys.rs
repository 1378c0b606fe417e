//! From one master key to the next under a fleet that works.

use sea_orm::{ConnectionTrait as _, Database as Connection};
use serde_json::{Value, json};
use simulator::MintRequest;
use testkit::Database;
use tokio::task::block_in_place;

use super::server::channel_path;
use super::world::is_fresh;
use super::{World, until};
use crate::harness::{Ended, MASTER_KEYS, Running};

testkit::each_database!(
    a_rotate_under_a_working_fleet_loses_nothing_and_lets_the_old_key_go,
    a_rotate_that_was_killed_goes_on_where_it_was,
    damaged_envelopes_and_unknown_keys_are_counted_and_disturb_nothing_else,
);

/// A world whose processes have `k1` alone, and what they have with `k2` beside it.
async fn world(database: Database) -> (World, String) {
    let world = World::slow(50, Some(database)).await;
    let k2 = world.site.ok(&["keys", "generate", "k2"]);
    let both = format!("{MASTER_KEYS},{}", k2.trim());
    (world, both)
}

fn with_keys(world: World, keys: &str) -> World {
    world.set("TOKENFLEET_MASTER_KEYS", keys)
}

/// A command that takes its time; the simulator in this process goes on meanwhile.
fn run(world: &World, arguments: &[&str]) -> Ended {
    block_in_place(|| world.site.run(arguments))
}

/// What `keys status` says of a key: state, channels, live processes with it and sealing with it.
fn status(world: &World, id: &str) -> Value {
    let ended = run(world, &["keys", "status", "--json"]);
    let all: Value = serde_json::from_str(&ended.out).expect("it prints JSON");
    let all = all.as_array().expect("a list");
    let line = all.iter().find(|line| line["id"] == id);
    let line = line.unwrap_or_else(|| panic!("no {id} in {all:?}"));
    json!([
        line["state"],
        line["channels"],
        line["processes_with_it"],
        line["processes_sealing"]
    ])
}

async fn a_rotate_under_a_working_fleet_loses_nothing_and_lets_the_old_key_go(database: Database) {
    const COUNT: u32 = 120;
    let (world, both) = world(database).await;
    let (up, _) = world.up().await;
    let world = with_keys(world, &both);
    let refused = run(&world, &["keys", "rotate"]);
    up.stop();
    let (up, server) = world.up_again();
    world
        .import(
            &server,
            &MintRequest::of("tiktok").expires_in(0).count(COUNT),
        )
        .await;

    let rotated = run(&world, &["keys", "rotate"]);
    server.channels_until(is_fresh).await;

    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .err
            .contains("1 of the fleet's processes lack the key 'k2'"),
        "{}",
        refused.err
    );
    assert_eq!(rotated.code, Some(0), "{} {}", rotated.out, rotated.err);
    assert_eq!(status(&world, "k1"), json!(["opens", 0, 1, 0]));
    assert_eq!(status(&world, "k2"), json!(["active", COUNT, 1, 1]));
    let ledger = world.simulator.summary();
    assert_eq!((ledger.overlaps, ledger.reuses), (0, 0));
    the_old_key_goes(world, up, &both).await;
}

/// Retires `k1` and goes on without it.
async fn the_old_key_goes(world: World, up: Running, both: &str) {
    let active = world.site.refusal(&["keys", "retire", "k2"]);
    world.site.ok(&["keys", "retire", "k1"]);
    up.stop();
    let k2 = both.rsplit(',').next().expect("the second key").to_owned();
    let world = with_keys(world, &k2);
    let (up, server) = world.up_again();

    let path = format!("{}/refresh?wait=30", channel_path("tiktok-7"));
    let refreshed = server.post(&path).await.of(200);

    assert!(active.contains("the key that seals"), "{active}");
    assert_eq!(refreshed["refreshed"], json!(true), "{refreshed}");
    assert_eq!(status(&world, "k1")[0], json!("retired"));
    up.stop();
}

async fn a_rotate_that_was_killed_goes_on_where_it_was(database: Database) {
    const COUNT: u64 = 30;
    let (world, both) = world(database).await;
    let world = with_keys(world, &both);
    let (up, server) = world.up().await;
    let order = MintRequest::of("tiktok").expires_in(86_400).count(30);
    world.import(&server, &order).await;

    let slowly = ["keys", "rotate", "--batch", "1", "--pause-ms", "100"];
    let mut first = world.site.start(&slowly, "'k2' seals from here on");
    until("some are wrapped", async || {
        (status(&world, "k2")[1] != json!(0)).then_some(())
    })
    .await;
    first.signal("KILL");
    first.wait();
    let left = status(&world, "k1")[1].as_u64().expect("a count");
    let again = run(&world, &["keys", "rotate", "--json"]);

    assert!(left > 0 && left < COUNT, "{left}");
    assert_eq!(again.code, Some(0), "{}", again.err);
    let report: Value = serde_json::from_str(&again.out).expect("it prints JSON");
    let expected = json!({
        "active": "k2", "rewrapped": left, "lacking_key": {}, "damaged": [],
        "damaged_webhooks": [], "lagging": []
    });
    assert_eq!(report, expected);
    assert_eq!(status(&world, "k2")[1], json!(COUNT));
    let now = server
        .post("/api/v1/tenants/acme/channels/refresh?wait=60")
        .await;
    assert_eq!(now.of(200)["failed"], json!(0));
    up.stop();
}

async fn damaged_envelopes_and_unknown_keys_are_counted_and_disturb_nothing_else(
    database: Database,
) {
    let (world, both) = world(database).await;
    let world = with_keys(world, &both);
    let (up, server) = world.up().await;
    let order = MintRequest::of("tiktok").expires_in(86_400).count(6);
    world.import(&server, &order).await;
    let url = world.database.as_ref().expect("this world has one").url();
    let db = Connection::connect(url).await.expect("it answers");
    for sql in [
        // Bytes that are no envelope.
        "UPDATE channels SET envelope = fingerprint WHERE id = 'tiktok-1'",
        "UPDATE channels SET key_id = 'k0' WHERE id IN ('tiktok-2', 'tiktok-3')",
    ] {
        db.execute_unprepared(sql).await.expect("it is a good text");
    }

    let rotated = run(&world, &["keys", "rotate", "--json"]);
    let refused = world.site.refusal(&["keys", "retire", "k1"]);
    let path = |id: &str| format!("{}/refresh?wait=1", channel_path(id));
    for id in ["tiktok-2", "tiktok-3"] {
        let waiting = server.post(&path(id)).await.of(202);
        assert!(waiting["job_id"].is_string(), "{waiting}");
    }
    let damaged = server.post(&path("tiktok-1")).await.of(200);
    let good = server.post(&path("tiktok-4")).await.of(200);

    assert_eq!(rotated.code, Some(1));
    let report: Value = serde_json::from_str(&rotated.out).expect("it prints JSON");
    let expected = json!({
        "active": "k2", "rewrapped": 3, "lacking_key": { "k0": 2 },
        "damaged": ["acme/tiktok-1"], "damaged_webhooks": [], "lagging": []
    });
    assert_eq!(report, expected);
    assert!(
        refused.contains("'k1' is still needed by 1 channels and 0 webhooks"),
        "{refused}"
    );
    assert_eq!(damaged["details"]["reason"], json!("envelope_unreadable"));
    assert_eq!(good["refreshed"], json!(true), "{good}");
    assert_eq!(server.attempts("tiktok-2").await, Vec::<Value>::new());
    let told = up.said().matches("channels wait for a master key").count();
    assert_eq!(told, 1, "{}", up.said());
    up.stop();
}
