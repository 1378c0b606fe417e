//! Two-level service tokens against recorded answers.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{DelaySource, Grant, Lifetime, Verdict};
use providers::{ProviderSettings, ServiceTokenSettings};

use crate::stub::{Reply, Stub, json, json_with};
use crate::support::{Got, Refresh, provider, settings};

const FRESH: &str = r#"{"access_token":"at.new","expires_in":600}"#;
/// Claims `{"exp":1795176000}`: it ends now.
const ENDED: &str = "eyJ.eyJleHAiOjE3OTUxNzYwMDB9.sig";

fn grant(base_url: Option<&str>) -> Grant {
    Grant {
        keys: BTreeMap::from([("service_token".to_owned(), "st.planted/token".into())]),
        base_url: base_url.map(str::to_owned),
        ..Grant::default()
    }
}

fn at(stub: &Stub) -> String {
    format!("{}/api", stub.base_url)
}

fn guarded() -> ProviderSettings {
    ProviderSettings {
        allow_private: false,
        ..ProviderSettings::default()
    }
}

#[tokio::test]
async fn an_access_token_is_obtained_by_the_documented_request() {
    let stub = Stub::start([json(200, FRESH)]).await;
    let service = provider("service_token", settings(&stub.base_url));

    let got = Refresh::of(&grant(Some(&at(&stub)))).run(&*service).await;

    let expected = Got::access("at.new", Lifetime::For(Duration::from_mins(10)));
    assert_eq!(got.expect("tokens"), expected);
    let asked = stub.asked();
    assert_eq!(asked[0].line, "POST /api/auth/service-token/refresh");
    assert_eq!(
        asked[0].header("authorization"),
        Some("Bearer st.planted/token")
    );
    assert_eq!(asked[0].header("content-length"), Some("0"));
    assert_eq!(
        (asked[0].header("content-type"), asked[0].body.as_str()),
        (None, "")
    );
}

#[tokio::test]
async fn an_untold_lifetime_is_fifteen_minutes() {
    let stub = Stub::start([json(200, r#"{"access_token":"at.new"}"#)]).await;
    let service = provider("service_token", settings(&stub.base_url));

    let got = Refresh::of(&grant(Some(&at(&stub)))).run(&*service).await;

    let quarter = Lifetime::For(Duration::from_mins(15));
    assert_eq!(got.expect("tokens"), Got::access("at.new", quarter));
}

#[tokio::test]
async fn a_channel_without_an_address_uses_the_operators_though_it_is_private() {
    let stub = Stub::start([json(200, FRESH)]).await;
    let with_default = ProviderSettings {
        service_token: ServiceTokenSettings {
            base_url: Some(at(&stub)),
        },
        ..guarded()
    };

    let got = Refresh::of(&grant(None))
        .run(&*provider("service_token", with_default))
        .await;
    let none = Refresh::of(&grant(None))
        .fail(&*provider("service_token", guarded()))
        .await;

    assert_eq!(got.expect("tokens").access.as_deref(), Some("at.new"));
    assert_eq!(
        (none.verdict.clone(), none.reason()),
        (Verdict::Misconfigured, "provider_not_configured")
    );
}

#[tokio::test]
async fn a_tenants_private_address_is_not_called() {
    let stub = Stub::start([]).await;
    let service = provider("service_token", guarded());
    let port = stub.base_url.rsplit(':').next().expect("a port").to_owned();

    for (base, reason) in [
        (at(&stub), "address_refused"),
        (format!("https://127.0.0.1:{port}/api"), "private_address"),
        (format!("https://localhost:{port}/api"), "private_address"),
        (
            format!("https://[::ffff:127.0.0.1]:{port}/api"),
            "private_address",
        ),
        (
            "https://169.254.169.254/latest".to_owned(),
            "private_address",
        ),
    ] {
        let failed = Refresh::of(&grant(Some(&base))).fail(&*service).await;

        assert_eq!(
            (failed.verdict.clone(), failed.reason()),
            (Verdict::Misconfigured, reason)
        );
    }
    assert_eq!(stub.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_redirect_to_elsewhere_is_not_followed() {
    let elsewhere = Stub::start([json(200, FRESH)]).await;
    let stub = Stub::start([json_with(307, ("location", &elsewhere.base_url), "")]).await;
    let service = provider("service_token", settings(&stub.base_url));

    let failed = Refresh::of(&grant(Some(&at(&stub)))).fail(&*service).await;

    assert_eq!(
        (failed.verdict.clone(), failed.reason()),
        (Verdict::Misconfigured, "redirected")
    );
    assert_eq!(elsewhere.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn one_key_has_one_call_at_a_time_at_an_address() {
    let stub = Stub::start([Reply::Hang, json(200, FRESH)]).await;
    let service = provider("service_token", settings(&stub.base_url));
    let grant = grant(Some(&at(&stub)));
    let hanging = tokio::spawn({
        let (service, grant) = (service.clone(), grant.clone());
        async move { Refresh::of(&grant).run(&*service).await }
    });
    while stub.lines().is_empty() {
        tokio::task::yield_now().await;
    }

    let busy = Refresh::of(&grant).fail(&*service).await;
    hanging.abort();
    assert!(hanging.await.is_err());
    let after = Refresh::of(&grant).run(&*service).await;

    let waits = Verdict::RateLimited {
        delay: None,
        source: DelaySource::ProviderDefault,
    };
    assert_eq!((busy.verdict.clone(), busy.reason()), (waits, "busy"));
    assert!(after.is_ok());
    assert_eq!(stub.lines().len(), 2);
}

#[tokio::test]
async fn an_endpoint_of_any_kind_of_nonsense_is_one_clear_error() {
    let html = "<html>".repeat(100);
    let huge = "x".repeat(20 * 1024 * 1024);
    let unknown = Verdict::retry_then(2, Verdict::Fatal);
    for (reply, verdict, reason) in [
        (json(200, &html), unknown, "unknown_answer"),
        (json(404, &html), Verdict::Misconfigured, "-"),
        (json(200, &huge), Verdict::Retry, "answer_too_large"),
        (Reply::Hang, Verdict::Retry, "no_answer"),
        (Reply::CutBody, Verdict::Retry, "no_answer"),
    ] {
        let stub = Stub::start([reply]).await;
        let impatient = ProviderSettings {
            timeout: Duration::from_secs(1),
            ..settings(&stub.base_url)
        };
        let service = provider("service_token", impatient);

        let failed = Refresh::of(&grant(Some(&at(&stub)))).fail(&*service).await;

        assert_eq!((failed.verdict.clone(), failed.reason()), (verdict, reason));
    }
}

#[tokio::test]
async fn a_service_token_that_has_ended_or_cannot_be_presented_is_not_sent() {
    let stub = Stub::start([]).await;
    let service = provider("service_token", settings(&stub.base_url));
    let mut ended = grant(Some(&at(&stub)));
    ended.keys.insert("service_token".to_owned(), ENDED.into());

    let ended = Refresh::of(&ended).fail(&*service).await;
    let none = Refresh::of(&Grant::default()).fail(&*service).await;

    assert_eq!(
        (ended.verdict.clone(), ended.reason()),
        (Verdict::Reauthorize, "expired")
    );
    assert_eq!(none.verdict, Verdict::NoRefreshMaterial);
    assert_eq!(stub.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_echoed_service_token_is_not_reported_and_every_key_is_its_own_app() {
    let body = r#"{"detail":"st.planted/token is unknown"}"#;
    let stub = Stub::start([json(401, body)]).await;
    let service = provider("service_token", settings(&stub.base_url));
    let grant = grant(Some(&at(&stub)));

    let failed = Refresh::of(&grant).fail(&*service).await;

    let message = failed.details.provider_message.as_deref();
    assert_eq!(message, Some("[redacted] is unknown"));
    assert_eq!(
        (failed.verdict.clone(), failed.reason()),
        (Verdict::Reauthorize, "bad_credentials")
    );
    assert!(!failed.text.contains("planted"), "{}", failed.text);
    let identity = service.app_identity(&grant);
    assert!(identity.starts_with("service_token:") && !identity.contains("planted"));
    assert_ne!(identity, service.app_identity(&Grant::default()));
}
