//! The breakers over HTTP.

use cache::{Cache, CacheOptions, Swapped};
use domain::{Breaker, BreakerRules, ChannelUid, Met, Tally};
use serde_json::{Value, json};
use testkit::Database;

use crate::world::{World, problem};

testkit::each_database!(
    an_open_breaker_is_shown_and_can_be_reset,
    a_breaker_that_nobody_knows_does_not_exist,
);

const BREAKERS: &str = "/api/v1/breakers";

/// What a worker would have written whose provider is down.
pub(crate) async fn open(world: &World) {
    let mut tally = Tally::default();
    for _ in 0..10 {
        tally.add(
            Met::Failed,
            ChannelUid::generate(),
            Some("status 503".to_owned()),
        );
    }
    let mut breaker = Breaker::default();
    let now = world.store.now().await.unwrap();
    breaker.take_in(&tally, now, &BreakerRules::default());
    let text = serde_json::to_string(&breaker).unwrap();
    let slip = (Breaker::BOARD, "tiktok:aw123 0a1b2c3d");
    let cache = Cache::open(CacheOptions::new(world.redis.url())).unwrap();
    let swapped = cache.swap_slip(slip, None, &text).await.unwrap();
    assert_eq!(swapped, Swapped::Done);
}

async fn an_open_breaker_is_shown_and_can_be_reset(database: Database) {
    let world = World::start(database).await;
    open(&world).await;

    let shown = world.get(BREAKERS).await.json()["items"][0].clone();
    let reset = world.delete(&format!("{BREAKERS}/0a1b2c3d")).await;
    let afterwards = world.get(BREAKERS).await.json();

    assert_eq!(shown["app_identity"], "tiktok:aw123", "{shown}");
    assert_eq!(shown["state"], "open", "{shown}");
    assert_eq!(shown["incident"]["why"], "outage", "{shown}");
    assert_eq!(shown["incident"]["sample"], "status 503", "{shown}");
    assert!(shown["until"].is_string(), "{shown}");
    assert_eq!(reset.status, 204);
    assert_eq!(
        afterwards,
        json!({ "items": [], "next_cursor": Value::Null })
    );
}

async fn a_breaker_that_nobody_knows_does_not_exist(database: Database) {
    let world = World::start(database).await;

    let missing = world.delete(&format!("{BREAKERS}/00000000")).await;

    assert_eq!(missing.problem(), problem(404, "not_found", &[]));
}
