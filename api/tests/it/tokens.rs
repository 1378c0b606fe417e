//! S5.2 and S5.3: valid tokens on demand, against a real worker and strict providers.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use simulator::MintRequest;
use testkit::Database;
use testkit::redis::Data;

use crate::fleet::Fleet;
use crate::world::{Answer, World, problem, reveal, send, settings};

testkit::each_database!(
    s5_2_a_token_that_lives_long_enough_is_given_as_it_is_and_nobody_is_asked,
    s5_2_a_token_that_ends_too_soon_is_refreshed_first,
    s5_2_a_thousand_concurrent_reads_of_one_expiring_channel_are_one_provider_call,
    s5_2_a_wish_beyond_half_of_the_lifetime_does_not_refresh_again_and_again,
    s5_2_a_living_token_is_given_as_degraded_while_the_provider_is_down,
    s5_2_a_provider_that_fails_is_not_asked_by_every_reader,
    s5_2_without_a_living_token_a_provider_that_is_down_is_a_503,
    s5_2_what_only_a_person_can_help_is_a_409_unless_its_token_still_lives,
    s5_2_a_paused_channel_gives_its_token_and_is_not_refreshed,
    s5_2_a_token_without_an_end_is_given_without_a_time,
    s5_2_many_tokens_are_given_each_for_itself,
    s5_2_living_tokens_are_given_while_redis_is_away,
    s5_3_a_reported_token_is_refreshed_once_per_generation,
    s5_3_only_a_generation_that_was_handed_out_can_be_reported,
    wrong_input_for_tokens_is_named,
    s5_2_a_tenant_that_is_deleted_gives_no_token_from_then_on,
);

const CHANNELS: &str = "/api/v1/tenants/t1/channels";

async fn fleet(database: Database) -> Fleet {
    let fleet = Fleet::start(database).await;
    fleet.world.tenant("t1").await;
    fleet
}

async fn token(world: &World, channel: &str, query: &str) -> Answer {
    let path = format!("{CHANNELS}/{channel}/token{query}");
    reveal(world.request(Method::GET, &path)).await
}

async fn s5_2_a_token_that_lives_long_enough_is_given_as_it_is_and_nobody_is_asked(
    database: Database,
) {
    let fleet = fleet(database).await;
    let order = MintRequest::of("tiktok").expires_in(3600);
    let credentials = fleet.import("a", &order).await;

    let answer = token(&fleet.world, "a", "").await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["access_token"], credentials["access_token"]);
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(body["generation"], 1);
    assert!((3500..=3600).contains(&body["ttl"].as_i64().unwrap()));
    assert!(body["expires_at"].is_string());
    assert_eq!(body.as_object().unwrap().len(), 5, "{body}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(fleet.sim.summary().requests, 0);

    let etag = answer.header("etag").to_owned();
    let path = format!("{CHANNELS}/a/token");
    let again = fleet.world.request(Method::GET, &path);
    let again = reveal(again.header("if-none-match", &etag)).await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(again.header("etag"), etag);
    assert_eq!(again.header("cache-control"), "no-store");
}

async fn s5_2_a_token_that_ends_too_soon_is_refreshed_first(database: Database) {
    let fleet = fleet(database).await;
    let order = MintRequest::of("tiktok").expires_in(200);
    let credentials = fleet.import("a", &order).await;

    let enough = token(&fleet.world, "a", "?min_ttl=60").await;
    let fresh = token(&fleet.world, "a", "?min_ttl=300").await;

    assert_eq!(enough.json()["access_token"], credentials["access_token"]);
    let fresh = fresh.json();
    assert_eq!(fresh["generation"], 2, "{fresh}");
    assert_ne!(fresh["access_token"], credentials["access_token"]);
    assert!(fresh["ttl"].as_i64().unwrap() > 7000, "{fresh}");
    assert_eq!(fresh.get("degraded"), None);
    assert_eq!(fleet.sim.summary().refreshes, 1);
}

async fn s5_2_a_thousand_concurrent_reads_of_one_expiring_channel_are_one_provider_call(
    database: Database,
) {
    let fleet = fleet(database).await;
    let order = MintRequest::of("tiktok").expires_in(5);
    fleet.import("a", &order).await;

    let reads = (0..1000).map(|_| token(&fleet.world, "a", "?min_ttl=60"));
    let answers = join_all(reads).await;

    let first = answers[0].json()["access_token"].clone();
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = answer.json();
        assert_eq!(body["generation"], 2, "{body}");
        assert_eq!(body["access_token"], first);
    }
    let summary = fleet.sim.summary();
    assert_eq!((summary.requests, summary.refreshes), (1, 1));
}

async fn s5_2_a_wish_beyond_half_of_the_lifetime_does_not_refresh_again_and_again(
    database: Database,
) {
    let fleet = fleet(database).await;
    let order = MintRequest::of("tiktok").expires_in(60);
    fleet.import("a", &order).await;

    for _ in 0..5 {
        let answer = token(&fleet.world, "a", "?min_ttl=86400").await;
        assert_eq!(answer.json()["generation"], 2, "{}", answer.text);
    }

    assert_eq!(fleet.sim.summary().refreshes, 1);
}

async fn s5_2_a_living_token_is_given_as_degraded_while_the_provider_is_down(database: Database) {
    let fleet = fleet(database).await;
    let order = MintRequest::of("tiktok").expires_in(200);
    let credentials = fleet.import("a", &order).await;
    let healthy = token(&fleet.world, "a", "").await;
    fleet.sim.set_down("tiktok", true).unwrap();

    let answer = token(&fleet.world, "a", "?min_ttl=300").await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["access_token"], credentials["access_token"]);
    assert_eq!(
        (&body["degraded"], &body["generation"]),
        (&json!(true), &json!(1))
    );
    assert_ne!(answer.header("etag"), healthy.header("etag"));
}

async fn s5_2_a_provider_that_fails_is_not_asked_by_every_reader(database: Database) {
    let fleet = fleet(database).await;
    let order = MintRequest::of("tiktok").expires_in(200);
    let order = order.scenario("invalid_client_200");
    fleet.import("a", &order).await;
    token(&fleet.world, "a", "?min_ttl=300").await;
    let asked = fleet.sim.summary().requests;

    for _ in 0..20 {
        let answer = token(&fleet.world, "a", "?min_ttl=300").await;
        assert_eq!(answer.json()["degraded"], true, "{}", answer.text);
    }

    assert_eq!(fleet.sim.summary().requests, asked);
}

async fn s5_2_without_a_living_token_a_provider_that_is_down_is_a_503(database: Database) {
    let fleet = fleet(database).await;
    fleet.sim.set_down("tiktok", true).unwrap();
    let order = MintRequest::of("tiktok").expires_in(0);
    fleet.import("a", &order).await;

    let answer = token(&fleet.world, "a", "").await;

    assert_eq!(answer.problem(), problem(503, "no_valid_token", &[]));
    let pause: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=3600).contains(&pause), "{pause}");
}

async fn s5_2_what_only_a_person_can_help_is_a_409_unless_its_token_still_lives(
    database: Database,
) {
    let fleet = fleet(database).await;
    let world = &fleet.world;
    for (id, expires_in) in [("alive", 200), ("dead", 0)] {
        let order = MintRequest::of("tiktok").expires_in(expires_in);
        let order = order.scenario("invalid_grant_400");
        fleet.import(id, &order).await;
    }

    let alive = token(world, "alive", "?min_ttl=300").await;
    let dead = token(world, "dead", "").await;

    let body = alive.json();
    assert_eq!(
        (&body["degraded"], &body["generation"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(dead.problem(), problem(409, "channel_needs_reauth", &[]));
    // It is in needs_reauth by now, and nobody is asked again.
    let asked = fleet.sim.summary().requests;
    let again = token(world, "alive", "").await.json();
    assert_eq!(again["degraded"], true);
    assert_eq!(fleet.sim.summary().requests, asked);
}

async fn s5_2_a_paused_channel_gives_its_token_and_is_not_refreshed(database: Database) {
    let fleet = fleet(database).await;
    let order = MintRequest::of("tiktok").expires_in(200);
    fleet.import("a", &order).await;
    let path = format!("{CHANNELS}/a");
    fleet.world.patch_json(&path, json!({"paused": true})).await;

    let enough = token(&fleet.world, "a", "").await.json();
    let ending = token(&fleet.world, "a", "?min_ttl=300").await.json();

    assert_eq!(
        (&enough["generation"], enough.get("degraded")),
        (&json!(1), None)
    );
    assert_eq!(
        (&ending["generation"], &ending["degraded"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(fleet.sim.summary().requests, 0);
}

async fn s5_2_a_token_without_an_end_is_given_without_a_time(database: Database) {
    let fleet = fleet(database).await;
    let mut order = MintRequest::of("whatsapp");
    order.never_expires = true;
    let credentials = fleet.import("a", &order).await;

    let answer = token(&fleet.world, "a", "?min_ttl=600").await;

    let body = answer.json();
    assert_eq!(body["access_token"], credentials["access_token"], "{body}");
    assert_eq!(
        (&body["expires_at"], &body["ttl"]),
        (&Value::Null, &Value::Null)
    );
}

async fn s5_2_many_tokens_are_given_each_for_itself(database: Database) {
    let fleet = fleet(database).await;
    let world = &fleet.world;
    let order = MintRequest::of("tiktok").expires_in(3600);
    let living = fleet.import("living", &order).await;
    let order = MintRequest::of("tiktok").expires_in(30);
    fleet.import("ending", &order).await;
    let order = MintRequest::of("tiktok").expires_in(0);
    let order = order.scenario("invalid_grant_400");
    fleet.import("dead", &order).await;

    let ids = json!(["ending", "nobody", "dead", "living", "no name"]);
    let body = json!({"channel_ids": ids, "min_ttl": 120});
    let path = format!("{CHANNELS}/tokens");
    let answer = reveal(world.request(Method::POST, &path).json(&body)).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let items = answer.json()["items"].clone();
    assert_eq!(items[0]["generation"], 2, "{items}");
    assert_eq!(
        items[1],
        json!({"channel_id": "nobody", "error": "not_found"})
    );
    let dead = json!({"channel_id": "dead", "error": "channel_needs_reauth"});
    assert_eq!(items[2], dead);
    assert_eq!(items[3]["access_token"], living["access_token"]);
    assert_eq!(
        items[4],
        json!({"channel_id": "no name", "error": "not_found"})
    );
}

async fn s5_2_living_tokens_are_given_while_redis_is_away(database: Database) {
    let mut fleet = fleet(database).await;
    let order = MintRequest::of("tiktok").expires_in(100);
    let credentials = fleet.import("a", &order).await;
    fleet.world.redis.halt(Data::Lost).await.unwrap();

    let enough = token(&fleet.world, "a", "?min_ttl=10").await;
    let ending = token(&fleet.world, "a", "?min_ttl=600").await;

    assert_eq!(enough.status, 200, "{}", enough.text);
    assert_eq!(enough.json()["access_token"], credentials["access_token"]);
    assert_eq!(enough.json().get("degraded"), None);
    assert_eq!(ending.json()["degraded"], true, "{}", ending.text);
}

async fn s5_3_a_reported_token_is_refreshed_once_per_generation(database: Database) {
    let fleet = fleet(database).await;
    let world = &fleet.world;
    let order = MintRequest::of("tiktok").expires_in(3600);
    fleet.import("a", &order).await;
    let path = format!("{CHANNELS}/a/token/report");
    let report = |generation: i64| world.post_json(&path, json!({"generation": generation}));

    let all = join_all((0..10).map(|_| report(1))).await;

    let first: Vec<&Answer> = all.iter().filter(|answer| answer.status == 202).collect();
    assert_eq!(first.len(), 1);
    assert!(first[0].json()["job_id"].is_string());
    for other in all.iter().filter(|answer| answer.status != 202) {
        let told = other.json();
        let stale = json!({"stale": true, "generation": 2});
        assert!(
            told == json!({"already_reported": true}) || told == stale,
            "{told}"
        );
    }
    world
        .until(&format!("{CHANNELS}/a"), |it| it.json()["generation"] == 2)
        .await;
    let stale = report(1).await;
    assert_eq!(stale.status, 200);
    assert_eq!(stale.json(), json!({"stale": true, "generation": 2}));
    assert_eq!(fleet.sim.summary().refreshes, 1);
}

async fn s5_3_only_a_generation_that_was_handed_out_can_be_reported(database: Database) {
    let fleet = fleet(database).await;
    let order = MintRequest::of("tiktok").expires_in(3600);
    fleet.import("a", &order).await;
    let path = format!("{CHANNELS}/a/token/report");

    for generation in [-1, 0, 2] {
        let body = json!({"generation": generation});
        let answer = fleet.world.post_json(&path, body).await;
        assert_eq!(
            answer.problem(),
            problem(422, "invalid_input", &["generation"])
        );
    }
}

async fn wrong_input_for_tokens_is_named(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 3600).await;

    for min_ttl in ["-1", "86401", "x", "1.5"] {
        let answer = token(&world, "a", &format!("?min_ttl={min_ttl}")).await;
        assert_eq!(
            answer.problem(),
            problem(422, "invalid_input", &["min_ttl"])
        );
    }
    let unknown = token(&world, "a", "?ttl=1").await;
    assert_eq!(unknown.problem(), problem(422, "invalid_input", &["ttl"]));
    for gone in ["b", "a%20b"] {
        let answer = token(&world, gone, "").await;
        assert_eq!(answer.problem(), problem(404, "not_found", &[]));
    }
    let many = vec!["a"; 201];
    for ids in [json!([]), json!(many)] {
        let path = format!("{CHANNELS}/tokens");
        let answer = world.post_json(&path, json!({"channel_ids": ids})).await;
        assert_eq!(
            answer.problem(),
            problem(422, "invalid_input", &["channel_ids"])
        );
    }
}

async fn s5_2_a_tenant_that_is_deleted_gives_no_token_from_then_on(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    let beside = world.beside(settings()).await;
    let here = || world.request(Method::GET, "/api/v1/tenants/t1/channels/a/token");
    let there = || world.request_at(&beside, Method::GET, "/api/v1/tenants/t1/channels/a/token");
    let before = (reveal(here()).await.status, reveal(there()).await.status);

    world.delete("/api/v1/tenants/t1").await;

    // The other process may believe in the tenant for a second, but finds no channel of it.
    let after = (send(here()).await.status, send(there()).await.status);
    assert_eq!((before, after), ((200, 200), (404, 404)));
}
