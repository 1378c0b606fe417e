//! S3.3 and S3.4: service tokens, and the access tokens made from them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::{allow_duplicates, assert_json_snapshot};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Database, TestClock};

use crate::people::text;
use crate::world::{Setup, World, problem};

testkit::each_database!(
    s3_3_a_service_token_is_shown_once_and_listed_without_its_text,
    s3_3_it_lives_30_to_365_days_or_for_ever,
    s3_3_nobody_mints_beyond_his_own_rights,
    s3_3_a_revoked_one_is_dead_at_once_with_what_was_made_from_it,
    s3_3_one_whose_time_is_over_is_dead,
    s3_3_its_last_use_is_noted,
    s3_4_an_access_token_of_900_seconds_carries_its_scopes,
    s3_4_only_a_service_token_makes_one,
);

const TOKENS: &str = "/api/v1/service-tokens";

async fn s3_3_a_service_token_is_shown_once_and_listed_without_its_text(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let owner = world.member("t1", "owner").await;

    let body = json!({"name": "bot", "eternal": true});
    let made = world.tell(&owner.access, Method::POST, TOKENS, body).await;
    let list = world.ask(&owner.access, Method::GET, TOKENS).await;

    assert_eq!(made.status, 201, "{}", made.text);
    let location = format!("{TOKENS}/{}", text(&made.json(), "id"));
    assert_eq!(made.header("location"), location);
    allow_duplicates! {
        assert_json_snapshot!(
            made.json(),
            {".id" => "[uid]", ".token" => "[jwt]", ".created_at" => "[time]"},
            @r#"
        {
          "created_at": "[time]",
          "expires_at": null,
          "id": "[uid]",
          "last_used_at": null,
          "name": "bot",
          "revoked_at": null,
          "scopes": [
            "channels:read"
          ],
          "tenant_id": "t1",
          "token": "[jwt]"
        }
        "#
        );
    }
    let mut shown = made.json();
    shown.as_object_mut().unwrap().remove("token");
    assert_eq!(list.json(), json!({"items": [shown], "next_cursor": null}));
}

async fn s3_3_it_lives_30_to_365_days_or_for_ever(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let mint = |more: Value| {
        let mut body = json!({"name": "bot", "tenant_id": "t1"});
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        world.post_json(TOKENS, body)
    };

    for good in [
        json!({"days": 30}),
        json!({"days": 365, "eternal": false}),
        json!({"eternal": true}),
    ] {
        assert_eq!(mint(good.clone()).await.status, 201, "{good}");
    }
    for (bad, field) in [
        (json!({}), "days"),
        (json!({"days": 29}), "days"),
        (json!({"days": 366}), "days"),
        (json!({"days": -1}), "days"),
        (json!({"days": "90"}), "days"),
        (json!({"days": 90, "eternal": true}), "days"),
        (json!({"eternal": "yes"}), "eternal"),
        (json!({"days": 90, "scopes": []}), "scopes"),
        (json!({"days": 90, "scopes": ["root"]}), "scopes[0]"),
        (json!({"days": 90, "name": ""}), "name"),
        (json!({"days": 90, "tenant": "t1"}), "tenant"),
    ] {
        let answer = mint(bad.clone()).await;

        assert_eq!(
            answer.problem(),
            problem(422, "invalid_input", &[field]),
            "{bad}"
        );
    }
    let homeless = world
        .post_json(TOKENS, json!({"name": "bot", "days": 90}))
        .await;
    assert_eq!(
        homeless.problem(),
        problem(422, "invalid_input", &["tenant_id"])
    );
}

async fn s3_3_nobody_mints_beyond_his_own_rights(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let owner = world.member("t1", "owner").await;
    let mint = |scope: &'static str| {
        let body = json!({"name": "bot", "days": 90, "scopes": [scope]});
        world.tell(&owner.access, Method::POST, TOKENS, body)
    };

    assert_eq!(mint("admin").await.status, 201);
    assert_eq!(
        mint("facturify").await.problem(),
        problem(403, "forbidden", &[])
    );
    world.service_token("t1", &["facturify"]).await;
}

async fn s3_3_a_revoked_one_is_dead_at_once_with_what_was_made_from_it(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let (id, token) = world.service_token("t1", &["channels:read"]).await;
    let made = world
        .ask(&token, Method::POST, "/api/auth/service-token/refresh")
        .await;
    let access = text(&made.json(), "access_token");
    let channels = "/api/v1/tenants/t1/channels";
    assert_eq!(world.ask(&token, Method::GET, channels).await.status, 200);
    assert_eq!(world.ask(&access, Method::GET, channels).await.status, 200);

    let revoked = world.delete(&format!("{TOKENS}/{id}")).await;

    assert_eq!(revoked.status, 204);
    for dead in [&token, &access] {
        let answer = world.ask(dead, Method::GET, channels).await;
        assert_eq!(answer.problem(), problem(401, "unauthorized", &[]));
    }
    let again = world
        .ask(&token, Method::POST, "/api/auth/service-token/refresh")
        .await;
    assert_eq!(again.status, 401);
    let list = world.get(&format!("{TOKENS}?tenant_id=t1")).await.json();
    assert!(list["items"][0]["revoked_at"].is_string());
}

async fn s3_3_one_whose_time_is_over_is_dead(database: Database) {
    let clock = TestClock::start();
    let setup = Setup {
        clock: Some(clock.clone()),
        ..Setup::default()
    };
    let world = World::with(database, setup).await;
    world.tenant("t1").await;
    let (_, token) = world.service_token("t1", &["channels:read"]).await;

    clock.advance(Duration::from_hours(90 * 24));

    let answer = world.ask(&token, Method::GET, "/api/v1/me").await;
    assert_eq!(answer.status, 401);
}

async fn s3_3_its_last_use_is_noted(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let (_, token) = world.service_token("t1", &["channels:read"]).await;

    let me = world.ask(&token, Method::GET, "/api/v1/me").await;

    assert_eq!(me.json()["nombre"], "bot");
    assert_eq!(me.json()["scopes"], json!(["channels:read"]));
    let noted =
        |answer: &crate::world::Answer| answer.json()["items"][0]["last_used_at"].is_string();
    world.until(&format!("{TOKENS}?tenant_id=t1"), noted).await;
}

async fn s3_4_an_access_token_of_900_seconds_carries_its_scopes(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let (id, token) = world.service_token("t1", &["refresh", "jobs:read"]).await;

    let made = world
        .ask(&token, Method::POST, "/api/auth/service-token/refresh")
        .await;

    assert_eq!(made.json()["expires_in"], 900);
    assert_eq!(made.json()["token_type"], "bearer");
    let access = text(&made.json(), "access_token");
    let claims = claims(&access);
    assert_eq!(claims["scope"], "refresh jobs:read");
    assert_eq!(claims["sub"], format!("service_token:{id}"));
    let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(lifetime, 900);
    let jobs = world
        .ask(&access, Method::GET, "/api/v1/tenants/t1/jobs")
        .await;
    let channels = world
        .ask(&access, Method::GET, "/api/v1/tenants/t1/channels")
        .await;
    assert_eq!((jobs.status, channels.status), (200, 403));
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

async fn s3_4_only_a_service_token_makes_one(database: Database) {
    let world = World::start(database).await;
    let path = "/auth/service-token/refresh";

    let none = world.anonymous(Method::POST, path);
    let none = crate::world::send(none).await;
    let admin = world.post(path).await;

    for answer in [none, admin] {
        assert_eq!(answer.problem(), problem(401, "unauthorized", &[]));
    }
}
