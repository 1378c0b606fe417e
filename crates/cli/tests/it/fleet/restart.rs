//! `up` is stopped, killed and started again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use simulator::MintRequest;

use super::server::channel_path;
use super::world::is_fresh;
use super::{World, until};

/// A channel as it must survive, without the times that reading it again may change.
fn kept(channel: &serde_json::Value) -> serde_json::Value {
    let names = [
        "id",
        "provider",
        "display_name",
        "state",
        "generation",
        "expires_at",
    ];
    names
        .iter()
        .map(|name| (*name, channel[name].clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_schedule_and_generation_survive_a_restart_and_a_kill() {
    let world = World::alone().await;
    let (up, server) = world.up().await;
    let order = MintRequest::of("tiktok").expires_in(0).count(5);
    let minted = world.import(&server, &order).await;
    let schedule = json!({ "interval_minutes": 120, "refresh_before_minutes": 30 });
    let schedule = server
        .put_json("/api/v1/tenants/acme/schedule", &schedule)
        .await;
    let schedule = schedule.of(200);
    let before: Vec<_> = server
        .channels_until(is_fresh)
        .await
        .iter()
        .map(kept)
        .collect();

    up.stop();
    let (mut up, server) = world.up_again();
    let after_stop = server.channels().await;
    let kept_schedule = server.get("/api/v1/tenants/acme/schedule").await.of(200);
    up.signal("KILL");
    up.wait();
    let (up, server) = world.up_again();
    let after_kill = server.channels().await;

    assert_eq!(after_stop.iter().map(kept).collect::<Vec<_>>(), before);
    assert_eq!(after_kill.iter().map(kept).collect::<Vec<_>>(), before);
    assert_eq!(kept_schedule, schedule);
    // What was sealed before still opens, and the private Redis works again.
    let path = format!("{}/refresh?wait=30", channel_path(&minted[0].id));
    let refreshed = server.post(&path).await.of(200);
    assert_eq!(refreshed["generation"], 3, "{refreshed}");
    up.stop();
}

/// Room for the tables, and for some tenants.
const SMALL: u32 = 16 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_while_the_disk_was_full_is_there_afterwards() {
    let world = World::alone().await;
    let (mut up, server) = world.up_on_a_small_disk(SMALL);
    let (mut confirmed, mut refused) = (BTreeSet::new(), 0);
    for at in 0..3000 {
        let id = format!("tenant-{at:04}");
        let body = json!({ "id": id, "name": "x".repeat(100) });
        match server.post_json("/api/v1/tenants", &body).await.status {
            201 => drop(confirmed.insert(id)),
            503 => refused += 1,
            other => panic!("{other}"),
        }
        if refused == 200 {
            break;
        }
    }

    up.signal("KILL");
    up.wait();
    let (up, server) = world.up_again();
    let there: BTreeSet<String> = server
        .all("/api/v1/tenants")
        .await
        .iter()
        .filter_map(|it| it["id"].as_str().map(str::to_owned))
        .collect();

    assert_eq!(refused, 200, "the disk was full");
    let lost: Vec<_> = confirmed.difference(&there).collect();
    assert_eq!(lost, Vec::<&String>::new(), "of {}", confirmed.len());
    up.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_up_on_the_same_directory_disturbs_nothing() {
    let world = World::alone().await;
    let (up, server) = world.up().await;

    let message = world.site.refusal(&["up", "--bind", "127.0.0.1:0"]);
    let order = MintRequest::of("tiktok").expires_in(0);
    world.import(&server, &order).await;

    let process = format!("another tokenfleet (process {})", up.pid());
    assert!(message.contains(&process), "{message}");
    server.channels_until(is_fresh).await;
    up.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_up_at_once_and_the_next_one_does_the_work() {
    const ANSWER: u64 = 5;
    let world = World::slow(ANSWER * 1000, None).await;
    let world = world.set("TOKENFLEET_QUEUE__LEASE", "5s");
    let (mut up, server) = world.up().await;
    let order = MintRequest::of("facebook").expires_in(3600);
    let minted = world.import(&server, &order).await;
    until("a request is under way", async || {
        let view = world.simulator.grant(&minted[0].id, false);
        view.is_some_and(|it| it.requests == 1).then_some(())
    })
    .await;

    let asked_at = Instant::now();
    up.signal("TERM");
    until("it drains", async || {
        up.said().contains("stopping:").then_some(())
    })
    .await;
    up.signal("TERM");
    let code = up.wait();
    let took = asked_at.elapsed();
    let (up, server) = world.up_again();
    server.channels_until(is_fresh).await;

    assert_eq!(code, Some(130), "{}", up.said());
    assert!(took < Duration::from_secs(ANSWER), "{took:?}");
    let ledger = world.simulator.summary();
    assert_eq!(
        (ledger.requests, ledger.refreshes, ledger.overlaps),
        (2, 1, 0)
    );
    up.stop();
}
