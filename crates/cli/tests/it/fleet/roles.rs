//! Several of each role at once.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simulator::{Entry, Filter, MintRequest};
use testkit::{Database, Kind};

use super::world::{Import, import, is_fresh};
use super::{World, until};

const CHANNELS: u32 = 320;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_schedulers_and_three_workers_make_one_provider_call_per_channel_and_generation() {
    testkit::run_on(Kind::Postgres, one_call_per_generation).await;
}

async fn one_call_per_generation(database: Database) {
    let world = World::on(database).await;
    let (api, server) = world.api().await;
    let fleet = world.simulator.mint_fleet(CHANNELS);
    import(&server, fleet.iter().map(Import::of).collect()).await;
    let providers: BTreeSet<_> = fleet.iter().map(|minted| minted.provider).collect();
    let refreshable = fleet.iter().filter(|it| it.refreshable);
    let refreshable: BTreeSet<_> = refreshable.map(|it| it.id.clone()).collect();
    assert_eq!(
        providers,
        BTreeSet::from(["facebook", "facturify", "tiktok"])
    );

    let mut running = vec![world.scheduler(), world.scheduler()];
    for name in ["data-1", "data-2", "data-3"] {
        running.push(world.worker(name, &["--concurrency", "8"]));
    }
    server
        .channels_until(|it| {
            let id = it["id"].as_str().expect("an id");
            is_fresh(it) || !refreshable.contains(id) && it["state"] == "never_expires"
        })
        .await;
    // The short tokens of Facturify are refreshed once more, five seconds later.
    server
        .channels_until(|it| it["provider"] != "facturify" || it["generation"] == 3)
        .await;

    let ledger = world.simulator.summary();
    assert_eq!(ledger.repeated, []);
    let faultless = (
        ledger.generations_repeated,
        ledger.generations_doubled,
        ledger.overlaps,
        ledger.reuses,
    );
    assert_eq!(faultless, (0, 0, 0, 0));
    let facturify = fleet.iter().filter(|it| it.provider == "facturify").count();
    let expected = refreshable.len() + facturify;
    assert_eq!(ledger.refreshes, u64::try_from(expected).expect("few"));
    let failed = async || {
        let status = server.get("/api/v1/jobs/status").await.of(200);
        let live = ["jobs_active", "jobs_waiting", "jobs_delayed"];
        let none = live.iter().all(|name| status[name] == 0);
        none.then(|| status["jobs_failed"].clone())
    };
    assert_eq!(until("no job is left", failed).await, 0);
    running.push(api);
    running.into_iter().for_each(crate::harness::Running::stop);
}

testkit::each_database!(s2_12_s2_13_a_worker_has_three_jobs_at_once_and_shows_the_last_ten,);

async fn s2_12_s2_13_a_worker_has_three_jobs_at_once_and_shows_the_last_ten(database: Database) {
    let world = World::slow(150, Some(database))
        .await
        // Two in three answers fail, and here each channel is to spend its own tries.
        .set("TOKENFLEET_BREAKER__MINIMUM", "1000");
    let (up, server) = world.up().await;
    let due = MintRequest::of("tiktok").expires_in(0).count(7);
    world.import(&server, &due).await;
    // Their pause between two tries holds no slot.
    world.import(&server, &due.scenario("status_500:2")).await;

    server.channels_until(is_fresh).await;

    let calls = world.simulator.ledger(&Filter::default());
    assert_eq!(calls.len(), 7 + 3 * 7);
    assert_eq!(most_at_once(&calls), 3);
    let attempts = server.attempts("tiktok-14").await;
    let told = |it: &Value| (it["attempt"].clone(), it["outcome"].clone());
    assert_eq!(
        attempts.iter().map(told).collect::<Vec<_>>(),
        [
            (json!(3), json!("refreshed")),
            (json!(2), json!("retryable")),
            (json!(1), json!("retryable")),
        ]
    );
    let shown = until("what is not kept is trimmed", async || {
        let jobs = server
            .get("/api/v1/tenants/acme/jobs?state=completed")
            .await;
        let jobs = jobs.of(200)["items"].as_array().map(Vec::len);
        (jobs <= Some(10)).then_some(jobs)
    })
    .await;
    assert_eq!(shown, Some(10));
    let status = server.get("/api/v1/tenants/acme/jobs/status").await.of(200);
    assert_eq!(status["jobs_completed"], 14, "{status}");
    up.stop();
}

/// The most calls that were under way at the same time.
fn most_at_once(calls: &[Entry]) -> usize {
    let under_way = |at: i64| {
        let spans = |it: &&Entry| it.started_ms <= at && at < it.finished_ms;
        calls.iter().filter(spans).count()
    };
    let counts = calls.iter().map(|it| under_way(it.started_ms));
    counts.max().unwrap_or_default()
}
