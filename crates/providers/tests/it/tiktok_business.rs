//! TikTok's API for Business against recorded answers.

use std::time::Duration;

use domain::{ChannelState, Grant, Lifetime, Verdict};
use providers::{ProviderSettings, TikTokBusinessSettings};

use crate::stub::{Stub, json};
use crate::support::{Got, Refresh, provider, settings};

const FRESH: &str = r#"{"code":0,"message":"OK","request_id":"2026","data":{"access_token":"new",
    "token_type":"Bearer","scope":"user.info.basic,video.list","expires_in":86400,
    "refresh_token":"new-r","refresh_token_expires_in":31536000,"open_id":"oid-fake"}}"#;

fn grant() -> Grant {
    Grant {
        refresh_token: Some("old-refresh/token".into()),
        ..Grant::default()
    }
}

#[tokio::test]
async fn an_account_is_refreshed_by_the_documented_json_and_its_data_is_read() {
    let stub = Stub::start([json(200, FRESH)]).await;
    let business = provider("tiktok_business", settings(&stub.base_url));

    let got = Refresh::of(&grant()).run(&*business).await.expect("tokens");

    let expected = Got {
        refresh: Some("new-r".to_owned()),
        refresh_lifetime: Some(Lifetime::For(Duration::from_hours(365 * 24))),
        scope: Some("user.info.basic,video.list".to_owned()),
        external_id: Some("oid-fake".to_owned()),
        ..Got::access("new", Lifetime::For(Duration::from_hours(24)))
    };
    assert_eq!(got, expected);
    let asked = stub.asked();
    assert_eq!(
        asked[0].line,
        "POST /open_api/v1.3/tt_user/oauth2/refresh_token/"
    );
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    assert_eq!(
        asked[0].body,
        r#"{"client_id":"7001","client_secret":"business_secret_fake","grant_type":"refresh_token","refresh_token":"old-refresh/token"}"#
    );
}

#[tokio::test]
async fn the_code_decides_at_status_200_and_nothing_secret_is_repeated() {
    let body = r#"{"code":40105,"message":"old-refresh/token of business_secret_fake is dead","request_id":"2026"}"#;
    let stub = Stub::start([json(200, body)]).await;
    let business = provider("tiktok_business", settings(&stub.base_url));

    let failed = Refresh::of(&grant()).fail(&*business).await;

    assert_eq!(
        (failed.verdict.clone(), failed.reason()),
        (Verdict::Reauthorize, "revoked")
    );
    let details = failed.details;
    assert_eq!(details.provider_code.as_deref(), Some("40105"));
    assert_eq!(details.trace_id.as_deref(), Some("2026"));
    let message = details.provider_message.as_deref();
    assert_eq!(message, Some("[redacted] of [redacted] is dead"));
}

#[tokio::test]
async fn a_success_without_its_code_or_its_token_is_none() {
    for body in [
        r#"{"data":{"access_token":"new"}}"#,
        r#"{"code":0,"data":{}}"#,
        r#"{"code":0}"#,
        r#"{"access_token":"new"}"#,
    ] {
        let stub = Stub::start([json(200, body)]).await;
        let business = provider("tiktok_business", settings(&stub.base_url));

        let failed = Refresh::of(&grant()).fail(&*business).await;

        assert_eq!(
            failed.verdict,
            Verdict::retry_then(2, Verdict::Fatal),
            "{body}"
        );
    }
}

#[tokio::test]
async fn tokens_of_another_account_are_not_taken() {
    let stub = Stub::start([json(200, FRESH)]).await;
    let business = provider("tiktok_business", settings(&stub.base_url));
    let grant = grant();
    let refresh = Refresh {
        external_id: Some("somebody-else"),
        ..Refresh::of(&grant)
    };

    let failed = refresh.fail(&*business).await;

    assert_eq!(
        (failed.verdict.clone(), failed.reason()),
        (Verdict::Fatal, "identity_mismatch")
    );
}

#[tokio::test]
async fn an_advertisers_token_stays_as_it_is_and_nobody_is_asked() {
    let stub = Stub::start([]).await;
    let business = provider("tiktok_business", settings(&stub.base_url));
    let advertiser = Grant {
        access_token: Some("long-lived".into()),
        ..Grant::default()
    };
    let refresh = Refresh {
        state: ChannelState::NeverExpires,
        ..Refresh::of(&advertiser)
    };

    let got = refresh.run(&*business).await.expect("it is fine");
    let without_pair = Refresh::ending(&advertiser, 60).fail(&*business).await;

    assert_eq!(got, Got::unchanged(Lifetime::Never));
    assert_eq!(without_pair.verdict, Verdict::NoRefreshMaterial);
    assert_eq!(stub.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn its_app_is_not_the_one_of_tiktok_for_developers() {
    let stub = Stub::start([]).await;
    let without_app = ProviderSettings {
        tiktok_business: TikTokBusinessSettings {
            base_url: stub.base_url.clone(),
            app_id: None,
            app_secret: None,
            ..TikTokBusinessSettings::default()
        },
        ..settings(&stub.base_url)
    };
    let business = provider("tiktok_business", without_app);

    let failed = Refresh::of(&grant()).fail(&*business).await;

    assert_eq!(
        (failed.verdict.clone(), failed.reason()),
        (Verdict::Misconfigured, "provider_not_configured")
    );
    assert_eq!(
        business.missing_settings(),
        ["TIKTOK_APP_ID", "TIKTOK_APP_SECRET"]
    );
    assert_eq!(stub.lines(), Vec::<String>::new());
}
