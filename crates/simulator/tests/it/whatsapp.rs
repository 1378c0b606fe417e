//! WhatsApp's tokens, which live in Facebook's world.

use domain::GrantKind;
use serde_json::{Value, json};
use simulator::MintRequest;

use crate::support::{Rig, access, text};

#[tokio::test]
async fn a_system_users_token_is_told_by_debug_token_and_exchanged_for_sixty_days() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("whatsapp").expires_in(86_400));

    let data = rig.debug(access(&minted)).await;
    let without = rig.exchange(access(&minted)).await;
    let with = [("set_token_expires_in_60_days", "true")];
    let (status, body) = rig.exchange_with(access(&minted), &with).await;

    assert_eq!(
        (minted.provider, minted.id.as_str()),
        ("whatsapp", "facebook-1")
    );
    assert_eq!(data["type"], "SYSTEM_USER");
    assert_eq!(
        data["scopes"],
        json!([
            "whatsapp_business_management",
            "whatsapp_business_messaging"
        ])
    );
    assert!(data["expires_at"].as_i64() > Some(0));
    assert_eq!(without.1["error"]["code"], 100);
    assert_eq!((status, &body["expires_in"]), (200, &json!(60 * 86_400)));
    // After a refresh the one before lives on until its own end.
    assert_eq!(rig.debug(access(&minted)).await["is_valid"], true);
}

#[tokio::test]
async fn a_system_users_token_may_have_no_end() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("whatsapp").never_expires());

    let data = rig.debug(access(&minted)).await;

    assert_eq!(
        (&data["type"], &data["expires_at"]),
        (&json!("SYSTEM_USER"), &json!(0))
    );
    assert!(!minted.refreshable);
    assert_eq!(rig.exchange(access(&minted)).await.0, 400);
}

#[tokio::test]
async fn a_users_token_of_the_dashboard_lives_less_than_a_day() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("whatsapp").kind(GrantKind::User));

    let data = rig.debug(access(&minted)).await;
    let (status, body) = rig.exchange(access(&minted)).await;

    let lifetime = data["expires_at"].as_i64().zip(data["issued_at"].as_i64());
    assert_eq!(data["type"], "USER");
    assert_eq!(lifetime.map(|(end, start)| end - start), Some(23 * 3600));
    assert_eq!((status, &body["expires_in"]), (200, &json!(5_183_944)));
}

#[tokio::test]
async fn its_errors_have_their_own_statuses_and_details_but_no_subcodes() {
    let rig = Rig::start().await;

    for (scenario, status, code) in [
        ("wa_0", 401, 0),
        ("wa_190", 401, 190),
        ("wa_3", 500, 3),
        ("wa_10", 403, 10),
        ("wa_200", 403, 200),
        ("wa_4", 429, 4),
        ("wa_80007", 429, 80_007),
        ("wa_130429", 400, 130_429),
        ("wa_131048", 400, 131_048),
        ("wa_131056", 400, 131_056),
        ("wa_133016", 400, 133_016),
    ] {
        let minted = rig.scenario("whatsapp", scenario);

        let (answered, body) = rig.exchange(access(&minted)).await;

        let error = &body["error"];
        assert_eq!(
            (answered, &error["code"]),
            (status, &json!(code)),
            "{scenario}"
        );
        assert_eq!(error["error_subcode"], Value::Null);
        assert!(!text(&error["error_data"]["details"]).is_empty());
    }
    let dead = rig.scenario("whatsapp", "wa_190");
    assert_eq!(rig.debug(access(&dead)).await["is_valid"], false);
}

#[tokio::test]
async fn taking_whatsapp_down_takes_its_graph_down() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("whatsapp"));

    rig.sim.set_down("whatsapp", true).expect("it is simulated");

    assert_eq!(rig.exchange(access(&minted)).await.0, 503);
}
