//! Generic providers: what they answer, as real ones do.

use std::time::Duration;

use serde_json::{Value, json};

use crate::oauth2::{DEMO, error};
use crate::support::{Rig, read, refresh, text, told};

#[tokio::test]
async fn errors_come_in_every_providers_own_way() {
    let rig = Rig::start().await;

    for (scenario, status, code) in [
        ("invalid_grant_200", 200, "invalid_grant"),
        ("invalid_grant_403", 403, "invalid_grant"),
        ("expired_token", 400, "invalid_grant"),
        ("bad_refresh_token_200", 200, "bad_refresh_token"),
        ("invalid_client_200", 200, "invalid_client"),
        (
            "incorrect_client_credentials_200",
            200,
            "incorrect_client_credentials",
        ),
        ("access_denied", 403, "access_denied"),
        ("unauthorized_client", 400, "unauthorized_client"),
        ("invalid_scope", 400, "invalid_scope"),
        ("invalid_request", 400, "invalid_request"),
        ("invalid_request_token", 400, "invalid_request"),
        ("unsupported_grant_type", 400, "unsupported_grant_type"),
        ("interaction_required", 400, "interaction_required"),
        ("server_error", 400, "server_error"),
        ("temporarily_unavailable", 400, "temporarily_unavailable"),
        ("slow_down", 400, "slow_down"),
        ("unknown_error", 400, "cosmic_rays"),
        ("aadsts", 400, "invalid_grant"),
        ("ok_false", 200, "invalid_refresh_token"),
        ("ok_false_secret", 200, "bad_client_secret"),
        ("ok_false_internal", 200, "internal_error"),
        ("status_500", 500, "server_error"),
        ("invalid_grant", 400, "invalid_grant"),
        ("invalid_client", 401, "invalid_client"),
    ] {
        let answer = rig.refreshed_at_demo(&format!("rt_{scenario}-1")).await;

        assert_eq!(error(&answer), (status, code), "{scenario}");
    }
    let hubspot = rig.refreshed_at_demo("rt_bad_refresh_token_status-1").await;
    assert_eq!(
        (hubspot.0, &hubspot.1["status"]),
        (400, &json!("BAD_REFRESH_TOKEN"))
    );
    assert_eq!(rig.sim.summary().refreshes, 0);
}

#[tokio::test]
async fn answers_that_are_no_json_object_of_tokens() {
    let rig = Rig::start().await;

    let html = "text/html; charset=utf-8";
    let json = "application/json";
    let form = "application/x-www-form-urlencoded; charset=utf-8";

    for (scenario, status, content_type, head) in [
        ("html_200", 200, html, "<html><head><title>Log in"),
        ("html_400", 400, html, "<html><head><title>400"),
        ("empty_200", 200, json, ""),
        ("empty_400", 400, json, ""),
        ("no_access_token", 200, json, "{\"token_type\":\"Bearer\""),
        ("form_encoded_error", 200, form, "error=bad_refresh_token&"),
        ("body_20mb", 200, json, "{\"padding\":\"xxx"),
    ] {
        let request = rig.refresh_at_demo(&format!("rt_{scenario}-1"));
        let response = request.send().await.expect("an answer");

        assert_eq!(response.status(), status, "{scenario}");
        assert_eq!(response.headers()["content-type"], content_type);
        let body = response.text().await.expect("a whole body");
        assert!(body.starts_with(head), "{scenario}");
        assert_eq!(head.is_empty(), body.is_empty());
        assert_eq!(body.len() > 20 * 1024 * 1024, scenario == "body_20mb");
    }
    assert_eq!(rig.sim.summary().refreshes, 0);
}

#[tokio::test]
async fn an_endpoint_may_never_answer() {
    let rig = Rig::start().await;
    let short = Duration::from_millis(100);

    let waited = rig.refresh_at_demo("rt_hang-1").timeout(short).send().await;

    assert!(waited.is_err_and(|error| error.is_timeout()));
}

#[tokio::test]
async fn retry_after_comes_as_seconds_and_as_a_date() {
    let rig = Rig::with(|config| config.retry_after = Some(Duration::from_secs(90))).await;
    let retry_after = async |scenario: &str| {
        let request = rig.refresh_at_demo(&format!("rt_{scenario}-1"));
        let response = request.send().await.expect("an answer");
        let header = response.headers()["retry-after"].to_str();
        (response.status().as_u16(), header.expect("text").to_owned())
    };

    let secs = retry_after("retry_after_secs").await;
    let date = retry_after("retry_after_date").await;
    let throttled = retry_after("status_429").await;

    assert_eq!(secs, (503, "90".to_owned()));
    // The clock of these tests stands at 11:06:40.
    assert_eq!(date, (503, "Wed, 18 Nov 2026 11:08:10 GMT".to_owned()));
    assert_eq!(throttled, (429, "90".to_owned()));
}

#[tokio::test]
async fn success_has_its_variants() {
    let rig = Rig::start().await;
    let ask = async |scenario: &str| {
        let (status, body) = rig.refreshed_at_demo(&format!("rt_{scenario}-1")).await;
        assert!([200, 201].contains(&status), "{scenario}: {body}");
        (status, body)
    };

    assert_eq!(ask("no_token_type").await.1["token_type"], Value::Null);
    assert_eq!(ask("no_scope").await.1["scope"], Value::Null);
    assert_eq!(ask("comma_scope").await.1["scope"], "read,write");
    assert_eq!(ask("status_201").await.0, 201);
    assert_eq!(ask("ok_true").await.1["ok"], true);
    let strings = ask("string_expires_in").await.1;
    assert_eq!(strings["expires_in"], "3600");
    assert_eq!(strings["refresh_token_expires_in"], "7776000");
    let salesforce = ask("no_expires_in").await.1;
    assert_eq!(salesforce["expires_in"], Value::Null);
    assert_eq!(salesforce["issued_at"], "1795000000000");
    let nested = ask("nested").await.1;
    assert_eq!(nested["access_token"], Value::Null);
    assert!(nested["authed_user"]["refresh_token"].is_string());
    for name in ["refresh_expires_in", "x_refresh_token_expires_in"] {
        assert_eq!(ask(name).await.1[name], 7_776_000);
    }
}

#[tokio::test]
async fn a_refresh_token_that_is_not_told_stays_the_one() {
    let rig = Rig::start().await;

    for (scenario, told) in [
        ("no_refresh_token", Value::Null),
        ("empty_refresh_token", json!("")),
        ("same_refresh_token", json!("rt_same_refresh_token-1")),
    ] {
        let token = format!("rt_{scenario}-1");
        let first = rig.refreshed_at_demo(&token).await;
        let again = rig.refreshed_at_demo(&token).await;

        assert_eq!(first.1["refresh_token"], told);
        assert_eq!(again.0, 200, "{scenario}");
    }
}

#[tokio::test]
async fn answers_may_be_form_encoded_or_called_something_else() {
    let rig = Rig::start().await;
    let ask = async |scenario: &str, accept: &str| {
        let request = rig.refresh_at_demo(&format!("rt_{scenario}-1"));
        let response = request.header("accept", accept).send().await;
        let response = response.expect("an answer");
        let content_type = response.headers()["content-type"].to_str();
        let content_type = content_type.expect("text").to_owned();
        (content_type, read(response).await.1)
    };

    let form = ask("form_encoded", "application/json").await;
    let unless = ask("form_unless_json:2", "*/*").await;
    let github = rig.scenario(DEMO, "form_unless_json");
    let asked = told(
        rig.refresh_at_demo(refresh(&github))
            .header("accept", "application/json"),
    )
    .await;
    let script = ask("text_javascript", "*/*").await;

    for (content_type, body) in [&form, &unless] {
        assert_eq!(content_type, "application/x-www-form-urlencoded");
        assert!(text(body).starts_with("access_token=at."), "{body}");
        assert!(text(body).contains("&scope=read+write&"), "{body}");
    }
    assert!(asked.1["access_token"].is_string());
    assert_eq!(script.0, "text/javascript; charset=utf-8");
    assert!(script.1["access_token"].is_string());
}
