//! Redis forgets everything, or goes away, in the middle of a run.

use simulator::MintRequest;
use testkit::redis::Data;
use testkit::{Database, Kind};

use super::server::channel_path;
use super::world::is_fresh;
use super::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_flush_all_channels_are_refreshed_and_a_waiting_caller_gets_its_answer() {
    testkit::run_on(Kind::Postgres, flushed).await;
}

async fn flushed(database: Database) {
    let world = World::slow(100, Some(database)).await;
    let (api, server) = world.api().await;
    // Short-lived, so that what was handed out comes back after 15 s.
    let due = MintRequest::of("facebook").expires_in(60).count(60);
    world.import(&server, &due).await;
    world
        .import(&server, &MintRequest::of("tiktok").expires_in(0).count(40))
        .await;
    let asked = world.import(&server, &MintRequest::of("tiktok")).await;
    let scheduler = world.scheduler();
    let of_facebook = ["--queue", "refresh:facebook", "--concurrency", "2"];
    let first = world.worker("data-1", &of_facebook);
    let caller = tokio::spawn({
        let server = server.clone();
        let path = format!("{}/refresh?wait=60", channel_path(&asked[0].id));
        async move { server.post(&path).await }
    });
    until("the run is in its middle", async || {
        let waiting = server.get("/api/v1/tenants/acme/jobs/status").await.of(200);
        let of_caller = format!("/api/v1/tenants/acme/jobs?channel={}", asked[0].id);
        let of_caller = server.get(&of_caller).await.of(200);
        let underway = waiting["jobs_waiting"].as_u64() >= Some(50)
            && world.simulator.summary().refreshes >= 5
            && of_caller["items"][0]["state"] == "waiting";
        underway.then_some(())
    })
    .await;

    flush(&world).await;
    let second = world.worker("data-2", &["--concurrency", "8"]);
    let answer = caller.await.expect("the caller does not panic").of(200);
    server.channels_until(is_fresh).await;

    assert_eq!(
        (&answer["success"], &answer["refreshed"]),
        (&true.into(), &true.into()),
        "{answer}"
    );
    let ledger = world.simulator.summary();
    assert_eq!(
        (ledger.reuses, ledger.overlaps, ledger.generations_doubled),
        (0, 0, 0)
    );
    for process in [first, second, scheduler, api] {
        process.stop();
    }
}

pub(super) async fn flush(world: &World) {
    let redis = world.redis.as_ref().expect("this world has one");
    let mut connection = redis.connection().await.expect("it answers");
    let flushed = redis::cmd("FLUSHALL")
        .query_async::<()>(&mut connection)
        .await;
    flushed.expect("it may be flushed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_goes_on_when_redis_is_back_and_reads_answer_meanwhile() {
    testkit::run_on(Kind::Sqlite, away_and_back).await;
}

async fn away_and_back(database: Database) {
    let mut world = World::slow(100, Some(database)).await;
    let (up, server) = world.up().await;
    let due = MintRequest::of("tiktok").expires_in(0).count(60);
    world.import(&server, &due).await;
    until("the run is in its middle", async || {
        (world.simulator.summary().refreshes >= 5).then_some(())
    })
    .await;

    let redis = world.redis.as_mut().expect("this world has one");
    redis.halt(Data::Kept).await.expect("it saves");
    let degraded = until("it is told that Redis is away", async || {
        let ready = server.get("/readyz").await;
        (ready.status == 503).then(|| ready.json())
    })
    .await;
    let channels = server.channels().await;
    redis.resume().await.expect("it comes back");
    server.channels_until(is_fresh).await;

    assert_eq!(degraded["status"], "degraded", "{degraded}");
    assert_eq!(channels.len(), 60);
    until("it is told that Redis is back", async || {
        (server.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    let ledger = world.simulator.summary();
    assert_eq!((ledger.reuses, ledger.generations_doubled), (0, 0));
    up.stop();
}
