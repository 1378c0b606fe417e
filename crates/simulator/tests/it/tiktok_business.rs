//! TikTok Accounts: a JSON envelope, always with status 200.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use simulator::{MintRequest, ReusePolicy};

use crate::support::{Fields, Rig, Told, access, refresh, text, told};

const PATH: &str = "/open_api/v1.3/tt_user/oauth2/refresh_token/";

impl Rig {
    pub(crate) fn business(&self, token: &str, changes: Fields) -> RequestBuilder {
        let mut body = json!({
            "client_id": simulator::TIKTOK_APP_ID,
            "client_secret": simulator::TIKTOK_APP_SECRET,
            "grant_type": "refresh_token",
            "refresh_token": token,
        });
        let fields = body.as_object_mut().expect("an object");
        for (name, value) in changes {
            fields.insert((*name).to_owned(), json!(value));
        }
        fields.retain(|_, value| value != "");
        self.request(Method::POST, "tiktok_business", PATH)
            .json(&body)
    }

    async fn business_refresh(&self, token: &str) -> Told {
        told(self.business(token, &[])).await
    }

    async fn token_info(&self, token: &str) -> Told {
        let path = "/open_api/v1.3/tt_user/token_info/get/";
        let body = json!({"app_id": simulator::TIKTOK_APP_ID, "access_token": token});
        let request = self.request(Method::POST, "tiktok_business", path);
        told(request.json(&body)).await
    }
}

fn code(told: &Told) -> (u16, i64) {
    (told.0, told.1["code"].as_i64().expect("a code"))
}

#[tokio::test]
async fn a_refresh_rotates_the_pair_in_an_envelope() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok_business").expires_in(0));

    let (status, body) = rig.business_refresh(refresh(&minted)).await;

    let data = &body["data"];
    assert_ne!(text(&data["refresh_token"]), refresh(&minted));
    assert_eq!(
        (status, &body),
        (
            200,
            &json!({
                "code": 0,
                "message": "OK",
                "request_id": body["request_id"],
                "data": {
                    "access_token": data["access_token"],
                    "token_type": "Bearer",
                    "scope": "user.info.basic,video.list",
                    "expires_in": 86_400,
                    "refresh_token": data["refresh_token"],
                    "refresh_token_expires_in": 31_536_000,
                    "open_id": minted.external_id,
                },
            })
        )
    );
    assert!(!text(&body["request_id"]).is_empty());
    let info = rig.token_info(text(&data["access_token"])).await;
    assert_eq!(info.1["data"]["creator_id"], json!(minted.external_id));
}

#[tokio::test]
async fn a_spent_refresh_token_revokes_the_family_unless_the_setting_has_it_otherwise() {
    let strict = Rig::start().await;
    let lenient = Rig::with(|c| c.tiktok_business.reuse = ReusePolicy::Refuse).await;

    for (rig, family) in [(strict, 40_105), (lenient, 0)] {
        let minted = rig.mint(&MintRequest::of("tiktok_business"));
        let (_, next) = rig.business_refresh(refresh(&minted)).await;

        let reused = rig.business_refresh(refresh(&minted)).await;
        let newest = rig
            .business_refresh(text(&next["data"]["refresh_token"]))
            .await;

        assert_eq!(code(&reused), (200, 40_105));
        assert_eq!(code(&newest), (200, family));
        assert_eq!(rig.sim.summary().reuses, 1);
    }
}

#[tokio::test]
async fn tokens_past_their_end_are_refused() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest {
        refresh_expires_in: Some(60),
        ..MintRequest::of("tiktok_business").expires_in(60)
    });
    let alive = rig.token_info(access(&minted)).await;

    rig.clock.forward(Duration::from_mins(1));

    assert_eq!(code(&alive), (200, 0));
    assert_eq!(code(&rig.token_info(access(&minted)).await), (200, 40_105));
    assert_eq!(
        code(&rig.business_refresh(refresh(&minted)).await),
        (200, 40_105)
    );
}

#[tokio::test]
async fn a_request_must_be_exactly_as_documented() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok_business"));
    let cases: [(Fields, i64, &str); 9] = [
        (
            &[("client_id", "")],
            40_002,
            "client_id: Missing data for required field.",
        ),
        (
            &[("client_secret", "")],
            40_002,
            "client_secret: Missing data for required field.",
        ),
        (
            &[("client_id", simulator::TIKTOK_CLIENT_KEY)],
            40_002,
            "client_id: The app id or secret is incorrect.",
        ),
        (
            &[("client_secret", simulator::TIKTOK_CLIENT_SECRET)],
            40_002,
            "client_id: The app id or secret is incorrect.",
        ),
        (
            &[("grant_type", "")],
            40_002,
            "grant_type: Missing data for required field.",
        ),
        (
            &[("grant_type", "x")],
            40_002,
            "grant_type: Must be refresh_token.",
        ),
        (
            &[("refresh_token", "")],
            40_002,
            "refresh_token: Missing data for required field.",
        ),
        (
            &[("refresh_token", "brft.x")],
            40_105,
            "Access token is incorrect or has been revoked.",
        ),
        (&[("client_key", "x")], 40_002, "client_key: Unknown field."),
    ];

    for (changes, number, message) in cases {
        let answer = told(rig.business(refresh(&minted), changes)).await;

        assert_eq!(code(&answer), (200, number), "{changes:?}");
        assert_eq!(answer.1["message"], message);
    }
    assert_eq!(code(&rig.business_refresh(refresh(&minted)).await).1, 0);
}

#[tokio::test]
async fn the_body_must_be_json_and_hold_everything() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok_business"));
    let business = || rig.business(refresh(&minted), &[]);
    let request = |method| rig.request(method, "tiktok_business", PATH);

    let form = request(Method::POST).form(&[("refresh_token", refresh(&minted))]);
    let number = request(Method::POST).json(&json!({"client_id": 7}));
    let wrong = [
        told(form).await,
        told(number).await,
        told(request(Method::POST).json(&json!([]))).await,
        told(request(Method::GET)).await,
        told(business().bearer_auth("x")).await,
        told(business().query(&[("a", "b")])).await,
    ];

    for answer in wrong {
        assert_eq!(code(&answer), (200, 40_002), "{}", answer.1);
    }
    let path = "/open_api/v1.3/oauth2/refresh_token/";
    let other = rig.request(Method::POST, "tiktok_business", path);
    assert_eq!(told(other).await.0, 404);
}

#[tokio::test]
async fn every_code_can_be_called_and_comes_with_200() {
    let rig = Rig::start().await;

    for (scenario, number) in [
        ("40001", 40_001),
        ("40002", 40_002),
        ("40002_refresh_token", 40_002),
        ("40002_secret", 40_002),
        ("40100", 40_100),
        ("40102", 40_102),
        ("40103", 40_103),
        ("40104", 40_104),
        ("40105", 40_105),
        ("50000", 50_000),
        ("50002", 50_002),
        ("51021", 51_021),
        ("status_429", 40_100),
        ("status_500", 50_000),
        ("invalid_client", 40_002),
        ("invalid_grant", 40_105),
    ] {
        let answer = rig.business_refresh(&format!("brft_{scenario}-x")).await;

        assert_eq!(code(&answer), (200, number), "{scenario}");
        assert_eq!(answer.1["data"], json!({}));
    }
    assert_eq!(rig.sim.summary().refreshes, 0);
}

#[tokio::test]
async fn success_has_its_variants() {
    let rig = Rig::start().await;
    let stranger = rig.scenario("tiktok_business", "open_id_mismatch");

    let mismatch = rig.business_refresh(refresh(&stranger)).await;
    let none = rig.business_refresh("brft_no_refresh_token-1").await;
    let same = rig.business_refresh("brft_same_refresh_token-1").await;
    let first = rig.business_refresh("brft_grace-1").await;
    let again = rig.business_refresh("brft_grace-1").await;

    assert_ne!(mismatch.1["data"]["open_id"], json!(stranger.external_id));
    assert_eq!(none.1["data"]["refresh_token"], Value::Null);
    assert_eq!(same.1["data"]["refresh_token"], "brft_same_refresh_token-1");
    assert_eq!(first.1["data"], again.1["data"]);
}

#[tokio::test]
async fn an_advertisers_token_has_no_end_and_nothing_to_refresh() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok_business").never_expires());

    let alive = rig.token_info(access(&minted)).await;
    rig.sim.revoke(&minted.id).expect("it is there");
    let dead = rig.token_info(access(&minted)).await;

    assert!(!minted.refreshable && minted.credentials.refresh_token.is_none());
    assert_eq!((code(&alive), code(&dead)), ((200, 0), (200, 40_105)));
}
