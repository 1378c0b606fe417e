//! TikTok's OAuth v1: query parameters, no secret, errors with status 200.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use simulator::MintRequest;

use crate::support::{Fields, Rig, Told, refresh, text, told};

const PATH: &str = "/oauth/refresh_token/";

impl Rig {
    pub(crate) fn legacy(&self, token: &str, changes: Fields) -> RequestBuilder {
        let mut query = vec![
            ("client_key", simulator::TIKTOK_CLIENT_KEY),
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
        ];
        query.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        query.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        self.request(Method::POST, "tiktok_legacy", PATH)
            .query(&query)
    }

    async fn legacy_refresh(&self, token: &str) -> Told {
        told(self.legacy(token, &[])).await
    }
}

fn error(told: &Told) -> (u16, &str, i64) {
    let code = told.1["data"]["error_code"].as_i64();
    (told.0, text(&told.1["message"]), code.expect("a code"))
}

#[tokio::test]
async fn a_refresh_rotates_the_pair_in_the_old_envelope() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok_legacy").expires_in(0));

    let (status, body) = rig.legacy_refresh(refresh(&minted)).await;

    let data = &body["data"];
    assert_ne!(text(&data["refresh_token"]), refresh(&minted));
    assert_eq!(
        (status, &body),
        (
            200,
            &json!({
                "data": {
                    "access_token": data["access_token"],
                    "captcha": "",
                    "desc_url": "",
                    "description": "",
                    "error_code": 0,
                    "expires_in": 86_400,
                    "open_id": minted.external_id,
                    "refresh_expires_in": 31_536_000,
                    "refresh_token": data["refresh_token"],
                    "scope": "user.info.basic",
                },
                "message": "success",
            })
        )
    );
    assert_eq!(
        rig.legacy_refresh(text(&data["refresh_token"])).await.1["message"],
        "success"
    );
}

#[tokio::test]
async fn spent_and_ended_refresh_tokens_have_expired() {
    let rig = Rig::start().await;
    let spent = rig.mint(&MintRequest::of("tiktok_legacy"));
    let ended = rig.mint(&MintRequest {
        refresh_expires_in: Some(60),
        ..MintRequest::of("tiktok_legacy")
    });
    rig.legacy_refresh(refresh(&spent)).await;
    rig.clock.forward(Duration::from_mins(1));

    for minted in [&spent, &ended] {
        let refused = rig.legacy_refresh(refresh(minted)).await;

        assert_eq!(error(&refused), (200, "error", 10_010));
        assert_eq!(refused.1["data"]["description"], "Refresh token expired");
    }
    assert_eq!(rig.sim.summary().reuses, 1);
}

#[tokio::test]
async fn a_request_must_be_exactly_as_documented() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok_legacy"));
    let cases: [(Fields, i64); 7] = [
        (&[("client_key", "")], 10_005),
        (&[("client_key", simulator::TIKTOK_APP_ID)], 10_003),
        (&[("grant_type", "")], 10_005),
        (&[("grant_type", "x")], 10_002),
        (&[("refresh_token", "")], 10_005),
        (&[("refresh_token", "lrft.x")], 10_010),
        (
            &[("client_secret", simulator::TIKTOK_CLIENT_SECRET)],
            10_002,
        ),
    ];

    for (changes, code) in cases {
        let answer = told(rig.legacy(refresh(&minted), changes)).await;

        assert_eq!(error(&answer), (200, "error", code), "{changes:?}");
    }
    let form = rig
        .request(Method::POST, "tiktok_legacy", PATH)
        .form(&[("client_key", "x")]);
    let got = rig.request(Method::GET, "tiktok_legacy", PATH);
    assert_eq!(error(&told(form).await).2, 10_002);
    assert_eq!(error(&told(got).await).2, 10_002);
    assert_eq!(
        rig.legacy_refresh(refresh(&minted)).await.1["message"],
        "success"
    );
}

#[tokio::test]
async fn every_code_can_be_called_and_comes_with_200() {
    let rig = Rig::start().await;

    for code in [
        10_001, 10_002, 10_003, 10_004, 10_005, 10_007, 10_008, 10_010, 10_013, 10_014, 10_015,
        10_020, 10_999,
    ] {
        let answer = rig.legacy_refresh(&format!("lrft_{code}-x")).await;

        assert_eq!(error(&answer), (200, "error", code));
    }
    assert_eq!(rig.sim.summary().refreshes, 0);
}

#[tokio::test]
async fn success_has_its_variants() {
    let rig = Rig::start().await;
    let data = async |scenario: &str| {
        let answer = rig.legacy_refresh(&format!("lrft_{scenario}-1")).await;
        answer.1["data"].clone()
    };

    let strings = data("numeric_strings").await;
    let error = rig.legacy_refresh("lrft_message_error-1").await;

    assert_eq!(
        (&strings["expires_in"], &strings["refresh_expires_in"]),
        (&json!("86400"), &json!("31536000"))
    );
    assert_eq!(
        (&error.1["message"], &error.1["data"]["error_code"]),
        (&json!("error"), &json!(0))
    );
    assert_eq!(data("no_refresh_token").await["refresh_token"], Value::Null);
    assert_eq!(
        data("same_refresh_token").await["refresh_token"],
        "lrft_same_refresh_token-1"
    );
    assert_eq!(data("grace").await, data("grace").await);
    let stranger = rig.scenario("tiktok_legacy", "open_id_mismatch");
    let mismatch = rig.legacy_refresh(refresh(&stranger)).await;
    assert_ne!(mismatch.1["data"]["open_id"], json!(stranger.external_id));
}

#[tokio::test]
async fn the_retired_endpoint_rejects_everything() {
    let retired = Rig::with(|config| config.tiktok_legacy.rejected = true).await;
    let rig = Rig::start().await;

    assert_eq!(retired.legacy_refresh("lrft_ok").await.0, 410);
    assert_eq!(rig.legacy_refresh("lrft_rejected").await.0, 410);
    assert_eq!(rig.legacy_refresh("lrft_ok").await.0, 200);
}

#[tokio::test]
async fn throttling_comes_by_status_for_the_code_table_has_none() {
    let rig = Rig::start().await;

    let response = rig
        .legacy("lrft_status_429-1", &[])
        .send()
        .await
        .expect("an answer");

    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
}
