//! What stands around every address: limits, repeated requests, other origins, headers.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use testkit::Database;
use testkit::redis::Data;

use crate::world::{Answer, Setup, World, problem, reveal, send, settings};

testkit::each_database!(
    s1_6_an_account_beyond_its_quota_is_told_when_to_come_back,
    s1_6_every_answer_says_what_is_left_of_the_quota,
    s1_6_while_redis_is_away_reads_are_not_limited,
    s1_6_attempts_to_log_in_are_limited_per_address_and_per_account,
    s1_6_only_failed_renewals_count,
    s1_6_while_redis_is_away_nobody_logs_in,
    behind_a_trusted_proxy_each_client_has_its_own_limit,
    reads_of_tokens_are_in_the_audit_log,
    s1_8_browsers_of_other_origins_are_let_in_only_where_a_setting_says_so,
    every_answer_carries_the_headers_that_keep_browsers_careful,
    a_repeated_request_is_answered_with_the_first_answer,
    a_key_of_another_request_is_refused,
    a_request_that_was_refused_can_be_mended_under_its_key,
    of_many_at_once_with_one_key_one_is_carried_out,
    an_answer_that_showed_a_secret_is_not_repeated_nor_kept,
    a_key_that_cannot_be_remembered_stops_the_request,
);

const TENANTS: &str = "/api/v1/tenants";

async fn limited(database: Database, per_minute: u32) -> World {
    let mut settings = settings();
    settings.rate_limits.per_minute = per_minute;
    let setup = Setup {
        settings,
        ..Setup::default()
    };
    World::with(database, setup).await
}

async fn s1_6_an_account_beyond_its_quota_is_told_when_to_come_back(database: Database) {
    let world = limited(database, 2).await;

    let answers = [
        world.get(TENANTS).await,
        world.get(TENANTS).await,
        world.get(TENANTS).await,
    ];
    let open = send(world.anonymous(Method::GET, "/livez")).await;

    assert_eq!((answers[0].status, answers[1].status), (200, 200));
    let refused = &answers[2];
    assert_eq!(refused.problem(), problem(429, "too_many_requests", &[]));
    let pause: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&pause), "{pause}");
    assert_eq!(refused.header("ratelimit-policy"), r#""calls";q=2;w=60"#);
    assert!(refused.header("ratelimit").starts_with(r#""calls";r=0;t="#));
    assert_eq!(open.status, 200);
}

async fn s1_6_every_answer_says_what_is_left_of_the_quota(database: Database) {
    let world = limited(database, 600).await;

    let call = world.get(TENANTS).await;
    let missing = world.get("/api/v1/tenants/t1").await;

    assert_eq!(call.header("ratelimit"), r#""calls";r=599;t=1"#);
    assert_eq!(call.header("ratelimit-policy"), r#""calls";q=600;w=60"#);
    assert_eq!(missing.status, 404);
}

async fn s1_6_while_redis_is_away_reads_are_not_limited(database: Database) {
    let mut world = limited(database, 1).await;
    world.redis.halt(Data::Lost).await.unwrap();

    for _ in 0..3 {
        let answer = world.get(TENANTS).await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, ""));
    }
}

async fn strict(database: Database, trusted: &[&str]) -> World {
    let mut settings = settings();
    settings.rate_limits.auth_per_minute = 3;
    settings.trusted_proxies = trusted.iter().map(|text| text.parse().unwrap()).collect();
    let setup = Setup {
        settings,
        ..Setup::default()
    };
    World::with(database, setup).await
}

/// A log-in that fails, by way of a proxy that says it was called from there.
async fn log_in(world: &World, email: &str, from: &str) -> Answer {
    let body = json!({"correo": email, "password": "not-the-password"});
    let request = world.anonymous(Method::POST, "/auth/login").json(&body);
    send(request.header("x-forwarded-for", from)).await
}

async fn s1_6_attempts_to_log_in_are_limited_per_address_and_per_account(database: Database) {
    let kind = database.kind();
    let world = strict(database, &[]).await;
    for number in 0..3 {
        let email = format!("a{number}@example.org");
        assert_eq!(log_in(&world, &email, "").await.status, 401);
    }
    let of_the_address = log_in(&world, "b@example.org", "").await;

    let world = strict(Database::migrated(kind).await, &["127.0.0.1"]).await;
    for number in 0..3 {
        let from = format!("192.0.2.{number}");
        assert_eq!(log_in(&world, "a@example.org", &from).await.status, 401);
    }
    let of_the_account = log_in(&world, "A@example.org", "192.0.2.9").await;

    for refused in [of_the_address, of_the_account] {
        assert_eq!(refused.problem(), problem(429, "too_many_requests", &[]));
        let pause: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=20).contains(&pause), "{pause}");
        assert_eq!(refused.header("ratelimit-policy"), r#""auth";q=3;w=60"#);
    }
}

async fn s1_6_only_failed_renewals_count(database: Database) {
    let world = strict(database, &[]).await;
    let renew = || {
        let request = world.anonymous(Method::POST, "/api/auth/refresh");
        send(request.json(&json!({"refresh_token": "guess"})))
    };

    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(renew().await.status);
    }

    assert_eq!(statuses, [401, 401, 401, 429]);
}

async fn s1_6_while_redis_is_away_nobody_logs_in(database: Database) {
    let mut world = strict(database, &[]).await;
    world.redis.halt(Data::Lost).await.unwrap();

    let refused = log_in(&world, "a@example.org", "").await;

    assert_eq!(refused.problem(), problem(503, "unavailable", &[]));
}

async fn behind_a_trusted_proxy_each_client_has_its_own_limit(database: Database) {
    let world = strict(database, &["127.0.0.0/8"]).await;
    for number in 0..3 {
        let email = format!("a{number}@example.org");
        log_in(&world, &email, "203.0.113.1").await;
    }

    let same = log_in(&world, "b@example.org", "203.0.113.1").await;
    let forged = log_in(&world, "c@example.org", "192.0.2.1, 203.0.113.1").await;
    let other = log_in(&world, "d@example.org", "203.0.113.2").await;

    assert_eq!((same.status, forged.status, other.status), (429, 429, 401));
}

async fn reads_of_tokens_are_in_the_audit_log(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 3600).await;
    let path = "/api/v1/tenants/t1/channels/a/token";

    for _ in 0..5 {
        reveal(world.request(Method::GET, path)).await;
    }

    let log = "/api/v1/audit?action=token.read";
    let is_there = |answer: &Answer| answer.json()["items"] != json!([]);
    let log = world.until(log, is_there).await.json();
    let items = log["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{log}");
    assert_eq!(items[0]["target"], "tenants/t1/channels/a/token");
    assert_eq!(items[0]["actor"], "admin");
    assert_eq!(items[0]["details"], json!({"reads": 1}));
}

async fn s1_8_browsers_of_other_origins_are_let_in_only_where_a_setting_says_so(
    database: Database,
) {
    let mut settings = settings();
    settings.cors_origins = vec!["https://app.example.com".to_owned()];
    let setup = Setup {
        settings,
        ..Setup::default()
    };
    let world = World::with(database, setup).await;
    let preflight = |origin: &'static str| {
        world
            .anonymous(Method::OPTIONS, TENANTS)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization")
    };

    let ours = send(preflight("https://app.example.com")).await;
    let others = send(preflight("https://evil.example.com")).await;
    let call = world.request(Method::GET, TENANTS);
    let call = send(call.header("origin", "https://app.example.com")).await;

    let allowed = "access-control-allow-origin";
    assert_eq!(ours.status, 200);
    assert_eq!(ours.header(allowed), "https://app.example.com");
    assert!(
        ours.header("access-control-allow-headers")
            .contains("authorization")
    );
    assert_eq!(others.header(allowed), "");
    assert_eq!(call.header(allowed), "https://app.example.com");
    assert!(
        call.header("access-control-expose-headers")
            .contains("ratelimit")
    );
    assert_eq!(call.header("access-control-allow-credentials"), "");
}

async fn every_answer_carries_the_headers_that_keep_browsers_careful(database: Database) {
    let world = World::start(database).await;

    let answers = [
        world.get(TENANTS).await,
        send(world.anonymous(Method::GET, TENANTS)).await,
        send(world.anonymous(Method::GET, "/")).await,
        world.get("/nothing").await,
    ];
    let options = send(world.request(Method::OPTIONS, TENANTS)).await;

    for answer in answers {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        let policy = answer.header("content-security-policy");
        assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    assert_eq!(options.status, 405);
}

async fn create(world: &World, key: &str, body: serde_json::Value) -> Answer {
    let request = world.request(Method::POST, TENANTS).json(&body);
    send(request.header("idempotency-key", key)).await
}

async fn tenants(world: &World) -> usize {
    let all = world.get(TENANTS).await.json();
    all["items"].as_array().unwrap().len()
}

async fn a_repeated_request_is_answered_with_the_first_answer(database: Database) {
    let world = World::start(database).await;

    let first = create(&world, "key-1", json!({"name": "Acme"})).await;
    let again = create(&world, "key-1", json!({"name": "Acme"})).await;
    let other = create(&world, "key-2", json!({"name": "Acme"})).await;

    assert_eq!((first.status, again.status, other.status), (201, 201, 201));
    assert_eq!(first.text, again.text);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(again.header("content-type"), "application/json");
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_ne!(other.text, first.text);
    assert_eq!(tenants(&world).await, 2);
}

async fn a_key_of_another_request_is_refused(database: Database) {
    let world = World::start(database).await;
    create(&world, "key-1", json!({"name": "Acme"})).await;

    let other = create(&world, "key-1", json!({"name": "Other"})).await;
    let bad = create(&world, &"k".repeat(256), json!({})).await;

    assert_eq!(other.problem(), problem(422, "idempotency_key_reused", &[]));
    assert_eq!(bad.problem(), problem(400, "bad_idempotency_key", &[]));
    assert_eq!(tenants(&world).await, 1);
}

async fn a_request_that_was_refused_can_be_mended_under_its_key(database: Database) {
    let world = World::start(database).await;

    let refused = create(&world, "key-1", json!({"id": "a b"})).await;
    let mended = create(&world, "key-1", json!({"id": "ab"})).await;

    assert_eq!((refused.status, mended.status), (422, 201));
}

async fn of_many_at_once_with_one_key_one_is_carried_out(database: Database) {
    let world = World::start(database).await;

    let all = join_all((0..20).map(|_| create(&world, "key-1", json!({})))).await;

    for answer in all {
        let in_flight = answer.status == 409 && answer.header("retry-after") == "1";
        assert!(answer.status == 201 || in_flight, "{}", answer.text);
    }
    assert_eq!(tenants(&world).await, 1);
}

async fn an_answer_that_showed_a_secret_is_not_repeated_nor_kept(database: Database) {
    let world = World::start(database).await;
    let create = || {
        let request = world.request(Method::POST, "/token/create");
        reveal(request.header("idempotency-key", "key-1"))
    };

    let first = create().await;
    let again = create().await;

    let token = first.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(again.problem(), problem(409, "answer_not_repeated", &[]));
    let mut redis = world.redis.connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*:answer:*")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(keys.len(), 1);
    let kept: Vec<String> = redis::cmd("HVALS")
        .arg(&keys[0])
        .query_async(&mut redis)
        .await
        .unwrap();
    assert!(kept.iter().all(|value| !value.contains(&token)));
}

async fn a_key_that_cannot_be_remembered_stops_the_request(database: Database) {
    let mut world = World::start(database).await;
    world.redis.halt(Data::Lost).await.unwrap();

    let refused = create(&world, "key-1", json!({})).await;

    assert_eq!(refused.problem(), problem(503, "unavailable", &[]));
    assert_eq!(tenants(&world).await, 0);
}
