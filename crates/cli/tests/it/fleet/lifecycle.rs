//! A tenant and channels made as the documentation says, and left alone.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::MintRequest;
use testkit::Database;

use super::World;
use super::server::at;
use super::world::{Import, import};

testkit::each_database!(channels_created_by_plain_requests_are_refreshed_before_they_expire,);

/// Seconds that a token lives: the fleet has half of them to be in time.
const LIFETIME: u64 = 16;

async fn channels_created_by_plain_requests_are_refreshed_before_they_expire(database: Database) {
    let world = World::on(database).await;
    let (up, server) = world.up().await;
    let mint = |provider| {
        let order = MintRequest::of(provider).expires_in(60);
        world
            .simulator
            .mint(&order)
            .expect("a sensible order")
            .remove(0)
            .import_form()
    };
    let facebook = mint("facebook");
    let tiktok = mint("tiktok");
    let facebook = json!({ "access_token": facebook["access_token"], "expires_in": LIFETIME });
    let tiktok = json!({
        "access_token": tiktok["access_token"],
        "refresh_token": tiktok["refresh_token"],
        "expires_in": LIFETIME,
        "refresh_expires_in": 31_536_000,
        "open_id": tiktok["external_id"],
    });
    let facturify = json!({ "api_key": "key_ok-life", "api_secret": "secret_ok-life" });

    import(
        &server,
        vec![
            Import::new("channel_123", "meta", &facebook),
            Import::new("channel_124", "tiktok", &tiktok),
            Import::new("channel_125", "facturify", &facturify),
        ],
    )
    .await;

    for (id, provider) in [("channel_123", "facebook"), ("channel_124", "tiktok")] {
        let fresh = server.channel_until(id, |it| it["generation"] == 2).await;
        let end = at(&fresh["created_at"]).plus(Duration::from_secs(LIFETIME));
        assert_eq!(fresh["provider"], provider);
        assert!(
            at(&fresh["last_refreshed_at"]) < end,
            "{id} was late: {fresh}"
        );
        assert!(at(&fresh["expires_at"]) > end, "{fresh}");
        assert_eq!(
            (&fresh["state"], &fresh["last_error"]),
            (&json!("active"), &Value::Null)
        );
    }
    // First a token of four minutes, then, five seconds later, one of twelve hours (S0.5).
    let facturas = server
        .channel_until("channel_125", |it| it["generation"] == 3)
        .await;
    let hours = at(&facturas["expires_at"])
        .since(at(&facturas["last_refreshed_at"]))
        .as_secs()
        / 3600;
    assert!((11..=12).contains(&hours), "{facturas}");
    let ledger = world.simulator.summary();
    assert_eq!(
        (ledger.generations_repeated, ledger.overlaps, ledger.reuses),
        (0, 0, 0)
    );
    up.stop();
}
