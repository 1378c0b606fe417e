//! Instagram Login against recorded answers.

use std::time::Duration;

use domain::{DelaySource, Grant, Lifetime, Verdict};
use providers::ImportRequest;
use serde_json::json as object;

use crate::stub::{Reply, Stub, json, json_with};
use crate::support::{Failed, Got, NOW, Refresh, after, provider, settings};

const FRESH: &str = r#"{"access_token":"IGAAnew","token_type":"bearer","expires_in":5183944}"#;
const WRONG_FAMILY: &str = r#"{"error":{"message":"Unsupported request - method type: get",
    "type":"IGApiException","code":100,"fbtrace_id":"A"}}"#;
const DEAD: &str = r#"{"error":{"message":"Error validating access token: Session has expired",
    "type":"OAuthException","code":190,"fbtrace_id":"A"}}"#;
const ALIVE: &str = r#"{"user_id":"178","id":"999"}"#;
const DAY: i64 = 86_400;

const REFRESH: &str = "GET /refresh_access_token";
const PROFILE: &str = "GET /me";

/// A token that was issued so many seconds ago.
fn grant(age: i64) -> Grant {
    Grant {
        access_token: Some("IGAAold|token".into()),
        issued_at: Some(after(-age)),
        ..Grant::default()
    }
}

async fn fail(age: i64, replies: impl IntoIterator<Item = Reply>) -> (Failed, Vec<String>) {
    let stub = Stub::start(replies).await;
    let instagram = provider("instagram", settings(&stub.base_url));
    // Without a known end, so that only the provider can refuse it for its youth.
    let failed = Refresh::of(&grant(age)).fail(&*instagram).await;
    (failed, stub.paths())
}

#[tokio::test]
async fn a_token_is_refreshed_by_the_documented_request_without_an_app() {
    let stub = Stub::start([json(200, FRESH)]).await;
    let instagram = provider("instagram", settings(&stub.base_url));

    let got = Refresh::ending(&grant(50 * DAY), 9 * DAY)
        .run(&*instagram)
        .await;

    let expected = Got::access("IGAAnew", Lifetime::For(Duration::from_secs(5_183_944)));
    assert_eq!(got.expect("tokens"), expected);
    assert_eq!(
        stub.lines(),
        ["GET /refresh_access_token?grant_type=ig_refresh_token&access_token=IGAAold%7Ctoken"]
    );
}

#[tokio::test]
async fn the_same_string_back_is_a_success() {
    let body = r#"{"access_token":"IGAAold|token","expires_in":5183944}"#;
    let stub = Stub::start([json(200, body)]).await;
    let instagram = provider("instagram", settings(&stub.base_url));

    let got = Refresh::ending(&grant(50 * DAY), DAY)
        .run(&*instagram)
        .await;

    assert_eq!(
        got.expect("tokens").access.as_deref(),
        Some("IGAAold|token")
    );
}

#[tokio::test]
async fn a_token_younger_than_a_day_is_left_alone_and_a_dead_one_is_not_sent() {
    let stub = Stub::start([]).await;
    let instagram = provider("instagram", settings(&stub.base_url));

    let young = Refresh::ending(&grant(DAY - 1), 59 * DAY)
        .run(&*instagram)
        .await;
    let dead = Refresh::ending(&grant(61 * DAY), -1)
        .fail(&*instagram)
        .await;

    let expected = Got::unchanged(Lifetime::Until(after(59 * DAY)));
    assert_eq!(young.expect("it is fine"), expected);
    assert_eq!(
        (dead.verdict.clone(), dead.reason()),
        (Verdict::Reauthorize, "expired")
    );
    assert_eq!(stub.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_refused_young_token_waits_until_it_is_a_day_old() {
    for (refusal, profile) in [
        (json(400, WRONG_FAMILY), json(200, ALIVE)),
        (json(400, DEAD), json(200, ALIVE)),
        (json(400, WRONG_FAMILY), json(404, "")),
        (json(400, WRONG_FAMILY), Reply::Cut),
    ] {
        let (failed, paths) = fail(3600, [refusal, profile]).await;

        let expected = Verdict::RateLimited {
            delay: Some(Duration::from_hours(23)),
            source: DelaySource::ProviderDefault,
        };
        assert_eq!(
            (failed.verdict.clone(), failed.reason()),
            (expected, "too_young")
        );
        assert_eq!(paths, [REFRESH, PROFILE]);
    }
}

#[tokio::test]
async fn a_refusal_in_doubt_is_settled_by_a_look_at_the_profile() {
    let (alive, alive_paths) = fail(9 * DAY, [json(400, WRONG_FAMILY), json(200, ALIVE)]).await;
    let (dead, dead_paths) = fail(9 * DAY, [json(400, WRONG_FAMILY), json(400, DEAD)]).await;
    let (young, _) = fail(60, [json(400, DEAD), json(400, DEAD)]).await;
    let (shut, _) = fail(9 * DAY, [json(400, WRONG_FAMILY), json(400, WRONG_FAMILY)]).await;

    assert_eq!(
        (alive.verdict.clone(), alive_paths),
        (Verdict::Fatal, vec![REFRESH.to_owned(), PROFILE.to_owned()])
    );
    let message = alive.details.provider_message.as_deref();
    assert_eq!(message, Some("Unsupported request - method type: get"));
    assert_eq!(
        (dead.verdict.clone(), dead.reason()),
        (Verdict::Reauthorize, "revoked")
    );
    assert_eq!(dead_paths, [REFRESH, PROFILE]);
    assert_eq!(young.verdict, Verdict::Reauthorize);
    assert_eq!(
        (shut.verdict.clone(), shut.reason()),
        (Verdict::Reauthorize, "revoked")
    );
}

#[tokio::test]
async fn a_refusal_that_names_its_cause_is_not_doubted() {
    let removed =
        r#"{"error":{"message":"x","type":"OAuthException","code":190,"error_subcode":458}}"#;

    let (old, old_paths) = fail(9 * DAY, [json(400, DEAD)]).await;
    let (young, young_paths) = fail(60, [json(400, removed)]).await;
    let (throttled, throttled_paths) = fail(9 * DAY, [json(429, "{}")]).await;

    assert_eq!(old.verdict, Verdict::Reauthorize);
    assert_eq!(
        (young.verdict.clone(), young.reason()),
        (Verdict::Reauthorize, "app_removed")
    );
    assert_eq!(throttled.verdict.class().as_str(), "rate_limited");
    assert_eq!(
        [old_paths, young_paths, throttled_paths],
        [[REFRESH], [REFRESH], [REFRESH]]
    );
}

#[tokio::test]
async fn an_import_takes_what_the_requirements_list_and_needs_no_app() {
    let instagram = provider("instagram", settings("http://127.0.0.1:1"));
    let accept = |credentials: serde_json::Value| {
        let credentials = credentials.as_object().expect("an object").clone();
        instagram.accept(&ImportRequest {
            credentials,
            now: NOW,
        })
    };

    let full = accept(object!({
        "access_token": "IGAA", "expires_in": 5_184_000, "issued_at": "2026-11-20T10:00:00Z",
        "kind": "user", "external_id": "178",
    }));
    let unknown_end = accept(object!({ "access_token": "IGAA" })).expect("accepted");
    let page =
        accept(object!({ "access_token": "IGAA", "kind": "page", "user_access_token": "x" }));

    let full = full.expect("accepted");
    assert_eq!((full.warning, full.due_now), (None, false));
    assert!(unknown_end.due_now && unknown_end.has_refresh_material);
    let fields = page
        .expect_err("refused")
        .into_iter()
        .map(|error| error.field);
    assert_eq!(
        fields.collect::<Vec<_>>(),
        ["credentials.kind", "credentials.user_access_token"]
    );
}

#[tokio::test]
async fn a_good_answer_tells_what_of_the_apps_hour_is_spent() {
    let header = ("X-App-Usage", r#"{"call_count":83,"total_time":20}"#);
    let stub = Stub::start([json_with(200, header, FRESH)]).await;
    let instagram = provider("instagram", settings(&stub.base_url));
    let grant = grant(50 * DAY);
    let refresh = Refresh::ending(&grant, 9 * DAY);

    refresh.run(&*instagram).await.expect("it is refreshed");

    assert_eq!(refresh.permit.heard(), Some(83));
}
