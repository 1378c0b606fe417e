//! Generic OAuth 2.0 providers against recorded answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{DelaySource, Grant, Lifetime, ProviderName, Verdict};
use providers::{
    AuthStyle, BodyFormat, ErrorWords, OAuth2Settings, Provider, ProviderSettings, Providers,
    Rotation, SettingsError, TokenRotation,
};

use crate::stub::{Reply, Stub, json, json_with};
use crate::support::{Got, Refresh};

const FRESH: &str = r#"{"access_token":"at.new","token_type":"Bearer","expires_in":3600,
    "refresh_token":"rt.new","scope":"a b"}"#;

fn grant() -> Grant {
    Grant {
        refresh_token: Some("rt.old/token".into()),
        ..Grant::default()
    }
}

fn described(stub: &Stub) -> OAuth2Settings {
    OAuth2Settings {
        token_url: Some(format!("{}/oauth/token/", stub.base_url)),
        client_id: "id 1".to_owned(),
        client_secret: Some("s:ecret&fake".into()),
        ..OAuth2Settings::default()
    }
}

fn named(name: &str, described: OAuth2Settings) -> Arc<dyn Provider> {
    let settings = ProviderSettings {
        timeout: Duration::from_secs(1),
        oauth2: BTreeMap::from([(name.to_owned(), described)]),
        ..ProviderSettings::default()
    };
    let providers = Providers::new(settings).expect("it is described");
    let name = ProviderName::from(format!("oauth2:{name}"));
    providers.get(&name).expect("it is known")
}

fn acme(described: OAuth2Settings) -> Arc<dyn Provider> {
    named("acme", described)
}

fn fresh() -> Got {
    Got {
        refresh: Some("rt.new".to_owned()),
        scope: Some("a b".to_owned()),
        ..Got::access("at.new", Lifetime::For(Duration::from_hours(1)))
    }
}

#[tokio::test]
async fn every_dialect_sends_its_request_and_nothing_else() {
    let form = "application/x-www-form-urlencoded";
    let grant_form = "grant_type=refresh_token&refresh_token=rt.old%2Ftoken";
    let grant_json = r#""grant_type":"refresh_token","refresh_token":"rt.old/token""#;
    // base64 of "id+1:s%3Aecret%26fake"
    let basic = Some("Basic aWQrMTpzJTNBZWNyZXQlMjZmYWtl");
    let in_form = "&client_id=id+1&client_secret=s%3Aecret%26fake";
    let in_json = r#""client_id":"id 1","client_secret":"s:ecret&fake","#;
    for (style, format, header, content_type, body) in [
        (
            AuthStyle::Basic,
            BodyFormat::Form,
            basic,
            form,
            grant_form.to_owned(),
        ),
        (
            AuthStyle::Body,
            BodyFormat::Form,
            None,
            form,
            format!("{grant_form}{in_form}"),
        ),
        (
            AuthStyle::Basic,
            BodyFormat::Json,
            basic,
            "application/json",
            format!("{{{grant_json}}}"),
        ),
        (
            AuthStyle::Body,
            BodyFormat::Json,
            None,
            "application/json",
            format!("{{{in_json}{grant_json}}}"),
        ),
    ] {
        let stub = Stub::start([json(200, FRESH)]).await;
        let acme = acme(OAuth2Settings {
            auth_style: Some(style),
            body: Some(format),
            ..described(&stub)
        });

        let got = Refresh::of(&grant()).run(&*acme).await.expect("tokens");

        assert_eq!(got, fresh());
        let asked = stub.asked();
        assert_eq!(asked[0].line, "POST /oauth/token/");
        assert_eq!(asked[0].header("authorization"), header);
        assert_eq!(asked[0].header("content-type"), Some(content_type));
        assert_eq!(asked[0].header("accept"), Some("application/json"));
        assert_eq!(asked[0].body, body);
    }
}

#[tokio::test]
async fn a_public_client_names_itself_in_the_body() {
    let stub = Stub::start([json(200, FRESH)]).await;
    let acme = acme(OAuth2Settings {
        client_secret: None,
        ..described(&stub)
    });

    Refresh::of(&grant()).run(&*acme).await.expect("tokens");

    let asked = stub.asked();
    assert_eq!(asked[0].header("authorization"), None);
    assert!(
        asked[0].body.ends_with("&client_id=id+1"),
        "{}",
        asked[0].body
    );
}

#[tokio::test]
async fn careless_answers_are_understood() {
    let hour = Lifetime::For(Duration::from_hours(1));
    let only_access = Got::access("at.new", hour);
    let form = "access_token=at.new&expires_in=3600&token_type=bearer";
    let is_form = ("content-type", "application/x-www-form-urlencoded");
    for (reply, expected) in [
        (
            json(200, r#"{"access_token":"at.new","expires_in":"3600"}"#),
            only_access,
        ),
        (json(201, FRESH), fresh()),
        (json_with(200, is_form, form), Got::access("at.new", hour)),
        (
            json(200, r#"{"access_token":"at.new"}"#),
            Got::access("at.new", Lifetime::For(Duration::from_hours(2))),
        ),
        (
            json(
                200,
                r#"{"access_token":"at.new","expires_in":3600,"refresh_token_expires_in":60}"#,
            ),
            Got {
                refresh_lifetime: Some(Lifetime::For(Duration::from_mins(1))),
                ..Got::access("at.new", hour)
            },
        ),
    ] {
        let stub = Stub::start([reply]).await;
        let acme = acme(OAuth2Settings {
            default_expires_in: Some(Duration::from_hours(2)),
            ..described(&stub)
        });

        let got = Refresh::of(&grant()).run(&*acme).await.expect("tokens");

        assert_eq!(got, expected);
    }
}

#[tokio::test]
async fn an_error_is_told_by_the_body_at_200_too_and_repeats_no_credential() {
    let body = r#"{"error":"invalid_grant","error_description":"rt.old/token of s:ecret&fake, sent as aWQrMTpzJTNBZWNyZXQlMjZmYWtl"}"#;
    for status in [200, 400, 401, 403] {
        let stub = Stub::start([json(status, body)]).await;
        let acme = acme(described(&stub));

        let failed = Refresh::of(&grant()).fail(&*acme).await;

        assert_eq!(
            (failed.verdict.clone(), failed.reason()),
            (Verdict::Reauthorize, "revoked")
        );
        assert_eq!(
            failed.details.provider_code.as_deref(),
            Some("invalid_grant")
        );
        let message = failed.details.provider_message.as_deref();
        assert_eq!(
            message,
            Some("[redacted] of [redacted], sent as [redacted]")
        );
        for secret in ["rt.old", "ecret&fake", "aWQrMTpz"] {
            assert!(!failed.text.contains(secret), "{}", failed.text);
        }
    }
}

#[tokio::test]
async fn an_endpoint_of_any_kind_of_nonsense_is_one_clear_error() {
    let huge = "x".repeat(20 * 1024 * 1024);
    let unknown = || Verdict::retry_then(2, Verdict::Fatal);
    let waits = Verdict::RateLimited {
        delay: Some(Duration::from_secs(90)),
        source: DelaySource::RetryAfter,
    };
    let elsewhere = Stub::start([json(200, FRESH)]).await;
    for (reply, verdict, reason) in [
        (
            json(200, "<html>welcome</html>"),
            unknown(),
            "unknown_answer",
        ),
        (
            json(404, "<html>not here</html>"),
            unknown(),
            "unknown_answer",
        ),
        (json(503, "<html>away</html>"), Verdict::Retry, "-"),
        (json_with(503, ("retry-after", "90"), "<html>"), waits, "-"),
        (json(200, &huge), Verdict::Retry, "answer_too_large"),
        (Reply::Hang, Verdict::Retry, "no_answer"),
        (
            json_with(302, ("location", &elsewhere.base_url), ""),
            Verdict::Misconfigured,
            "redirected",
        ),
    ] {
        let stub = Stub::start([reply]).await;

        let failed = Refresh::of(&grant()).fail(&*acme(described(&stub))).await;

        assert_eq!((failed.verdict.clone(), failed.reason()), (verdict, reason));
    }
    assert_eq!(elsewhere.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_operators_own_words_for_errors_count() {
    let body = r#"{"error":"token_is_gone"}"#;
    let stub = Stub::start([json(400, body)]).await;
    let acme = acme(OAuth2Settings {
        errors: ErrorWords {
            reauth: vec!["token_is_gone".to_owned()],
            ..ErrorWords::default()
        },
        ..described(&stub)
    });

    let failed = Refresh::of(&grant()).fail(&*acme).await;

    assert_eq!(failed.verdict, Verdict::Reauthorize);
}

#[tokio::test]
async fn slacks_nested_tokens_and_errors_at_200_are_in_the_catalogue() {
    let nested = r#"{"ok":true,"authed_user":{"id":"U1","access_token":"xoxp","refresh_token":"xoxe",
        "expires_in":43200,"scope":"a,b"}}"#;
    let refused = r#"{"ok":false,"error":"invalid_refresh_token"}"#;
    let stub = Stub::start([json(200, nested), json(200, refused)]).await;
    let slack = named("slack", described(&stub));

    let got = Refresh::of(&grant()).run(&*slack).await.expect("tokens");
    let failed = Refresh::of(&grant()).fail(&*slack).await;

    let expected = Got {
        refresh: Some("xoxe".to_owned()),
        scope: Some("a,b".to_owned()),
        ..Got::access("xoxp", Lifetime::For(Duration::from_hours(12)))
    };
    assert_eq!(got, expected);
    assert_eq!(failed.verdict, Verdict::Reauthorize);
    assert!(
        stub.asked()[0].body.contains("client_id="),
        "Slack's app is in the body"
    );
}

#[tokio::test]
async fn a_lost_answer_costs_nothing_only_where_nothing_is_spent() {
    let stub = Stub::start([]).await;
    for (rotation, expected) in [
        (None, Rotation::Rotating),
        (Some(TokenRotation::Always), Rotation::Rotating),
        (Some(TokenRotation::Sometimes), Rotation::Rotating),
        (Some(TokenRotation::Never), Rotation::Reusable),
    ] {
        let acme = acme(OAuth2Settings {
            rotation,
            ..described(&stub)
        });

        assert_eq!(acme.rotation(), expected, "{rotation:?}");
    }
}

#[tokio::test]
async fn every_app_is_its_own_identity_and_without_a_refresh_token_nothing_is_sent() {
    let stub = Stub::start([]).await;
    let acme = acme(described(&stub));

    let failed = Refresh::of(&Grant::default()).fail(&*acme).await;

    assert_eq!(failed.verdict, Verdict::NoRefreshMaterial);
    assert_eq!(acme.app_identity(&grant()), "oauth2:acme:id 1");
    assert_eq!(stub.lines(), Vec::<String>::new());
}

#[test]
fn a_description_that_cannot_work_stops_the_start_by_its_key() {
    for (name, token_url, expected) in [
        (
            "acme",
            Some("http://acme.example/token"),
            "providers.oauth2.acme.token_url",
        ),
        ("acme", Some("acme"), "providers.oauth2.acme.token_url"),
        ("acme", None, "providers.oauth2.acme.token_url"),
        ("shopify", None, "providers.oauth2.shopify.token_url"),
    ] {
        let described = OAuth2Settings {
            token_url: token_url.map(str::to_owned),
            client_id: "id".to_owned(),
            ..OAuth2Settings::default()
        };
        let settings = ProviderSettings {
            oauth2: BTreeMap::from([(name.to_owned(), described)]),
            ..ProviderSettings::default()
        };

        let error = Providers::new(settings).expect_err("it is refused");

        assert!(
            matches!(&error, SettingsError::OAuth2 { key, .. } if key == expected),
            "{error}"
        );
    }
}
