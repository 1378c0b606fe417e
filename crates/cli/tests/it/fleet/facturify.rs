//! S0: the seed's own samples, run by curl against the built server.

use std::process::Command;

use serde_json::Value;
use testkit::Database;

use super::{World, until};
use crate::harness::{ADMIN_TOKEN, Running};

/// The calls of the seed, word for word but for the address; requirements.md adds the bearer token.
const OBTAIN: &str = "curl -X POST http://localhost:8000/api/v1/facturify/auth/token";
const REFRESH: &str = "curl -X POST http://localhost:8000/api/v1/facturify/auth/token/refresh";
const VALID: &str = "curl -X GET http://localhost:8000/api/v1/facturify/auth/token";
const STATUS: &str = "curl http://localhost:8000/api/v1/facturify/auth/token/status";

testkit::each_database!(
    s0_1_to_s0_4_the_samples_of_the_seed_answer_as_it_shows,
    s0_5_the_twelve_hour_token_comes_without_anyone_asking,
);

/// The world with the account of the seed's `.env`.
fn with_account(world: World) -> World {
    world
        .set("FACTURIFY_API_KEY", simulator::FACTURIFY_API_KEY)
        .set("FACTURIFY_API_SECRET", simulator::FACTURIFY_API_SECRET)
        .set("FACTURIFY_TIMEOUT", "30")
        .set("FACTURIFY_MAX_RETRIES", "3")
        .set("FACTURIFY_RETRY_BACKOFF", "2.0")
        .set("FACTURIFY_TOKEN_REFRESH_BUFFER", "60")
        .set("REDIS_DECODE_RESPONSES", "true")
}

/// Runs a call of the seed against this server; its body.
fn run(up: &Running, call: &str) -> Value {
    let url = up.url();
    let call = call.replace("http://localhost:8000", url.trim_end_matches('/'));
    let header = format!("Authorization: Bearer {ADMIN_TOKEN}");
    let call = call.replacen("curl", "curl -sS --noproxy '*' -H \"$HEADER\"", 1);
    let answer = Command::new("sh")
        .args(["-c", &call])
        .env("HEADER", header)
        .output()
        .expect("sh is there");
    serde_json::from_slice(&answer.stdout).unwrap_or_else(|_| {
        let said = String::from_utf8_lossy(&answer.stdout);
        let complaint = String::from_utf8_lossy(&answer.stderr);
        panic!("{call}: {said} {complaint}")
    })
}

async fn s0_1_to_s0_4_the_samples_of_the_seed_answer_as_it_shows(database: Database) {
    let world = with_account(World::on(database).await);
    let (up, _server) = world.up().await;

    let refreshed = run(&up, REFRESH);
    let obtained = run(&up, OBTAIN);
    let valid = run(&up, VALID);
    let status = run(&up, STATUS);

    assert!(refreshed["message"].is_string(), "{refreshed}");
    assert!(refreshed["jwt"]["token"].is_string(), "{refreshed}");
    assert!(obtained["message"].is_string(), "{obtained}");
    // The token's own end is a whole second, perhaps the one before the answer.
    let expires_in = obtained["jwt"]["expires_in"].as_u64();
    let lives = matches!(expires_in, Some(239 | 240 | 43_199 | 43_200));
    assert!(lives, "{obtained}");
    assert!(
        valid["token"].is_string() && valid["ttl"].is_u64(),
        "{valid}"
    );
    assert_eq!(status["has_token"], true, "{status}");
    assert!(
        status["ttl"].is_u64() && status["expires_in"].is_u64(),
        "{status}"
    );
}

async fn s0_5_the_twelve_hour_token_comes_without_anyone_asking(database: Database) {
    let world = with_account(World::on(database).await);
    let (up, server) = world.up().await;

    let lives_long = async || {
        let status = run(&up, STATUS);
        (status["expires_in"] == 43_200).then_some(status)
    };
    let status = until("the long token is there", lives_long).await;

    assert!(status["ttl"].as_u64() > Some(43_000), "{status}");
    let path = "/api/v1/tenants/platform/channels/facturify/attempts";
    let attempts = server.all(path).await;
    assert_eq!(attempts.len(), 2, "obtained and refreshed: {attempts:#?}");
    let at = |place: usize| {
        attempts[place]["started_at"]
            .as_str()
            .map(ToOwned::to_owned)
    };
    let (refreshed, obtained) = (at(0).expect("a time"), at(1).expect("a time"));
    let apart = millis(&refreshed) - millis(&obtained);
    assert!(apart >= 5000, "the refresh came after {apart} ms");
    up.stop();
}

fn millis(time: &str) -> i64 {
    domain::Timestamp::parse(time).expect("a time").as_millis()
}
