//! Facturify against recorded answers.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Grant, Lifetime, Margin, Verdict};
use providers::{
    FACTURIFY_OF_SETTINGS, FacturifySettings, ProviderSettings, RefreshMethod, facturify_anew,
    is_facturify_anew,
};

use crate::stub::{Reply, Stub, json};
use crate::support::{Allow, Got, NOW, Refresh, after, provider, settings};

const OBTAINED: &str = r#"{"message":"Token generado","jwt":{"token":"tok-a","expires_in":240}}"#;
const REFRESHED: &str =
    r#"{"message":"Token actualizado","jwt":{"token":"tok-r","expires_in":43200}}"#;
const EXPIRED: &str = r#"{"code":51,"message":"El token ha expirado"}"#;

const AUTH: &str = "POST /api/v1/auth";
const REFRESH: &str = "POST /api/v1/token/refresh";
const REFRESH_BY_GET: &str = "GET /api/v1/token/refresh";

fn grant(token: Option<&str>) -> Grant {
    Grant {
        access_token: token.map(Into::into),
        keys: BTreeMap::from([
            ("api_key".to_owned(), "key-1234".into()),
            ("api_secret".to_owned(), "secret-5678".into()),
        ]),
        ..Grant::default()
    }
}

fn obtained() -> Got {
    Got {
        scope: Some("auth".to_owned()),
        ..Got::access("tok-a", Lifetime::For(Duration::from_mins(4)))
    }
}

fn refreshed() -> Got {
    Got {
        scope: Some("token/refresh".to_owned()),
        ..Got::access("tok-r", Lifetime::For(Duration::from_hours(12)))
    }
}

#[tokio::test]
async fn a_key_obtains_a_token_by_the_documented_request() {
    let stub = Stub::start([json(200, OBTAINED)]).await;
    let facturify = provider("facturify", settings(&stub.base_url));

    let got = Refresh::of(&grant(None)).run(&*facturify).await;

    assert_eq!(got.expect("a token"), obtained());
    let asked = stub.asked();
    assert_eq!(asked[0].line, AUTH);
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    assert_eq!(
        asked[0].body,
        r#"{"api_key":"key-1234","api_secret":"secret-5678"}"#
    );
}

#[tokio::test]
async fn a_token_is_refreshed_by_an_empty_request_that_presents_it() {
    let stub = Stub::start([json(200, REFRESHED)]).await;
    let facturify = provider("facturify", settings(&stub.base_url));

    let got = Refresh::of(&grant(Some("tok-a"))).run(&*facturify).await;

    assert_eq!(got.expect("a token"), refreshed());
    let asked = stub.asked();
    assert_eq!(asked[0].line, REFRESH);
    assert_eq!(asked[0].header("authorization"), Some("Bearer tok-a"));
    assert_eq!(asked[0].header("content-length"), Some("0"));
    assert_eq!(asked[0].body, "");
}

#[tokio::test]
async fn a_refused_token_starts_over_in_the_same_call() {
    for refusal in [
        json(401, EXPIRED),
        json(422, "{}"),
        json(400, ""),
        json(200, EXPIRED),
    ] {
        let stub = Stub::start([refusal.clone(), json(200, OBTAINED)]).await;
        let facturify = provider("facturify", settings(&stub.base_url));

        let got = Refresh::of(&grant(Some("tok-old"))).run(&*facturify).await;

        assert_eq!(got.expect("a token"), obtained(), "{refusal:?}");
        assert_eq!(stub.lines(), [REFRESH, AUTH], "{refusal:?}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_stand_in_a_header_is_obtained_anew() {
    let stub = Stub::start([json(200, OBTAINED)]).await;
    let facturify = provider("facturify", settings(&stub.base_url));

    let got = Refresh::of(&grant(Some("tok\r\nx: y")))
        .run(&*facturify)
        .await;

    assert_eq!(got.expect("a token"), obtained());
    assert_eq!(stub.lines(), [AUTH]);
}

#[tokio::test]
async fn every_request_of_a_call_asks_for_its_permit() {
    let stub = Stub::start([json(401, EXPIRED)]).await;
    let facturify = provider("facturify", settings(&stub.base_url));
    let grant = grant(Some("tok-old"));
    let refresh = Refresh {
        permit: Allow::only(1),
        ..Refresh::of(&grant)
    };

    let failed = refresh.fail(&*facturify).await;

    assert!(matches!(
        failed.error,
        providers::RefreshError::NotPermitted(_)
    ));
    assert_eq!(stub.lines(), [REFRESH]);
}

#[tokio::test]
async fn the_method_that_works_is_found_once_and_remembered() {
    let replies = [json(405, ""), json(200, REFRESHED), json(200, REFRESHED)];
    let stub = Stub::start(replies).await;
    let facturify = provider("facturify", settings(&stub.base_url));
    let grant = grant(Some("tok-a"));

    let first = Refresh::of(&grant).run(&*facturify).await;
    let second = Refresh::of(&grant).run(&*facturify).await;

    assert_eq!(first.expect("a token"), refreshed());
    assert_eq!(second.expect("a token"), refreshed());
    assert_eq!(stub.lines(), [REFRESH, REFRESH_BY_GET, REFRESH_BY_GET]);
}

#[tokio::test]
async fn the_method_can_be_set_and_neither_working_is_unknown() {
    let stub = Stub::start([json(404, ""), json(404, ""), json(404, ""), json(404, "")]).await;
    let settings = settings(&stub.base_url);
    let settings = ProviderSettings {
        facturify: FacturifySettings {
            refresh_method: RefreshMethod::Get,
            ..settings.facturify
        },
        ..settings
    };
    let facturify = provider("facturify", settings);
    let grant = grant(Some("tok-a"));

    let failed = Refresh::of(&grant).fail(&*facturify).await;
    Refresh::of(&grant).fail(&*facturify).await;

    assert_eq!(failed.verdict, Verdict::retry_then(2, Verdict::Fatal));
    assert_eq!(failed.reason(), "unknown_answer");
    assert_eq!(
        stub.lines(),
        [REFRESH_BY_GET, REFRESH, REFRESH_BY_GET, REFRESH]
    );
}

#[tokio::test]
async fn a_server_error_is_retried_three_times_within_the_call() {
    let down = || json(503, "");
    let recovers = Stub::start([down(), down(), down(), json(200, OBTAINED)]).await;
    let stays_down = Stub::start([down(), down(), down(), down(), down()]).await;
    let grant = grant(None);

    let recovered = Refresh::of(&grant)
        .run(&*provider("facturify", settings(&recovers.base_url)))
        .await;
    let failed = Refresh::of(&grant)
        .fail(&*provider("facturify", settings(&stays_down.base_url)))
        .await;

    assert_eq!(recovered.expect("a token"), obtained());
    assert_eq!(recovers.lines().len(), 4);
    assert_eq!(failed.verdict, Verdict::Retry);
    assert_eq!(failed.details.http_status, Some(503));
    assert_eq!(stays_down.lines().len(), 4);
}

#[tokio::test]
async fn a_retry_that_is_not_permitted_leaves_the_answer_that_there_was() {
    let stub = Stub::start([json(503, ""), json(503, "")]).await;
    let facturify = provider("facturify", settings(&stub.base_url));
    let grant = grant(None);
    let refresh = Refresh {
        permit: Allow::only(1),
        ..Refresh::of(&grant)
    };

    let failed = refresh.fail(&*facturify).await;

    assert_eq!(failed.details.http_status, Some(503));
    assert_eq!(stub.lines(), [AUTH]);
}

#[tokio::test]
async fn a_request_without_an_answer_is_not_repeated_within_the_call() {
    let stub = Stub::start([Reply::Cut, json(200, OBTAINED)]).await;
    let facturify = provider("facturify", settings(&stub.base_url));

    let failed = Refresh::of(&grant(None)).fail(&*facturify).await;

    assert!(failed.error.may_have_reached_provider());
    assert_eq!(stub.lines(), [AUTH]);
}

#[tokio::test]
async fn a_wrong_key_needs_its_owner_and_is_not_repeated() {
    let body = r#"{"code":"401","message":"La llave key-1234 no existe (secret-5678)"}"#;
    let stub = Stub::start([json(401, body)]).await;
    let facturify = provider("facturify", settings(&stub.base_url));

    let failed = Refresh::of(&grant(None)).fail(&*facturify).await;

    assert_eq!(failed.verdict, Verdict::Reauthorize);
    assert_eq!(failed.reason(), "bad_credentials");
    assert_eq!(failed.details.provider_code.as_deref(), Some("401"));
    assert_eq!(
        failed.details.provider_message.as_deref(),
        Some("La llave [redacted] no existe ([redacted])")
    );
    assert_eq!(failed.details.http_status, Some(401));
    assert_eq!(stub.lines(), [AUTH]);
}

#[tokio::test]
async fn the_earlier_of_expires_in_and_exp_is_the_end() {
    let now = NOW.as_millis() / 1000;
    for (lifetime, told, expected) in [
        (240, 240, Lifetime::For(Duration::from_mins(4))),
        (240, 86_400, Lifetime::Until(after(240))),
        (86_400, 240, Lifetime::For(Duration::from_mins(4))),
    ] {
        let claims = format!(r#"{{"iat":{now},"exp":{}}}"#, now + lifetime);
        let token = format!("eyJ.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        let body = format!(r#"{{"jwt":{{"token":"{token}","expires_in":{told}}}}}"#);
        let stub = Stub::start([json(200, &body)]).await;
        let facturify = provider("facturify", settings(&stub.base_url));

        let got = Refresh::of(&grant(None)).run(&*facturify).await;

        assert_eq!(got.expect("a token").lifetime, expected);
    }
}

#[tokio::test]
async fn only_a_short_token_from_auth_is_due_five_seconds_after_its_issue() {
    let facturify = provider("facturify", settings("https://api.facturify.com"));
    let target = |scope: &str, seconds| {
        let grant = Grant {
            scope: Some(scope.to_owned()),
            ..grant(None)
        };
        let lifetime = Duration::from_secs(seconds);
        facturify.window(&grant, Some(lifetime)).target
    };

    let at_once = Margin::AfterIssue(Duration::from_secs(5));
    let buffered = Margin::Fixed(Duration::from_mins(1));
    assert_eq!(target("auth", 240), at_once);
    assert_eq!(target("auth", 300), buffered);
    assert_eq!(target("token/refresh", 43_200), buffered);
    assert_eq!(target("token/refresh", 240), buffered);
}

#[tokio::test]
async fn a_tenants_key_is_its_own_app_and_is_not_shown() {
    let facturify = provider("facturify", settings("https://api.facturify.com"));
    let other = Grant {
        keys: BTreeMap::from([("api_key".to_owned(), "key-9999".into())]),
        ..Grant::default()
    };

    let identity = facturify.app_identity(&grant(None));

    assert!(identity.starts_with("facturify:") && !identity.contains("key"));
    assert_eq!(identity.len(), "facturify:".len() + 16);
    assert_ne!(identity, facturify.app_identity(&other));
    assert_eq!(identity, facturify.app_identity(&grant(Some("tok"))));
}

#[tokio::test]
async fn a_new_token_that_is_wished_for_is_obtained_although_the_old_one_lives() {
    let stub = Stub::start([json(200, OBTAINED)]).await;
    let facturify = provider("facturify", settings(&stub.base_url));
    let wished = facturify_anew(grant(Some("tok-old")));

    let got = Refresh::of(&wished).run(&*facturify).await;

    assert_eq!(got.expect("a token"), obtained());
    assert_eq!(stub.asked()[0].line, AUTH);
    assert!(wished.access_token.is_some() && is_facturify_anew(&wished));
}

#[tokio::test]
async fn a_wrong_key_of_the_settings_is_its_operator_s_to_mend() {
    for status in [401, 422] {
        let stub = Stub::start([json(status, r#"{"message":"no"}"#)]).await;
        let facturify = provider("facturify", settings(&stub.base_url));
        let grant = grant(None);
        let refresh = Refresh {
            external_id: Some(FACTURIFY_OF_SETTINGS),
            ..Refresh::of(&grant)
        };

        let error = refresh.run(&*facturify).await.expect_err("refused");

        assert_eq!(error.verdict(), Verdict::Misconfigured, "{status}");
    }
}
