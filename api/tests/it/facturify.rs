//! S0: the platform's own Facturify account, against a real worker and a strict Facturify.

use std::time::Duration;

use api::{ApiSettings, FacturifyAccount};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use simulator::SimulatorConfig;
use testkit::Database;

use crate::fleet::Fleet;
use crate::world::{Answer, World, problem, reveal, settings};

testkit::each_database!(
    s0_1_a_token_is_obtained_and_its_sealed_copy_in_redis_ends_with_it,
    s0_2_a_token_is_refreshed_to_twelve_hours,
    s0_2_a_refused_refresh_falls_back_to_a_new_token,
    s0_3_a_valid_token_is_given_and_made_if_there_is_none,
    s0_4_the_status_tells_what_is_there_and_asks_nobody,
    s0_6_the_provider_s_errors_are_told_apart,
    s0_6_a_key_that_was_refused_can_be_tried_again,
    s0_7_many_callers_of_two_processes_share_one_refresh,
    other_keys_in_the_settings_take_the_place_of_the_old_ones,
    without_an_account_in_the_settings_it_is_said_so,
    the_built_in_tenant_cannot_be_deleted,
);

const TOKEN: &str = "/api/v1/facturify/auth/token";

/// A fleet whose account is one that the simulator puts through this scenario.
async fn fleet(database: Database, scenario: &str) -> Fleet {
    Fleet::with(database, SimulatorConfig::default(), account(scenario)).await
}

fn account(scenario: &str) -> ApiSettings {
    let mut settings = settings();
    settings.facturify = Some(FacturifyAccount {
        api_key: format!("key_{scenario}-test").into(),
        api_secret: format!("secret_{scenario}-test").into(),
        buffer: Duration::from_mins(1),
    });
    settings
}

async fn ask(world: &World, method: Method, path: &str) -> Answer {
    reveal(world.request(method, &format!("{TOKEN}{path}"))).await
}

async fn jwt(world: &World, path: &str) -> Value {
    let answer = ask(world, Method::POST, path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert!(body["message"].is_string(), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    body["jwt"].clone()
}

/// Four minutes. The token's own end is a whole second, and may have been cut off from the
/// second before the answer.
fn is_new(jwt: &Value) -> bool {
    matches!(jwt["expires_in"].as_u64(), Some(239 | 240))
}

async fn s0_1_a_token_is_obtained_and_its_sealed_copy_in_redis_ends_with_it(database: Database) {
    let fleet = fleet(database, "ok").await;

    let first = jwt(&fleet.world, "").await;
    let second = jwt(&fleet.world, "").await;

    assert!(is_new(&first) && is_new(&second), "{first} {second}");
    assert_ne!(first["token"], second["token"]);
    let mut redis = fleet.world.redis.connection().await.unwrap();
    let key = "facturify:auth:token";
    let copy: String = redis::cmd("GET")
        .arg(key)
        .query_async(&mut redis)
        .await
        .unwrap();
    let ttl: i64 = redis::cmd("TTL")
        .arg(key)
        .query_async(&mut redis)
        .await
        .unwrap();
    assert!((200..=240).contains(&ttl), "{ttl}");
    assert!(!copy.contains(second["token"].as_str().unwrap()));
}

async fn s0_2_a_token_is_refreshed_to_twelve_hours(database: Database) {
    let fleet = fleet(database, "ok").await;
    let first = jwt(&fleet.world, "").await;

    let refreshed = jwt(&fleet.world, "/refresh").await;

    assert_eq!(refreshed["expires_in"], 43_200);
    assert_ne!(refreshed["token"], first["token"]);
}

async fn s0_2_a_refused_refresh_falls_back_to_a_new_token(database: Database) {
    let fleet = fleet(database, "refresh_51").await;
    let first = jwt(&fleet.world, "").await;

    let fallen_back = jwt(&fleet.world, "/refresh").await;

    assert!(is_new(&fallen_back), "{fallen_back}");
    assert_ne!(fallen_back["token"], first["token"]);
}

async fn s0_3_a_valid_token_is_given_and_made_if_there_is_none(database: Database) {
    let fleet = fleet(database, "ok").await;

    let answer = ask(&fleet.world, Method::GET, "").await;
    let again = ask(&fleet.world, Method::GET, "").await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert!(
        (200..=240).contains(&body["ttl"].as_i64().unwrap()),
        "{body}"
    );
    assert_eq!(body.as_object().unwrap().len(), 2);
    assert_eq!(again.json()["token"], body["token"]);
    assert_eq!(answer.header("cache-control"), "no-store");
}

async fn s0_4_the_status_tells_what_is_there_and_asks_nobody(database: Database) {
    let fleet = fleet(database, "ok").await;

    let none = ask(&fleet.world, Method::GET, "/status").await;
    let asked = fleet.sim.summary().requests;
    jwt(&fleet.world, "").await;
    let some = ask(&fleet.world, Method::GET, "/status").await;

    assert_eq!(
        none.json(),
        json!({"has_token": false, "ttl": 0, "expires_in": 0})
    );
    assert_eq!(asked, 0);
    let some = some.json();
    assert_eq!(some["has_token"], true);
    assert!(is_new(&some), "{some}");
    assert!(
        (200..=240).contains(&some["ttl"].as_i64().unwrap()),
        "{some}"
    );
}

async fn s0_6_the_provider_s_errors_are_told_apart(database: Database) {
    let kind = database.kind();
    drop(database);
    for (scenario, status, error) in [
        ("auth_401", 401, "misconfigured"),
        ("auth_422", 422, "misconfigured"),
        ("status_500", 500, "retryable"),
    ] {
        let database = Database::migrated(kind).await;
        let fleet = fleet(database, scenario).await;

        for (method, path) in [
            (Method::POST, ""),
            (Method::POST, "/refresh"),
            (Method::GET, ""),
        ] {
            let answer = ask(&fleet.world, method, path).await;
            assert_eq!(answer.problem(), problem(502, "provider_refused", &[]));
            let body = answer.json();
            assert_eq!(body["provider_status"], status, "{body}");
            assert_eq!(body["error"], error, "{body}");
        }
    }
}

async fn s0_6_a_key_that_was_refused_can_be_tried_again(database: Database) {
    let fleet = fleet(database, "auth_401:1").await;

    let refused = ask(&fleet.world, Method::POST, "").await;
    let mended = jwt(&fleet.world, "").await;

    assert_eq!(refused.json()["provider_status"], 401, "{}", refused.text);
    assert!(is_new(&mended), "{mended}");
}

async fn s0_7_many_callers_of_two_processes_share_one_refresh(database: Database) {
    let fleet = fleet(database, "ok").await;
    let world = &fleet.world;
    let other = world.beside(account("ok")).await;
    jwt(world, "").await;
    let before = fleet.sim.summary();

    for path in ["/refresh", ""] {
        let path = format!("{TOKEN}{path}");
        let all = join_all((0..50).map(|number| {
            let base = if number % 2 == 0 { &world.base } else { &other };
            reveal(world.request_at(base, Method::POST, &path))
        }));
        for answer in all.await {
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
    }

    let after = fleet.sim.summary();
    // Who asks after the first was done gets one more; nobody gets one of his own.
    let asked = after.requests - before.requests;
    assert!((2..=8).contains(&asked), "{asked} requests");
    assert_eq!(after.overlaps, 0);
}

async fn other_keys_in_the_settings_take_the_place_of_the_old_ones(database: Database) {
    let fleet = fleet(database, "ok").await;
    let world = &fleet.world;
    let first = jwt(world, "").await;
    let other = world.beside(account("get_only")).await;

    let path = format!("{TOKEN}/refresh");
    let request = world.request_at(&other, Method::POST, &path);
    let answer = reveal(request).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let second = answer.json()["jwt"].clone();
    assert!(is_new(&second), "the old token is not refreshed: {second}");
    assert_ne!(first["token"], second["token"]);
    let path = "/api/v1/tenants/platform/channels/facturify";
    assert_eq!(world.get(path).await.json()["provider"], "facturify");
}

async fn without_an_account_in_the_settings_it_is_said_so(database: Database) {
    let world = World::start(database).await;

    for (method, path) in [
        (Method::POST, ""),
        (Method::POST, "/refresh"),
        (Method::GET, ""),
        (Method::GET, "/status"),
    ] {
        let answer = ask(&world, method, path).await;
        assert_eq!(
            answer.problem(),
            problem(409, "facturify_not_configured", &[])
        );
    }
    let anonymous = reveal(world.anonymous(Method::GET, TOKEN)).await;
    assert_eq!(anonymous.status, 401);
}

async fn the_built_in_tenant_cannot_be_deleted(database: Database) {
    let fleet = fleet(database, "ok").await;
    jwt(&fleet.world, "").await;

    let answer = fleet.world.delete("/api/v1/tenants/platform").await;

    assert_eq!(answer.problem(), problem(409, "built_in_tenant", &[]));
}
