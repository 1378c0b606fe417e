//! Exchange, page tokens and `debug_token`.

use std::time::Duration;

use domain::GrantKind;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::MintRequest;

use crate::support::{Fields, Rig, access, exchange_query, text, told};

fn error(body: &Value) -> (i64, Option<i64>) {
    let error = &body["error"];
    (
        error["code"].as_i64().expect("a code"),
        error["error_subcode"].as_i64(),
    )
}

#[tokio::test]
async fn a_living_token_is_exchanged_for_another_of_sixty_days() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("facebook").expires_in(3600));

    let (status, body) = rig.exchange(access(&minted)).await;

    let token = text(&body["access_token"]);
    assert_ne!(token, access(&minted));
    assert_eq!(
        (status, &body),
        (
            200,
            &json!({"access_token": token, "token_type": "bearer", "expires_in": 5_183_944})
        )
    );
    assert_eq!(rig.exchange(token).await.0, 200);
    // The one before lives on until its own end.
    assert_eq!(rig.exchange(access(&minted)).await.0, 200);
}

#[tokio::test]
async fn an_expired_token_cannot_be_exchanged() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("facebook").expires_in(60));

    rig.clock.forward(Duration::from_mins(1));
    let (status, body) = rig.exchange(access(&minted)).await;

    assert_eq!((status, error(&body)), (400, (190, Some(463))));
    assert!(
        text(&body["error"]["message"])
            .starts_with("Error validating access token: Session has expired on ")
    );
    assert_eq!(text(&body["error"]["type"]), "OAuthException");
    assert_eq!(text(&body["error"]["fbtrace_id"]).len(), 11);
}

#[tokio::test]
async fn wrong_parameters_get_the_errors_of_the_matrix() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("facebook"));
    let cases: [(Fields, i64, &str); 10] = [
        (&[("client_id", "")], 101, "Missing client_id parameter"),
        (&[("client_id", "9")], 101, "Error validating application"),
        (
            &[("client_secret", "")],
            1,
            "Error validating client secret",
        ),
        (
            &[("client_secret", "guess")],
            1,
            "Error validating client secret",
        ),
        (&[("grant_type", "")], 100, "Missing grant_type"),
        (
            &[("grant_type", "refresh_token")],
            100,
            "Invalid grant_type",
        ),
        (
            &[("fb_exchange_token", "")],
            100,
            "fb_exchange_token parameter not specified",
        ),
        (
            &[("fb_exchange_token", "EAABnobody")],
            190,
            "Invalid OAuth access token",
        ),
        (
            &[("set_token_expires_in_60_days", "true")],
            100,
            "(#100) set_token_expires",
        ),
        (
            &[("set_token_expires_in_60_days", "1")],
            100,
            "Param set_token_expires",
        ),
    ];

    for (changes, code, message) in cases {
        let (status, body) = rig.exchange_with(access(&minted), changes).await;

        assert_eq!((status, error(&body)), (400, (code, None)), "{changes:?}");
        assert!(
            text(&body["error"]["message"]).starts_with(message),
            "{body}"
        );
    }
    assert_eq!(rig.sim.summary().refreshes, 0);
}

#[tokio::test]
async fn the_parameters_belong_in_the_query_whatever_the_method() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("facebook"));
    let query = exchange_query(access(&minted), &[]);
    let request = |method| rig.request(method, "facebook", "/oauth/access_token");

    let posted = told(request(Method::POST).query(&query)).await;
    let in_the_body = told(request(Method::POST).form(&query)).await;
    let put = told(request(Method::PUT).query(&query)).await;

    assert_eq!(posted.0, 200);
    assert_eq!(error(&in_the_body.1), (101, None));
    assert_eq!(error(&put.1), (100, None));
    assert_eq!(
        text(&put.1["error"]["message"]),
        "Unsupported request - method type: put"
    );
}

#[tokio::test]
async fn a_system_users_token_is_refreshed_only_with_the_sixty_days_parameter() {
    let rig = Rig::start().await;
    let minted = rig.mint(
        &MintRequest::of("facebook")
            .kind(GrantKind::SystemUser)
            .expires_in(600),
    );

    let without = rig.exchange(access(&minted)).await;
    let with = rig
        .exchange_with(access(&minted), &[("set_token_expires_in_60_days", "true")])
        .await;

    assert_eq!((without.0, error(&without.1)), (400, (100, None)));
    assert_eq!(
        (with.0, with.1["expires_in"].as_i64()),
        (200, Some(5_184_000))
    );
}

#[tokio::test]
async fn a_token_without_an_end_is_not_exchanged() {
    let rig = Rig::start().await;
    let minted = rig.mint(
        &MintRequest::of("facebook")
            .kind(GrantKind::SystemUser)
            .never_expires(),
    );

    let (status, body) = rig.exchange(access(&minted)).await;

    assert_eq!((status, error(&body)), (400, (100, None)));
    assert_eq!(rig.debug(access(&minted)).await["expires_at"], 0);
    assert_eq!(minted.import_form().get("expires_at"), None);
    assert!(!minted.refreshable);
}

#[tokio::test]
async fn a_page_token_is_derived_again_and_never_exchanged() {
    let rig = Rig::start().await;
    let minted = rig.mint(
        &MintRequest::of("facebook")
            .kind(GrantKind::Page)
            .expires_in(300),
    );
    let user_token = minted.credentials.keys["user_access_token"].expose_secret();
    let page_id = minted.external_id.clone().expect("a page has an id");

    let exchanged = rig.exchange(access(&minted)).await;
    let request = rig.request(Method::GET, "facebook", "/v25.0/me/accounts");
    let (status, body) = told(request.query(&[("access_token", user_token)])).await;

    assert_eq!(error(&exchanged.1), (100, None));
    assert_eq!(status, 200);
    let pages = body["data"].as_array().expect("pages");
    let page = pages
        .iter()
        .find(|page| page["id"] == page_id.as_str())
        .expect("the page");
    assert_ne!(
        pages[0]["id"],
        page_id.as_str(),
        "the page must be found by its id"
    );
    assert_eq!(
        rig.debug(text(&page["access_token"])).await["expires_at"],
        0
    );
}

#[tokio::test]
async fn a_page_token_from_a_short_lived_person_lives_an_hour() {
    let rig = Rig::start().await;
    let order = MintRequest {
        age: Some(0),
        ..MintRequest::of("facebook").expires_in(7200)
    };
    let minted = rig.mint(&order);
    let user = minted.external_id.clone().expect("a person has an id");

    let request = rig.request(Method::GET, "facebook", &format!("/{user}/accounts"));
    let (_, body) = told(request.query(&[("access_token", access(&minted))])).await;
    let page = rig.debug(text(&body["data"][1]["access_token"])).await;

    assert_eq!(page["type"], "PAGE");
    assert_eq!(page["expires_at"], 1_795_000_000 + 3600);
}

#[tokio::test]
async fn accounts_check_the_proof_and_the_person() {
    let rig = Rig::with(|config| config.facebook.require_proof = true).await;
    let asked = async |path: &str, proof: &str| {
        let query = [("access_token", "EAA_ok"), ("appsecret_proof", proof)];
        told(rig.request(Method::GET, "facebook", path).query(&query)).await
    };
    let right = "9496cd0f1ec0eab9903e7787494e194ffb8b73bebf81fb891a08e1d762f74aa5";

    assert_eq!(asked("/me/accounts", right).await.0, 200);
    assert_eq!(error(&asked("/me/accounts", "").await.1), (100, None));
    assert_eq!(error(&asked("/me/accounts", "00").await.1), (100, None));
    assert_eq!(
        error(&asked("/12345/accounts", right).await.1),
        (100, Some(33))
    );
}

#[tokio::test]
async fn debug_token_tells_the_kinds_apart() {
    let rig = Rig::start().await;
    let user = rig.mint(&MintRequest::of("facebook").expires_in(1000));
    let now = 1_795_000_000;

    let data = rig.debug(access(&user)).await;
    let system = rig.debug("EAA_system_user").await;
    let never = rig.debug("EAA_system_user_never").await;
    let consent = rig.debug("EAA_data_access_expired").await;

    assert_eq!(
        data,
        json!({
            "app_id": simulator::META_APP_ID,
            "type": "USER",
            "application": "Demo",
            "data_access_expires_at": now + 1000 - 5_183_944 + 90 * 86_400,
            "expires_at": now + 1000,
            "is_valid": true,
            "issued_at": now + 1000 - 5_183_944,
            "scopes": ["pages_show_list", "instagram_basic"],
            "granular_scopes": [{"scope": "pages_show_list", "target_ids": ["111"]}],
            "user_id": user.external_id,
        })
    );
    assert_eq!(
        (&system["type"], &system["expires_at"]),
        (&json!("SYSTEM_USER"), &json!(now + 5_184_000))
    );
    assert_eq!(
        (&never["type"], &never["expires_at"]),
        (&json!("SYSTEM_USER"), &json!(0))
    );
    assert!(consent["data_access_expires_at"].as_i64() < Some(now) && consent["is_valid"] == true);
}

#[tokio::test]
async fn a_dead_token_is_told_with_status_200_and_the_reason() {
    let rig = Rig::start().await;
    let revoked = rig.mint(&MintRequest::of("facebook"));
    rig.sim.revoke(&revoked.id).expect("it is there");

    let subcode = async |token: &str| {
        let data = rig.debug(token).await;
        assert_eq!(data["is_valid"], false);
        (
            data["error"]["code"].as_i64(),
            data["error"]["subcode"].as_i64(),
        )
    };

    assert_eq!(subcode(access(&revoked)).await, (Some(190), Some(458)));
    assert_eq!(subcode("EAA_190_460").await, (Some(190), Some(460)));
    assert_eq!(subcode("EAA_expired").await, (Some(190), Some(463)));
    assert_eq!(subcode("nobody's").await, (Some(190), None));
}

#[tokio::test]
async fn debug_token_takes_only_the_apps_own_token() {
    let rig = Rig::start().await;
    let asked = async |token: &str| {
        let query = [("input_token", "EAA_ok"), ("access_token", token)];
        let (status, body) = told(
            rig.request(Method::GET, "facebook", "/debug_token")
                .query(&query),
        )
        .await;
        (status, error(&body).0)
    };

    assert_eq!(asked("EAA_ok").await, (400, 100));
    assert_eq!(asked("9|app_secret_fake").await, (400, 101));
    assert_eq!(
        asked(&format!("{}|guess", simulator::META_APP_ID)).await,
        (400, 1)
    );
}

#[tokio::test]
async fn every_error_of_the_matrix_can_be_called_by_the_tokens_value() {
    let rig = Rig::start().await;
    let cases = [
        ("190_458", 190, Some(458)),
        ("190_459", 190, Some(459)),
        ("190_460", 190, Some(460)),
        ("190_463", 190, Some(463)),
        ("190_464", 190, Some(464)),
        ("190_467", 190, Some(467)),
        ("190_492", 190, Some(492)),
        ("190", 190, None),
        ("102", 102, None),
        ("1_secret", 1, None),
        ("2", 2, None),
        ("4", 4, None),
        ("10", 10, None),
        ("200", 200, None),
        ("341", 341, None),
        ("368", 368, None),
        ("3", 3, None),
        ("100_proof", 100, None),
        ("80001", 80_001, Some(2_446_079)),
    ];

    for (name, code, subcode) in cases {
        let (status, body) = rig.exchange(&format!("EAA_{name}-some-test")).await;

        assert_eq!((status, error(&body)), (400, (code, subcode)), "{name}");
    }
    assert_eq!(rig.exchange("EAA_0").await.0, 401);
    assert_eq!(
        rig.exchange("EAA_transient").await.1["error"]["is_transient"],
        true
    );
    assert_eq!(
        error(&rig.exchange("EAA_no_such_scenario").await.1),
        (190, None)
    );
}

#[tokio::test]
async fn throttling_carries_metas_own_headers() {
    let rig = Rig::start().await;
    let header = async |scenario: &str, name: &str| {
        let token = format!("EAA_{scenario}");
        let request = rig.request(Method::GET, "facebook", "/oauth/access_token");
        let response = request
            .query(&exchange_query(&token, &[]))
            .send()
            .await
            .expect("an answer");
        let value = response.headers().get(name).expect("the header").to_str();
        serde_json::from_str::<Value>(value.expect("text")).expect("JSON")
    };

    assert_eq!(header("4", "X-App-Usage").await["call_count"], 101);
    let good = header("usage_90", "X-App-Usage").await;
    assert_eq!(good["total_cputime"], 90);
    let usage = header("80001", "X-Business-Use-Case-Usage").await;
    assert_eq!(usage["111"][0]["estimated_time_to_regain_access"], 4);
}

#[tokio::test]
async fn a_scenario_can_end_after_so_many_refreshes() {
    let rig = Rig::start().await;
    let minted = rig.scenario("facebook", "1:1");

    let first = rig.exchange(access(&minted)).await;
    let second = rig.exchange(access(&minted)).await;

    assert_eq!((error(&first.1), second.0), ((1, None), 200));
}

#[tokio::test]
async fn an_exchange_can_leave_the_end_out_or_where_it_was() {
    let rig = Rig::start().await;
    let order = |scenario: &str| {
        MintRequest::of("facebook")
            .expires_in(900)
            .scenario(scenario)
    };
    let silent = rig.mint(&order("no_expires_in"));
    let stuck = rig.mint(&order("not_advanced"));
    let same = rig.mint(&order("same_token"));

    let silent = rig.exchange(access(&silent)).await.1;
    let stuck = rig.exchange(access(&stuck)).await.1;
    let again = rig.exchange(access(&same)).await.1;

    assert_eq!(silent.get("expires_in"), None);
    assert_eq!(
        rig.debug(text(&silent["access_token"])).await["expires_at"],
        1_795_000_000 + 5_183_944
    );
    assert_eq!(stuck["expires_in"], 900);
    assert_eq!(
        (text(&again["access_token"]), &again["expires_in"]),
        (access(&same), &json!(5_183_944))
    );
}

#[tokio::test]
async fn an_unknown_path_is_graphs_error_2500() {
    let rig = Rig::start().await;

    let (status, body) = told(rig.request(Method::GET, "meta", "/v25/oauth/access_token")).await;

    assert_eq!((status, error(&body)), (400, (2500, None)));
}
