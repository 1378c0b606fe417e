//! Two-level service tokens.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::{MintRequest, Minted};

use crate::support::{Rig, Told, text, told};

const PATH: &str = "/auth/service-token/refresh";

impl Rig {
    pub(crate) fn service(&self, method: Method) -> RequestBuilder {
        self.request(method, "service_token", PATH)
    }

    async fn service_refresh(&self, token: &str) -> Told {
        told(self.service(Method::POST).bearer_auth(token)).await
    }
}

fn service_token(minted: &Minted) -> &str {
    minted.credentials.keys["service_token"].expose_secret()
}

fn claims(jwt: &str) -> Value {
    let claims = jwt.split('.').nth(1).expect("three parts");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
    serde_json::from_slice(&claims).expect("JSON")
}

#[tokio::test]
async fn a_service_token_brings_an_access_token_of_fifteen_minutes_again_and_again() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("service_token"));

    let (status, first) = rig.service_refresh(service_token(&minted)).await;
    let (_, second) = rig.service_refresh(service_token(&minted)).await;

    let claims = claims(text(&first["access_token"]));
    let lifetime = claims["exp"].as_i64().zip(claims["iat"].as_i64());
    assert_eq!(
        (status, &first),
        (
            200,
            &json!({"access_token": first["access_token"], "expires_in": 900})
        )
    );
    assert_eq!(lifetime.map(|(end, start)| end - start), Some(900));
    assert_ne!(first["access_token"], second["access_token"]);
    let summary = rig.sim.summary();
    assert_eq!(
        (
            summary.refreshes,
            summary.reuses,
            summary.generations_repeated
        ),
        (2, 0, 0)
    );
    let view = rig.sim.grant(&minted.id, true).expect("it is there");
    let revealed = view.revealed.expect("it was asked for").import_form();
    assert_eq!(revealed, minted.import_form(), "it is not rotated");
}

#[tokio::test]
async fn a_service_token_is_a_jwt_with_or_without_an_end() {
    let rig = Rig::start().await;
    let usual = rig.mint(&MintRequest::of("service_token"));
    let short = rig.mint(&MintRequest {
        refresh_expires_in: Some(6 * 86_400),
        ..MintRequest::of("service_token")
    });
    let eternal = rig.mint(&MintRequest::of("service_token").never_expires());

    let left = |minted: &Minted| {
        let exp = claims(service_token(minted))["exp"].as_i64();
        exp.map(|exp| exp - domain::Clock::now(&*rig.clock).as_millis() / 1000)
    };

    assert_eq!(
        [&usual, &short, &eternal].map(left),
        [Some(90 * 86_400), Some(6 * 86_400), None]
    );
    assert!(eternal.refreshable);
    rig.clock.forward(Duration::from_hours(24 * 90));
    assert_eq!(rig.service_refresh(service_token(&usual)).await.0, 401);
    assert_eq!(rig.service_refresh(service_token(&short)).await.0, 401);
    assert_eq!(rig.service_refresh(service_token(&eternal)).await.0, 200);
}

#[tokio::test]
async fn the_base_url_of_an_import_is_where_it_answers() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("service_token"));

    let base = minted.import_form()["base_url"].clone();

    assert_eq!(base, json!(rig.sim.base_url("service_token")));
    assert!(text(&base).ends_with("/service_token/api"));
}

#[tokio::test]
async fn a_request_has_the_token_in_its_header_and_nothing_else() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("service_token"));
    let token = service_token(&minted);
    let (_, fresh) = rig.service_refresh(token).await;
    let post = || rig.service(Method::POST).bearer_auth(token);

    assert_eq!(
        told(rig.service(Method::GET).bearer_auth(token)).await.0,
        405
    );
    assert_eq!(told(rig.service(Method::POST)).await.0, 401);
    assert_eq!(
        told(rig.service(Method::POST).basic_auth(token, Some("")))
            .await
            .0,
        401
    );
    assert_eq!(told(post().json(&json!({}))).await.0, 422);
    assert_eq!(told(post().query(&[("token", token)])).await.0, 422);
    assert_eq!(rig.service_refresh("nobody").await.0, 401);
    assert_eq!(
        rig.service_refresh(text(&fresh["access_token"])).await.0,
        401,
        "an access token brings nothing"
    );
    let elsewhere = rig.request(Method::POST, "service_token", "/auth/refresh");
    assert_eq!(told(elsewhere.bearer_auth(token)).await.0, 404);
    assert_eq!(rig.sim.summary().refreshes, 1);
}

#[tokio::test]
async fn scenarios_are_the_rows_of_the_contract() {
    let rig = Rig::start().await;
    let told = async |scenario: &str| rig.service_refresh(&format!("svc_{scenario}-1")).await;

    for (scenario, status) in [
        ("status_401", 401),
        ("status_403", 403),
        ("status_404", 404),
        ("status_405", 405),
        ("status_422", 422),
        ("status_429", 429),
        ("status_500", 500),
        ("invalid_grant", 401),
        ("invalid_client", 403),
    ] {
        assert_eq!(told(scenario).await.0, status, "{scenario}");
    }
    let open = told("no_expires_in").await;
    assert_eq!((open.0, &open.1["expires_in"]), (200, &Value::Null));
    assert!(open.1["access_token"].is_string());
    let nothing = told("no_access_token").await;
    assert_eq!(nothing, (200, json!({"expires_in": 900})));
    assert_eq!(rig.sim.summary().refreshes, 1);
}

#[tokio::test]
async fn an_administrator_can_revoke_it() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("service_token"));

    rig.sim.revoke(&minted.id).expect("it is there");

    assert_eq!(rig.service_refresh(service_token(&minted)).await.0, 401);
}
