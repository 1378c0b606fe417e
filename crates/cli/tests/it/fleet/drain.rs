//! SIGTERM and cancellation while requests are under way.

use serde_json::{Value, json};
use simulator::MintRequest;
use testkit::Database;

use super::world::is_fresh;
use super::{World, until};

testkit::each_database!(
    a_worker_that_is_asked_to_end_stores_every_answer_and_gives_the_rest_back,
    a_job_that_is_cancelled_before_its_turn_at_the_provider_sends_nothing,
);

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

async fn a_job_that_is_cancelled_before_its_turn_at_the_provider_sends_nothing(database: Database) {
    let world = World::slow(3000, Some(database)).await;
    let (api, server) = world.api().await;
    let scheduler = world.scheduler();
    let worker = world.worker("data-1", &["--concurrency", "1"]);
    let due = MintRequest::of("tiktok").expires_in(0).count(2);
    let minted = world.import(&server, &due).await;
    let is_asked = |id: &str| {
        let grant = world.simulator.grant(id, false);
        grant.is_some_and(|grant| grant.requests > 0)
    };
    let waiting = until("one asks, and one waits for its turn", async || {
        let jobs = server.get("/api/v1/tenants/acme/jobs?state=active").await;
        let jobs = jobs.of(200)["items"].as_array()?.clone();
        let waiting = minted.iter().find(|it| !is_asked(&it.id))?;
        let its = |job: &&Value| job["channel_id"] == json!(waiting.id);
        let job = jobs.iter().find(its)?["id"].as_str()?.to_owned();
        (jobs.len() == 2).then_some((job, waiting.id.clone()))
    })
    .await;

    let (job, channel) = &waiting;
    server.delete(&format!("/api/v1/jobs/{job}")).await.of(202);

    until("the job is cancelled", async || {
        let job = server.get(&format!("/api/v1/jobs/{job}")).await.of(200);
        (job["state"] == "cancelled").then_some(())
    })
    .await;
    assert!(!is_asked(channel), "nothing was sent for it");
    let attempts = server.attempts(channel).await;
    assert_eq!(attempts[0]["outcome"], "cancelled", "{attempts:?}");
    for process in [worker, scheduler, api] {
        process.stop();
    }
}
