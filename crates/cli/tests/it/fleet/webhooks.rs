//! S5.4: transitions reach the tenants' own receivers, signed, at least once.

pub(super) mod receiver;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use simulator::MintRequest;
use testkit::Database;
use tokio::task::block_in_place;

use super::{Server, World, until};
use crate::harness::Running;

use receiver::{Conduct, Receiver};

testkit::each_database!(
    s5_4_a_transition_is_told_once_signed_and_without_a_secret,
    s5_4_what_a_receiver_refuses_is_told_again_under_the_same_id,
    s5_4_receivers_that_misbehave_are_named_and_disturb_nobody_else,
    s5_4_a_replay_tells_again_and_revives_a_disabled_webhook,
    s5_4_what_was_not_told_when_the_process_was_killed_is_told_afterwards,
);

const WEBHOOKS: &str = "/api/v1/tenants/acme/webhooks";

/// A world whose webhooks may come here, and are tried again soon.
async fn world(database: Database) -> World {
    let world = World::on(database).await;
    world
        .set("TOKENFLEET_WEBHOOKS__ALLOW_PRIVATE", "true")
        .set("TOKENFLEET_WEBHOOKS__RETRY_BASE", "100ms")
        .set("TOKENFLEET_WEBHOOKS__TIMEOUT", "1s")
}

/// A webhook of `acme`: its id and its secret.
async fn webhook(server: &Server, url: &str, events: &[&str]) -> (String, String) {
    let body = json!({ "url": url, "events": events });
    let made = server.post_json(WEBHOOKS, &body).await.of(201);
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    (text("id"), text("secret"))
}

/// A channel whose grant was revoked: `channel.needs_reauth` as soon as it is refreshed.
async fn revoked(world: &World, server: &Server) -> String {
    let order = MintRequest::of("tiktok").scenario("invalid_grant");
    let minted = world.import(server, &order.expires_in(0)).await;
    minted[0].id.clone()
}

async fn shown(server: &Server, id: &str) -> Value {
    server.get(&format!("{WEBHOOKS}/{id}")).await.of(200)
}

async fn webhook_until(server: &Server, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until("the webhook is as wanted", async || {
        let webhook = shown(server, id).await;
        wanted(&webhook).then_some(webhook)
    })
    .await
}

async fn s5_4_a_transition_is_told_once_signed_and_without_a_secret(database: Database) {
    let world = world(database).await.set("TOKENFLEET_LOG", "trace");
    let (up, server) = world.up().await;
    let receiver = Receiver::start().await;
    let url = receiver.url("/told?key=needle-in-a-url");
    let (id, secret) = webhook(&server, &url, &["channel.needs_reauth"]).await;
    let (every, _) = webhook(&server, &receiver.url("/every"), &["channel.refreshed"]).await;

    let order = MintRequest::of("tiktok").expires_in(0);
    let good = world.import(&server, &order).await.remove(0).id;
    let channel = revoked(&world, &server).await;
    let told = receiver.await_on("/told", 1).await.remove(0);
    let refreshed = receiver.await_on("/every", 1).await.remove(0);

    told.verify(&secret);
    let body = told.json();
    let expected = json!({
        "type": "channel.needs_reauth",
        "timestamp": body["timestamp"],
        "data": {
            "tenant_id": "acme", "channel_id": channel, "provider": "tiktok",
            "state": "needs_reauth", "reason": body["data"]["reason"],
            "generation": 1, "expires_at": body["data"]["expires_at"],
        },
    });
    assert_eq!(body, expected);
    assert!(body["data"]["reason"].is_string(), "{body}");
    assert_eq!(refreshed.json()["data"]["channel_id"], json!(good));
    for id in [&id, &every] {
        let told = webhook_until(&server, id, |it| it["delivered"] == 1).await;
        assert_eq!(
            (&told["state"], &told["pending"]),
            (&json!("active"), &json!(0))
        );
    }
    assert_eq!(receiver.on("/told").len(), 1);
    let listed = server.get(WEBHOOKS).await.of(200).to_string();
    let said = up.said();
    let sealed = secret.trim_start_matches("whsec_");
    assert!(!listed.contains(sealed) && !said.contains(sealed));
    assert!(!said.contains("needle-in-a-url"), "a URL may hold a secret");
    assert_eq!(server.delete(&format!("{WEBHOOKS}/{id}")).await.status, 204);
    assert_eq!(server.get(&format!("{WEBHOOKS}/{id}")).await.status, 404);
    up.stop();
}

async fn s5_4_what_a_receiver_refuses_is_told_again_under_the_same_id(database: Database) {
    let world = world(database).await;
    let (up, server) = world.up().await;
    let receiver = Receiver::start().await;
    receiver.conduct("/in", &[Conduct::Status(500), Conduct::Status(400)]);
    let (id, secret) = webhook(&server, &receiver.url("/in"), &["channel.needs_reauth"]).await;

    revoked(&world, &server).await;
    let tries = receiver.await_on("/in", 3).await;

    let webhook = webhook_until(&server, &id, |it| it["delivered"] == 1).await;
    assert_eq!(webhook["failing_since"], Value::Null);
    for one in &tries {
        one.verify(&secret);
        assert_eq!((one.id(), &one.body), (tries[0].id(), &tries[0].body));
    }
    assert_eq!(receiver.on("/in").len(), 3);
    up.stop();
}

async fn s5_4_receivers_that_misbehave_are_named_and_disturb_nobody_else(database: Database) {
    let world = world(database).await;
    let world = world.set("TOKENFLEET_WEBHOOKS__MAX_ATTEMPTS", "2");
    let (up, server) = world.up().await;
    let receiver = Receiver::start().await;
    let trap = receiver.url("/trap");
    receiver.conduct("/hangs", &[Conduct::Hang, Conduct::Hang]);
    receiver.conduct("/gone", &[Conduct::Status(410)]);
    receiver.conduct("/redirects", &[Conduct::Redirect(trap), Conduct::Metadata]);
    let kinds = ["channel.needs_reauth", "webhook.disabled"];
    let mut ids = BTreeMap::new();
    for path in ["/hangs", "/gone", "/redirects"] {
        ids.insert(
            path,
            webhook(&server, &receiver.url(path), &kinds[..1]).await.0,
        );
    }
    let garbage = receiver::garbage().await;
    ids.insert("garbage", webhook(&server, &garbage, &kinds[..1]).await.0);
    let (good, secret) = webhook(&server, &receiver.url("/good"), &kinds).await;

    revoked(&world, &server).await;
    let told = receiver.await_on("/good", 2).await;

    for one in &told {
        one.verify(&secret);
    }
    assert_eq!(told[1].json()["type"], json!("webhook.disabled"));
    let expected = json!({ "tenant_id": "acme", "webhook_id": ids["/gone"], "reason": "gone" });
    assert_eq!(told[1].json()["data"], expected);
    let mut named = BTreeMap::new();
    for (path, id) in &ids {
        let given_up = webhook_until(&server, id, |it| it["given_up"] == 1).await;
        named.insert(
            *path,
            (given_up["state"].clone(), given_up["last_error"].clone()),
        );
    }
    let failing = |error: &str| (json!("failing"), json!(error));
    let expected = BTreeMap::from([
        ("/gone", (json!("disabled"), json!("gone"))),
        ("/hangs", failing("no_answer")),
        ("/redirects", failing("redirect_not_followed")),
        ("garbage", failing("no_answer")),
    ]);
    assert_eq!(named, expected);
    assert_eq!(receiver.on("/trap").len(), 0);
    assert_eq!(shown(&server, &good).await["given_up"], json!(0));
    up.stop();
}

async fn s5_4_a_replay_tells_again_and_revives_a_disabled_webhook(database: Database) {
    let world = world(database).await;
    let (up, server) = world.up().await;
    let site = world.site.env("TOKENFLEET_SERVER", up.url());
    let receiver = Receiver::start().await;
    receiver.conduct("/in", &[Conduct::Status(410)]);
    let url = receiver.url("/in");
    let create = [
        "webhook",
        "create",
        "acme",
        &url,
        "--event",
        "channel.needs_reauth",
    ];
    let made = block_in_place(|| site.json(&create));
    let (id, secret) = (made["id"].as_str().expect("an id"), made["secret"].as_str());
    let since = made["created_at"].as_str().expect("a time");
    let order = MintRequest::of("tiktok")
        .scenario("invalid_grant")
        .expires_in(0);
    let minted = world.simulator.mint(&order).expect("a sensible order");
    super::world::import(&server, vec![super::world::Import::of(&minted[0])]).await;
    webhook_until(&server, id, |it| it["state"] == "disabled").await;

    let replay = ["webhook", "replay", "acme", id, "--since", since];
    let queued = block_in_place(|| site.json(&replay));

    let tries = receiver.await_on("/in", 2).await;
    assert_eq!(queued, json!({ "queued": 1, "next_since": null }));
    tries[1].verify(secret.expect("it is shown once"));
    assert_eq!(tries[0].id(), tries[1].id());
    let webhook = webhook_until(&server, id, |it| it["delivered"] == 1).await;
    assert_eq!(webhook["state"], json!("active"));
    let listed = block_in_place(|| site.ok(&["webhook", "list", "acme"]));
    assert!(listed.contains("active"), "{listed}");
    block_in_place(|| site.ok(&["webhook", "delete", "acme", id]));
    up.stop();
}

async fn s5_4_what_was_not_told_when_the_process_was_killed_is_told_afterwards(database: Database) {
    let world = world(database).await.set("TOKENFLEET_QUEUE__LEASE", "5s");
    let (mut up, server) = world.up().await;
    let receiver = Receiver::start().await;
    receiver.conduct("/in", &[Conduct::Hang]);
    let (_, secret) = webhook(&server, &receiver.url("/in"), &["channel.needs_reauth"]).await;
    revoked(&world, &server).await;
    receiver.await_on("/in", 1).await;

    kill(&mut up);
    let (up, _) = world.up_again();

    let tries = receiver.await_on("/in", 2).await;
    tries[1].verify(&secret);
    assert_eq!(tries[0].id(), tries[1].id());
    up.stop();
}

fn kill(process: &mut Running) {
    process.signal("KILL");
    process.wait();
}
