//! SIGTERM while requests are under way.

use serde_json::json;
use simulator::MintRequest;
use testkit::Database;

use super::world::is_fresh;
use super::{World, until};

testkit::each_database!(a_worker_that_is_asked_to_end_stores_every_answer_and_gives_the_rest_back);

const CHANNELS: u32 = 16;

async fn a_worker_that_is_asked_to_end_stores_every_answer_and_gives_the_rest_back(
    database: Database,
) {
    let world = World::slow(1500, Some(database)).await;
    let (api, server) = world.api().await;
    let due = MintRequest::of("tiktok").expires_in(0).count(CHANNELS);
    let minted = world.import(&server, &due).await;
    let scheduler = world.scheduler();
    let mut first = world.worker("data-1", &["--concurrency", "3"]);
    let requests = || {
        let requests = |id: &str| world.simulator.grant(id, false).map(|it| it.requests);
        minted.iter().filter_map(|it| requests(&it.id)).sum::<u64>()
    };
    until("requests are under way", async || {
        (requests() >= 3).then_some(())
    })
    .await;

    first.signal("TERM");
    let code = first.wait();

    assert_eq!(code, Some(0), "{}", first.said());
    let sent = requests();
    assert!(sent < u64::from(CHANNELS), "it was stopped before the end");
    let stored = server
        .channels()
        .await
        .iter()
        .filter(|it| is_fresh(it))
        .count();
    assert_eq!(
        u64::try_from(stored),
        Ok(sent),
        "every request that left was stored"
    );
    let status = server.get("/api/v1/tenants/acme/jobs/status").await.of(200);
    assert_eq!(status["jobs_active"], 0, "{status}");
    assert_eq!(
        status["jobs_waiting"],
        u64::from(CHANNELS) - sent,
        "{status}"
    );

    let second = world.worker("data-2", &["--concurrency", "16"]);
    server.channels_until(is_fresh).await;
    for minted in &minted {
        let attempts = server.attempts(&minted.id).await;
        let told: Vec<_> = attempts
            .iter()
            .map(|it| (&it["attempt"], &it["outcome"]))
            .collect();
        assert_eq!(told, [(&json!(1), &json!("refreshed"))], "{}", minted.id);
    }
    let ledger = world.simulator.summary();
    assert_eq!(ledger.repeated, []);
    assert_eq!((ledger.requests, ledger.overlaps), (u64::from(CHANNELS), 0));
    for process in [second, scheduler, api] {
        process.stop();
    }
}
