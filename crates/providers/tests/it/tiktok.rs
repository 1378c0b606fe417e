//! TikTok v2 against recorded answers.

use std::time::Duration;

use domain::{DelaySource, Grant, Lifetime, Verdict};
use providers::{ProviderSettings, TikTokSettings};

use crate::stub::{Stub, json, json_with};
use crate::support::{Allow, Got, Refresh, provider, settings};

const FRESH: &str = r#"{"access_token":"act.new","expires_in":7200,"open_id":"afd97af1-fake",
"refresh_expires_in":15552000,"refresh_token":"rft.new","scope":"user.info.basic,video.list",
"token_type":"Bearer"}"#;

fn grant() -> Grant {
    Grant {
        access_token: Some("act.old-access".into()),
        refresh_token: Some("rft.old/refresh".into()),
        ..Grant::default()
    }
}

fn fresh() -> Got {
    Got {
        refresh: Some("rft.new".to_owned()),
        refresh_lifetime: Some(Lifetime::For(Duration::from_hours(24 * 180))),
        scope: Some("user.info.basic,video.list".to_owned()),
        external_id: Some("afd97af1-fake".to_owned()),
        ..Got::access("act.new", Lifetime::For(Duration::from_hours(2)))
    }
}

#[tokio::test]
async fn a_refresh_sends_the_documented_form_and_nothing_else() {
    let stub = Stub::start([json(200, FRESH)]).await;
    let tiktok = provider("tiktok", settings(&stub.base_url));

    let got = Refresh::of(&grant()).run(&*tiktok).await.expect("tokens");

    assert_eq!(got, fresh());
    let asked = stub.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].line, "POST /v2/oauth/token/");
    assert_eq!(
        asked[0].body,
        "client_key=aw123fake&client_secret=tiktok_secret%26fake\
         &grant_type=refresh_token&refresh_token=rft.old%2Frefresh"
    );
    assert_eq!(
        asked[0].header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(
        asked[0].header("user-agent"),
        Some(concat!("tokenfleet/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(asked[0].header("accept-encoding"), None);
}

#[tokio::test]
async fn lifetimes_may_come_as_strings_and_the_rest_may_be_absent() {
    let body = r#"{"access_token":"act.new","expires_in":"86400"}"#;
    let stub = Stub::start([json(200, body)]).await;
    let tiktok = provider("tiktok", settings(&stub.base_url));

    let got = Refresh::of(&grant()).run(&*tiktok).await.expect("tokens");

    let day = Lifetime::For(Duration::from_hours(24));
    assert_eq!(got, Got::access("act.new", day));
}

#[tokio::test]
async fn an_error_in_the_body_is_an_error_at_200_too() {
    let body = r#"{"error":"invalid_grant","error_description":"Refresh token is revoked.",
        "log_id":"20220622"}"#;
    for status in [200, 400] {
        let stub = Stub::start([json(status, body)]).await;
        let tiktok = provider("tiktok", settings(&stub.base_url));

        let failed = Refresh::of(&grant()).fail(&*tiktok).await;

        assert_eq!(failed.verdict, Verdict::Reauthorize);
        let details = failed.details;
        assert_eq!(details.reason.as_deref(), Some("revoked"));
        assert_eq!(details.provider_code.as_deref(), Some("invalid_grant"));
        assert_eq!(
            details.provider_message.as_deref(),
            Some("Refresh token is revoked.")
        );
        assert_eq!(details.trace_id.as_deref(), Some("20220622"));
        assert_eq!(details.http_status, Some(status));
    }
}

#[tokio::test]
async fn tokens_of_another_account_are_not_taken() {
    let stub = Stub::start([json(200, FRESH)]).await;
    let tiktok = provider("tiktok", settings(&stub.base_url));
    let grant = grant();
    let refresh = Refresh {
        external_id: Some("somebody-else"),
        ..Refresh::of(&grant)
    };

    let failed = refresh.fail(&*tiktok).await;

    assert_eq!(failed.verdict, Verdict::Fatal);
    assert_eq!(failed.reason(), "identity_mismatch");
}

#[tokio::test]
async fn a_throttled_refresh_waits_as_long_as_it_was_told() {
    for (reply, seconds, source) in [
        (
            json_with(429, ("retry-after", "90"), ""),
            90,
            DelaySource::RetryAfter,
        ),
        (
            json_with(429, ("x-ratelimit-reset", "30"), ""),
            30,
            DelaySource::ProviderHeader,
        ),
        (json(429, "slow down"), 60, DelaySource::ProviderDefault),
    ] {
        let stub = Stub::start([reply]).await;
        let tiktok = provider("tiktok", settings(&stub.base_url));

        let failed = Refresh::of(&grant()).fail(&*tiktok).await;

        let delay = Some(Duration::from_secs(seconds));
        assert_eq!(failed.verdict, Verdict::RateLimited { delay, source });
    }
}

#[tokio::test]
async fn without_a_refresh_token_or_a_permit_nothing_is_sent() {
    let stub = Stub::start([]).await;
    let tiktok = provider("tiktok", settings(&stub.base_url));
    let empty = Grant::default();
    let full = grant();

    let no_token = Refresh::of(&empty).fail(&*tiktok).await;
    let not_permitted = Refresh {
        permit: Allow::only(0),
        ..Refresh::of(&full)
    }
    .fail(&*tiktok)
    .await;

    assert_eq!(no_token.verdict, Verdict::NoRefreshMaterial);
    assert!(matches!(
        not_permitted.error,
        providers::RefreshError::NotPermitted(providers::NotPermitted::LeaseEnding)
    ));
    assert!(!not_permitted.error.may_have_reached_provider());
    assert_eq!(stub.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn without_app_credentials_nothing_is_sent() {
    let stub = Stub::start([]).await;
    let tiktok = provider(
        "tiktok",
        ProviderSettings {
            tiktok: TikTokSettings {
                base_url: stub.base_url.clone(),
                client_secret: None,
                client_key: Some(String::new()),
                ..TikTokSettings::default()
            },
            ..ProviderSettings::default()
        },
    );

    let failed = Refresh::of(&grant()).fail(&*tiktok).await;

    assert_eq!(failed.verdict, Verdict::Misconfigured);
    assert_eq!(failed.reason(), "provider_not_configured");
    assert_eq!(
        tiktok.missing_settings(),
        ["TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET"]
    );
    assert_eq!(stub.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_echoed_credential_is_not_reported() {
    let body = r#"{"error":"rft.old/refresh","error_description":
        "rft.old%2Frefresh of tiktok_secret&fake, cut rft.old/ref...","log_id":"act.old-access"}"#;
    let stub = Stub::start([json(400, body)]).await;
    let tiktok = provider("tiktok", settings(&stub.base_url));

    let failed = Refresh::of(&grant()).fail(&*tiktok).await;

    assert_eq!(failed.details.provider_code.as_deref(), Some("[redacted]"));
    assert_eq!(failed.details.trace_id.as_deref(), Some("[redacted]"));
    assert_eq!(
        failed.details.provider_message.as_deref(),
        Some("[redacted] of [redacted], cut [redacted]...")
    );
    for secret in ["rft.old", "secret&fake", "old-access"] {
        assert!(!failed.text.contains(secret), "{}", failed.text);
    }
}
