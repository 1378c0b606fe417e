//! What passes by itself, what only a person can mend, and what the operator must.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simulator::{Faults, MintRequest};
use testkit::Database;

use super::server::channel_path;
use super::world::{Import, import, is_fresh};
use super::{World, until};

testkit::each_database!(
    transient_faults_are_tried_again_until_everything_is_fresh,
    a_revoked_grant_needs_a_person_and_says_why,
    a_wrong_app_secret_condemns_no_channel,
);

async fn transient_faults_are_tried_again_until_everything_is_fresh(database: Database) {
    let world = World::on(database).await;
    let world = world
        .set("TOKENFLEET_WORKER__MAX_ATTEMPTS", "25")
        .set("TOKENFLEET_WORKER__RETRY_CAP", "1s")
        .set("TOKENFLEET_WORKER__CONCURRENCY", "16");
    set_faults(
        &world,
        "status_500=0.3, status_429=0.1, cut_before_commit=0.1",
    );
    let (up, server) = world.up().await;
    let fleet = world.simulator.mint_fleet(79);
    assert!(fleet.iter().filter(|it| !it.refreshable).count() <= 1);

    import(&server, fleet.iter().map(Import::of).collect()).await;
    let channels = server
        .channels_until(|it| is_fresh(it) || it["state"] == "never_expires")
        .await;

    let retried = attempts_named(&server, &channels, "retryable").await;
    let throttled = attempts_named(&server, &channels, "rate_limited").await;
    assert!(
        !retried.is_empty() && !throttled.is_empty(),
        "{retried:?} {throttled:?}"
    );
    let ledger = world.simulator.summary();
    assert!(ledger.generations_repeated > 0);
    assert_eq!((ledger.reuses, ledger.generations_doubled), (0, 0));
    let statistics = "/api/v1/tenants/acme/refresh/statistics";
    let statistics = server.get(statistics).await.of(200)["statistics"].clone();
    assert_eq!(statistics["failed_24h"], 0, "{statistics}");
    up.stop();
}

async fn a_revoked_grant_needs_a_person_and_says_why(database: Database) {
    let world = World::on(database).await;
    let (up, server) = world.up().await;
    let due = |provider| MintRequest::of(provider).expires_in(300);
    let tiktok = world
        .import(&server, &due("tiktok").scenario("invalid_grant"))
        .await;
    let facebook = world
        .import(&server, &due("facebook").scenario("190_460"))
        .await;
    let key = json!({ "api_key": "key_auth_401-x", "api_secret": "secret_auth_401-x" });

    import(&server, vec![Import::new("facturas", "facturify", &key)]).await;
    // The others are due at once, by policy.
    let refresh = format!("{}/refresh", channel_path(&tiktok[0].id));
    server.post(&refresh).await.of(200);

    for id in [tiktok[0].id.as_str(), facebook[0].id.as_str(), "facturas"] {
        let channel = server
            .channel_until(id, |it| it["state"] == "needs_reauth")
            .await;
        assert!(channel["reason"].is_string(), "{channel}");
        assert_ne!(channel["reason"], "possibly_lost_rotation", "{channel}");
        assert_eq!(
            channel["last_error"]["error"], "reauth_required",
            "{channel}"
        );
        assert_eq!(channel["generation"], 1, "{channel}");
    }
    let facturas = server.channel("facturas").await;
    assert_eq!(facturas["reason"], "bad_credentials", "{facturas}");
    let calls = world.simulator.summary().requests;
    assert_eq!(server.post(&refresh).await.status, 409);
    assert_eq!(
        world.simulator.summary().requests,
        calls,
        "nobody is asked again"
    );
    up.stop();
}

async fn a_wrong_app_secret_condemns_no_channel(database: Database) {
    let world = World::on(database).await;
    set_faults(&world, "facebook.invalid_client, tiktok.invalid_client");
    let (up, server) = world.up().await;
    let tiktok = MintRequest::of("tiktok").expires_in(0).count(5);
    let facebook = MintRequest::of("facebook").expires_in(3600).count(5);
    let minted = [
        world.import(&server, &tiktok).await,
        world.import(&server, &facebook).await,
    ]
    .concat();
    let ids: BTreeSet<String> = minted.iter().map(|it| it.id.clone()).collect();

    let open = until("both apps are left alone", async || {
        let breakers = server.get("/api/v1/breakers").await.of(200)["items"].clone();
        let open = |it: &Value| it["state"] == "open" && it["incident"]["why"] == "misconfigured";
        let all = breakers.as_array().expect("a list").clone();
        (all.len() == 2 && all.iter().all(open)).then_some(all)
    })
    .await;
    let refused = server.channels().await;
    set_faults(&world, "");
    let batch = json!({ "channel_ids": ids });
    let path = "/api/v1/tenants/acme/channels/refresh?wait=60";
    let recovered = server.post_json(path, &batch).await.of(200);

    assert!(
        refused.iter().all(|it| it["state"] == "active"),
        "{refused:#?}"
    );
    let named = open.iter().map(|it| it["app_identity"].as_str());
    assert!(
        named.clone().any(|it| it == Some("tiktok:aw123fake")),
        "{open:?}"
    );
    assert_eq!(
        (&recovered["succeeded"], &recovered["failed"]),
        (&json!(10), &json!(0))
    );
    let channels = server.channels_until(is_fresh).await;
    assert!(
        channels.iter().all(|it| it["last_error"].is_null()),
        "{channels:#?}"
    );
    until("no job is left", async || {
        let status = server.get("/api/v1/jobs/status").await.of(200);
        let live = ["jobs_active", "jobs_waiting"].map(|name| status[name].clone());
        (live == [json!(0), json!(0)]).then_some(())
    })
    .await;
    up.stop();
}

fn set_faults(world: &World, faults: &str) {
    let faults: Faults = faults.parse().expect("faults that exist");
    world.simulator.set_faults(faults);
}

/// The channels that have an attempt with this outcome.
async fn attempts_named(
    server: &super::Server,
    channels: &[Value],
    outcome: &str,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for channel in channels {
        let id = channel["id"].as_str().expect("an id");
        let attempts = server.attempts(id).await;
        if attempts.iter().any(|it| it["outcome"] == outcome) {
            found.insert(id.to_owned());
        }
    }
    found
}
