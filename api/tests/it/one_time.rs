//! S1.3 and S1.4: one-time tokens.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use testkit::Database;
use testkit::redis::Data;

use crate::world::{Answer, Setup, World, problem, reveal, send, settings};

testkit::each_database!(
    s1_3_a_one_time_token_is_made_for_ten_seconds,
    s1_4_a_token_is_validated_exactly_once_under_any_concurrency,
    s1_4_unknown_used_and_expired_tokens_look_alike,
    one_time_tokens_need_a_bearer_token_and_a_redis,
);

async fn create(world: &World) -> String {
    let answer = reveal(world.request(Method::POST, "/token/create")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn validate(world: &World, token: &str) -> Answer {
    world
        .post_json("/token/validate", json!({"token": token}))
        .await
}

async fn s1_3_a_one_time_token_is_made_for_ten_seconds(database: Database) {
    let world = World::start(database).await;

    let answer = reveal(world.request(Method::POST, "/token/create")).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["expires_in"], 10);
    assert_eq!(body["token"].as_str().unwrap().len(), 43);
    assert_eq!(body.as_object().unwrap().len(), 2);
    assert_eq!(answer.header("cache-control"), "no-store");
}

async fn s1_4_a_token_is_validated_exactly_once_under_any_concurrency(database: Database) {
    let setup = Setup {
        settings: api::ApiSettings {
            one_time_ttl: Duration::from_mins(1),
            ..settings()
        },
        ..Setup::default()
    };
    let world = World::with(database, setup).await;

    for _ in 0..20 {
        let token = create(&world).await;
        let all = join_all((0..50).map(|_| validate(&world, &token))).await;

        let good: Vec<_> = all.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(good.len(), 1);
        let body = good[0].json();
        assert_eq!(
            (&body["valid"], &body["issued_by"]),
            (&json!(true), &json!("admin"))
        );
        let others = all.iter().filter(|answer| answer.status == 404);
        assert_eq!(others.count(), 49);
    }
}

async fn s1_4_unknown_used_and_expired_tokens_look_alike(database: Database) {
    let setup = Setup {
        settings: api::ApiSettings {
            one_time_ttl: Duration::from_secs(1),
            ..settings()
        },
        ..Setup::default()
    };
    let world = World::with(database, setup).await;
    let (used, expired) = (create(&world).await, create(&world).await);
    validate(&world, &used).await;
    let mut redis = world.redis.connection().await.unwrap();
    let mut keys = 1_u64;
    while keys > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let all: Vec<String> = redis::cmd("KEYS")
            .arg("*:once:*")
            .query_async(&mut redis)
            .await
            .unwrap();
        keys = all.len() as u64;
    }

    let answers = [
        validate(&world, &used).await,
        validate(&world, &expired).await,
        validate(&world, "guess").await,
    ];

    for answer in &answers {
        assert_eq!(answer.problem(), problem(404, "not_found", &[]));
        assert_eq!(answer.text, answers[0].text);
    }
}

async fn one_time_tokens_need_a_bearer_token_and_a_redis(database: Database) {
    let mut world = World::start(database).await;
    let token = create(&world).await;

    let anonymous = send(world.anonymous(Method::POST, "/token/create")).await;
    let body = json!({"token": token, "x": 1});
    let unknown_field = world.post_json("/token/validate", body).await;
    world.redis.halt(Data::Lost).await.unwrap();
    let without_redis = world.post("/token/create").await;

    assert_eq!(anonymous.problem(), problem(401, "unauthorized", &[]));
    assert_eq!(
        unknown_field.problem(),
        problem(422, "invalid_input", &["x"])
    );
    assert_eq!(without_redis.problem(), problem(503, "unavailable", &[]));
}
