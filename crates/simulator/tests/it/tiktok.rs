//! Rotation, reuse detection and the strict token endpoint.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use simulator::{MintRequest, ReusePolicy};

use crate::support::{Fields, Rig, Told, access, refresh, text, told};

fn error(told: &Told) -> (u16, &str) {
    (told.0, text(&told.1["error"]))
}

#[tokio::test]
async fn a_refresh_rotates_the_pair() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok").expires_in(0));

    let (status, body) = rig.rotate(refresh(&minted)).await;

    assert_ne!(text(&body["refresh_token"]), refresh(&minted));
    assert_ne!(text(&body["access_token"]), access(&minted));
    assert_eq!(
        (status, &body),
        (
            200,
            &json!({
                "access_token": body["access_token"],
                "expires_in": 7200,
                "open_id": minted.external_id,
                "refresh_expires_in": 15_552_000,
                "refresh_token": body["refresh_token"],
                "scope": "user.info.basic,video.list",
                "token_type": "Bearer",
            })
        )
    );
    assert_eq!(rig.rotate(text(&body["refresh_token"])).await.0, 200);
}

#[tokio::test]
async fn a_spent_refresh_token_revokes_the_family() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok"));
    let (_, next) = rig.rotate(refresh(&minted)).await;

    let reused = rig.rotate(refresh(&minted)).await;
    let family = rig.rotate(text(&next["refresh_token"])).await;

    assert_eq!(error(&reused), (400, "invalid_grant"));
    assert_eq!(error(&family), (400, "invalid_grant"));
    let flagged: Vec<bool> = rig.entries(&minted.id).iter().map(|e| e.reuse).collect();
    assert_eq!(flagged, [false, true, false]);
    let view = rig.sim.grant(&minted.id, false).expect("it is there");
    assert_eq!((view.revoked, view.reuses, view.generation), (true, 1, 2));
}

#[tokio::test]
async fn a_lenient_provider_refuses_only_the_spent_token() {
    let rig = Rig::with(|config| config.tiktok.reuse = ReusePolicy::Refuse).await;
    let minted = rig.mint(&MintRequest::of("tiktok"));
    let (_, next) = rig.rotate(refresh(&minted)).await;

    let reused = rig.rotate(refresh(&minted)).await;

    assert_eq!(error(&reused), (400, "invalid_grant"));
    assert_eq!(rig.rotate(text(&next["refresh_token"])).await.0, 200);
}

#[tokio::test]
async fn within_the_grace_the_token_before_brings_the_same_pair() {
    let rig = Rig::with(|c| c.tiktok.reuse = ReusePolicy::Grace(Duration::from_secs(10))).await;
    let minted = rig.mint(&MintRequest::of("tiktok"));
    let (_, next) = rig.rotate(refresh(&minted)).await;

    let again = rig.rotate(refresh(&minted)).await;
    rig.clock.forward(Duration::from_secs(10));
    let late = rig.rotate(refresh(&minted)).await;

    assert_eq!(again.1["refresh_token"], next["refresh_token"]);
    assert_eq!(error(&late), (400, "invalid_grant"));
    assert_eq!(rig.sim.summary().refreshes, 1);
}

#[tokio::test]
async fn a_request_must_be_exactly_as_documented() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok"));
    let cases: [(Fields, &str, &str); 10] = [
        (
            &[("client_key", "")],
            "invalid_request",
            "Client key is missed in request.",
        ),
        (
            &[("client_secret", "")],
            "invalid_request",
            "Client secret is missed in request.",
        ),
        (
            &[("client_key", "x")],
            "invalid_client",
            "Client key or secret is incorrect.",
        ),
        (
            &[("client_secret", "x")],
            "invalid_client",
            "Client key or secret is incorrect.",
        ),
        (
            &[("grant_type", "")],
            "invalid_request",
            "Grant type is missed in request.",
        ),
        (
            &[("grant_type", "x")],
            "unsupported_grant_type",
            "The grant type is not supported.",
        ),
        (
            &[("refresh_token", "")],
            "invalid_request",
            "Refresh token is missed in request.",
        ),
        (
            &[("refresh_token", "rft.x")],
            "invalid_grant",
            "Refresh token is invalid or expired.",
        ),
        (
            &[("client_id", "x")],
            "invalid_request",
            "The parameter client_id is unknown or given twice.",
        ),
        (
            &[("access_token", "x")],
            "invalid_request",
            "The parameter access_token is unknown or given twice.",
        ),
    ];

    for (changes, code, description) in cases {
        let answer = rig.rotate_with(refresh(&minted), changes).await;

        assert_eq!(error(&answer), (400, code), "{changes:?}");
        assert_eq!(answer.1["error_description"], description);
        assert!(!text(&answer.1["log_id"]).is_empty());
    }
    assert_eq!(
        rig.rotate(refresh(&minted)).await.0,
        200,
        "nothing was spent"
    );
}

#[tokio::test]
async fn the_body_must_be_a_form_and_hold_all_credentials() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok"));
    let request = || rig.request(Method::POST, "tiktok", "/v2/oauth/token/");
    let rotation = || rig.rotation(refresh(&minted), &[]);

    let as_json = told(request().json(&json!({"client_key": simulator::TIKTOK_CLIENT_KEY}))).await;
    let with_header = told(rotation().basic_auth("a", Some("b"))).await;
    let with_query = told(rotation().query(&[("client_key", "a")])).await;
    let got = told(rig.request(Method::GET, "tiktok", "/v2/oauth/token/")).await;

    assert_eq!(error(&as_json), (400, "invalid_request"));
    assert_eq!(error(&with_header), (400, "invalid_request"));
    assert_eq!(error(&with_query), (400, "invalid_request"));
    assert_eq!(error(&got), (405, "invalid_request"));
}

#[tokio::test]
async fn without_the_trailing_slash_it_only_redirects() {
    let rig = Rig::start().await;

    let request = rig.request(Method::POST, "tiktok", "/v2/oauth/token");
    let response = request.send().await.expect("an answer");

    let there = format!("{}/v2/oauth/token/", rig.sim.base_url("tiktok"));
    assert_eq!(response.status(), 301);
    assert_eq!(response.headers()["location"], there);
}

#[tokio::test]
async fn a_refresh_token_past_its_end_is_refused() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest {
        refresh_expires_in: Some(60),
        ..MintRequest::of("tiktok")
    });

    rig.clock.forward(Duration::from_mins(1));

    assert_eq!(
        error(&rig.rotate(refresh(&minted)).await),
        (400, "invalid_grant")
    );
}

#[tokio::test]
async fn errors_come_with_200_or_400_as_the_scenario_or_the_setting_says() {
    let rig = Rig::with(|config| config.tiktok.error_status = 200).await;
    let outcome = async |scenario: &str| {
        let told = rig.rotate(&format!("rft_{scenario}")).await;
        (told.0, text(&told.1["error"]).to_owned())
    };

    assert_eq!(
        outcome("invalid_grant_200").await,
        (200, "invalid_grant".to_owned())
    );
    assert_eq!(
        outcome("invalid_grant_400").await,
        (400, "invalid_grant".to_owned())
    );
    assert_eq!(
        outcome("invalid_client_200").await,
        (200, "invalid_client".to_owned())
    );
    assert_eq!(
        outcome("access_denied").await,
        (200, "access_denied".to_owned())
    );
    assert_eq!(
        outcome("rate_limit_200").await,
        (200, "rate_limit_exceeded".to_owned())
    );
    assert_eq!(
        outcome("temporarily_unavailable").await,
        (200, "temporarily_unavailable".to_owned())
    );
}

#[tokio::test]
async fn an_answer_can_name_another_account_or_leave_the_refresh_token_out() {
    let rig = Rig::start().await;
    let other = rig.scenario("tiktok", "open_id_mismatch");
    let kept = rig.scenario("tiktok", "no_refresh_token");
    let same = rig.scenario("tiktok", "same_refresh_token");

    let other_answer = rig.rotate(refresh(&other)).await.1;
    let kept_answer = rig.rotate(refresh(&kept)).await.1;
    let same_answer = rig.rotate(refresh(&same)).await.1;

    assert_ne!(other_answer["open_id"], json!(other.external_id));
    assert_eq!(kept_answer.get("refresh_token"), None);
    assert_eq!(
        rig.rotate(refresh(&kept)).await.0,
        200,
        "the old one stays good"
    );
    assert_eq!(text(&same_answer["refresh_token"]), refresh(&same));
}

#[tokio::test]
async fn an_api_call_shows_whether_an_access_token_lives() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok").expires_in(60));
    let called = async |token: &str| {
        told(
            rig.request(Method::GET, "tiktok", "/v2/user/info/")
                .bearer_auth(token),
        )
        .await
    };

    let alive = called(access(&minted)).await;
    rig.clock.forward(Duration::from_mins(1));
    let dead = called(access(&minted)).await;

    assert_eq!(
        (alive.0, &alive.1["data"]["user"]["open_id"]),
        (200, &json!(minted.external_id))
    );
    assert_eq!(
        (dead.0, &dead.1["error"]["code"]),
        (401, &json!("access_token_invalid"))
    );
}

#[tokio::test]
async fn later_tokens_can_be_given_a_life_of_seconds() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest {
        renewed_expires_in: Some(3),
        ..MintRequest::of("tiktok")
    });

    let (_, body): (u16, Value) = rig.rotate(refresh(&minted)).await;

    assert_eq!(body["expires_in"], 3);
}
