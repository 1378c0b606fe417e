//! A worker is killed, or stands still, while its requests are under way.

use std::collections::BTreeSet;

use serde_json::Value;
use simulator::{GrantView, MintRequest, Minted, Running as Simulated};
use testkit::{Database, Kind};

use super::world::{Import, import, is_fresh};
use super::{Server, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_worker_had_under_way_is_taken_over_after_lease_and_grace() {
    testkit::run_on(Kind::Postgres, async |database| {
        let world = world(database).await;
        let world = world
            .set("TOKENFLEET_WORKER__REFRESH_LEASE", "16s")
            .set("TOKENFLEET_WORKER__TAKEOVER_GRACE", "16s");
        a_worker_is_killed(&world, "data-1", "data-2").await;
    })
    .await;
}

/// With a grace of ten minutes only the lock file of the dead process can have
/// let its successor go on within the time of a test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_proven_dead_in_a_shared_data_directory_is_not_waited_for() {
    testkit::run_on(Kind::Sqlite, async |database| {
        let world = world(database).await;
        let world = world
            .set("TOKENFLEET_WORKER__REFRESH_LEASE", "10m")
            .set("TOKENFLEET_WORKER__TAKEOVER_GRACE", "10m");
        a_worker_is_killed(&world, "data-shared", "data-shared").await;
    })
    .await;
}

/// The answer reaches a worker that stood still for longer than its lease, when a successor has
/// refreshed already: it is fenced, and the worker goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_paused_beyond_its_lease_changes_nothing_of_its_successor() {
    testkit::run_on(Kind::Postgres, async |database| {
        let world = world(database).await;
        let world = world.set("TOKENFLEET_WORKER__REFRESH_LEASE", "16s");
        a_worker_is_paused(&world).await;
    })
    .await;
}

async fn world(database: Database) -> World {
    let world = World::slow(200, Some(database)).await;
    world
        .set("TOKENFLEET_QUEUE__LEASE", "5s")
        .set("TOKENFLEET_WORKER__CONCURRENCY", "16")
        .set("TOKENFLEET_WORKER__PROVIDER_TIMEOUT", "4s")
        .set("FACTURIFY_TIMEOUT", "4s")
        .set("TOKENFLEET_PROVIDERS__CONNECT_TIMEOUT", "1s")
}

async fn a_worker_is_killed(world: &World, its_dir: &str, next_dir: &str) {
    let (api, server) = world.api().await;
    // Those that expired first are first in the queue.
    let mint = |scenario: &str| {
        let order = MintRequest::of("tiktok").expires_in(-600).count(4);
        let minted = world.simulator.mint(&order.scenario(scenario));
        minted.expect("a sensible order")
    };
    let uncommitted = mint("hang:1");
    let committed = mint("hang_after_commit:1");
    let rest = world.simulator.mint_fleet(240);
    let all = [&uncommitted, &committed, &rest];
    import(&server, all.into_iter().flatten().map(Import::of).collect()).await;
    let scheduler = world.scheduler();
    let mut first = world.worker(its_dir, &[]);
    until("the requests that will be cut have arrived", async || {
        let arrived = uncommitted
            .iter()
            .all(|it| grant(&world.simulator, it).requests > 0);
        let done = committed
            .iter()
            .all(|it| grant(&world.simulator, it).generation > 1);
        (arrived && done).then_some(())
    })
    .await;

    first.signal("KILL");
    first.wait();
    let second = world.worker(next_dir, &[]);
    let channels = server
        .channels_until(|it| is_fresh(it) || it["state"] == "never_expires" || lost(it))
        .await;

    let lost_ones = ids(channels.iter().filter(|it| lost(it)));
    let expected: BTreeSet<_> = committed.iter().map(|it| it.id.clone()).collect();
    assert!(expected.is_subset(&lost_ones), "{lost_ones:?}");
    // Beside them only rotating ones whose answer was on its way when the worker died.
    for id in &lost_ones {
        assert!(id.starts_with("tiktok"), "{id}");
        let view = world.simulator.grant(id, false).expect("it was minted");
        assert_eq!((view.reuses, view.overlaps), (1, 0), "{view:?}");
    }
    assert!(lost_ones.len() <= expected.len() + 16, "{lost_ones:?}");
    is_told_apart(&server, &committed[0].id).await;
    assert_eq!(world.simulator.summary().overlaps, 0);
    for process in [second, scheduler, api] {
        process.stop();
    }
}

async fn a_worker_is_paused(world: &World) {
    let (api, server) = world.api().await;
    let order = MintRequest::of("facebook").expires_in(3600).count(6);
    let minted = world.import(&server, &order).await;
    let scheduler = world.scheduler();
    let first = world.worker("data-1", &[]);
    let all = async |wanted: fn(&GrantView) -> bool| {
        let wanted = |it: &Minted| wanted(&grant(&world.simulator, it));
        minted.iter().all(wanted).then_some(())
    };
    until("its requests are under way", async || {
        all(|it| it.requests == 1).await
    })
    .await;

    first.signal("STOP");
    let second = world.worker("data-2", &[]);
    let before = server.channels_until(is_fresh).await;
    first.signal("CONT");
    let order = MintRequest::of("tiktok").expires_in(0).count(40);
    world.import(&server, &order).await;
    server.channels_until(is_fresh).await;
    first.stop();
    second.stop();

    let credentials = |it: &Value| {
        (
            it["id"].clone(),
            it["generation"].clone(),
            it["expires_at"].clone(),
        )
    };
    let kept: Vec<_> = before.iter().map(credentials).collect();
    let after = server.channels().await;
    let facebook = after.iter().filter(|it| it["provider"] == "facebook");
    assert_eq!(facebook.map(credentials).collect::<Vec<_>>(), kept);
    assert!(kept.iter().all(|it| it.1 == 2), "{kept:?}");
    scheduler.stop();
    api.stop();
}

fn lost(channel: &Value) -> bool {
    channel["state"] == "needs_reauth" && channel["reason"] == "possibly_lost_rotation"
}

fn ids<'v>(channels: impl Iterator<Item = &'v Value>) -> BTreeSet<String> {
    let id = |it: &Value| it["id"].as_str().expect("an id").to_owned();
    channels.map(id).collect()
}

fn grant(simulator: &Simulated, minted: &Minted) -> GrantView {
    simulator.grant(&minted.id, false).expect("it was minted")
}

/// The history says why, in the words of the provider and in ours.
async fn is_told_apart(server: &Server, id: &str) {
    let attempts = server.attempts(id).await;
    let last = &attempts[0];
    assert_eq!(last["outcome"], "reauth_required", "{last}");
    assert_eq!(
        last["details"]["reason"], "possibly_lost_rotation",
        "{last}"
    );
    assert_eq!(last["details"]["provider_code"], "invalid_grant", "{last}");
}
