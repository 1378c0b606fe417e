//! TikTok's first OAuth against recorded answers.

use std::time::Duration;

use domain::{Grant, Lifetime, Verdict};
use providers::{ProviderSettings, TikTokSettings};

use crate::stub::{Stub, json};
use crate::support::{Got, Refresh, provider, settings};

fn grant() -> Grant {
    Grant {
        refresh_token: Some("rft.old/token".into()),
        ..Grant::default()
    }
}

fn envelope(expires_in: &str, refresh_expires_in: &str) -> String {
    format!(
        r#"{{"data":{{"access_token":"act.x","captcha":"","desc_url":"","description":"",
        "error_code":0,"expires_in":{expires_in},"open_id":"oid","scope":"user.info.basic",
        "refresh_expires_in":{refresh_expires_in},"refresh_token":"rft.x"}},"message":"success"}}"#
    )
}

#[tokio::test]
async fn a_refresh_has_everything_in_the_query_and_no_secret_of_the_app() {
    let stub = Stub::start([json(200, &envelope("86400", "31536000"))]).await;
    let legacy = provider("tiktok_legacy", settings(&stub.base_url));

    Refresh::of(&grant()).run(&*legacy).await.expect("tokens");

    let asked = stub.asked();
    assert_eq!(
        asked[0].line,
        "POST /oauth/refresh_token/?client_key=aw123fake&grant_type=refresh_token\
         &refresh_token=rft.old%2Ftoken"
    );
    assert_eq!(
        (asked[0].body.as_str(), asked[0].header("content-length")),
        ("", Some("0"))
    );
}

#[tokio::test]
async fn numbers_may_be_strings() {
    for (expires_in, refresh_expires_in) in [("86400", "31536000"), ("\"86400\"", "\"31536000\"")] {
        let stub = Stub::start([json(200, &envelope(expires_in, refresh_expires_in))]).await;
        let legacy = provider("tiktok_legacy", settings(&stub.base_url));

        let got = Refresh::of(&grant()).run(&*legacy).await.expect("tokens");

        let expected = Got {
            refresh: Some("rft.x".to_owned()),
            refresh_lifetime: Some(Lifetime::For(Duration::from_hours(365 * 24))),
            scope: Some("user.info.basic".to_owned()),
            external_id: Some("oid".to_owned()),
            ..Got::access("act.x", Lifetime::For(Duration::from_hours(24)))
        };
        assert_eq!(got, expected);
    }
}

#[tokio::test]
async fn a_success_must_say_so_twice() {
    let twice = Verdict::retry_then(2, Verdict::Fatal);
    for body in [
        envelope("86400", "1").replace("success", "error"),
        envelope("86400", "1").replace("\"error_code\":0,", ""),
    ] {
        let stub = Stub::start([json(200, &body)]).await;
        let legacy = provider("tiktok_legacy", settings(&stub.base_url));

        let failed = Refresh::of(&grant()).fail(&*legacy).await;

        assert_eq!(failed.verdict, twice, "{body}");
    }
}

#[tokio::test]
async fn a_refusal_tells_its_code_and_its_words() {
    let body = r#"{"data":{"captcha":"","desc_url":"","description":"Refresh token expired",
        "error_code":10010},"message":"error"}"#;
    let stub = Stub::start([json(200, body)]).await;
    let legacy = provider("tiktok_legacy", settings(&stub.base_url));

    let failed = Refresh::of(&grant()).fail(&*legacy).await;

    assert_eq!(
        (failed.verdict.clone(), failed.reason()),
        (Verdict::Reauthorize, "expired")
    );
    assert_eq!(failed.details.provider_code.as_deref(), Some("10010"));
    let message = failed.details.provider_message.as_deref();
    assert_eq!(message, Some("Refresh token expired"));
}

#[tokio::test]
async fn no_error_shows_the_query() {
    let stub = Stub::start([crate::stub::Reply::Cut]).await;
    let legacy = provider("tiktok_legacy", settings(&stub.base_url));

    let failed = Refresh::of(&grant()).fail(&*legacy).await;

    assert!(failed.error.may_have_reached_provider());
    assert!(
        !failed.text.contains("rft.old") && !failed.text.contains('?'),
        "{}",
        failed.text
    );
}

#[tokio::test]
async fn its_app_is_the_one_of_tiktok_for_developers() {
    let stub = Stub::start([]).await;
    let without_app = ProviderSettings {
        tiktok: TikTokSettings {
            client_key: None,
            ..settings(&stub.base_url).tiktok
        },
        ..settings(&stub.base_url)
    };
    let legacy = provider("tiktok_legacy", without_app);

    let failed = Refresh::of(&grant()).fail(&*legacy).await;

    assert_eq!(failed.verdict, Verdict::Misconfigured);
    assert_eq!(legacy.missing_settings(), ["TIKTOK_CLIENT_KEY"]);
}
