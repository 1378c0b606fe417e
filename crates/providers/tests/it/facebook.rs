//! Facebook against recorded answers.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{ChannelState, Grant, GrantKind, Lifetime, Timestamp, Verdict};
use providers::{ImportRequest, ProviderSettings};
use serde_json::json as object;

use crate::stub::{Reply, Stub, json, json_with};
use crate::support::{Allow, Failed, Got, NOW, Refresh, after, provider, settings};

const EXCHANGED: &str = r#"{"access_token":"EAAnew","token_type":"bearer","expires_in":5183944}"#;
const WITHOUT_END: &str = r#"{"access_token":"EAAnew","token_type":"bearer"}"#;
const DAY: i64 = 86_400;

fn grant(kind: Option<GrantKind>) -> Grant {
    Grant {
        access_token: Some("EAAold|token".into()),
        kind,
        ..Grant::default()
    }
}

fn derived_page() -> Grant {
    Grant {
        keys: BTreeMap::from([("user_access_token".to_owned(), "EAA_ok".into())]),
        ..grant(Some(GrantKind::Page))
    }
}

/// A living token of a type, as `debug_token` tells it.
fn living(kind: &str, expires_at: Option<Timestamp>) -> Reply {
    let expires_at = expires_at.map_or(0, |at| at.as_millis() / 1000);
    let data = object!({
        "app_id": "1234567890", "type": kind, "is_valid": true, "expires_at": expires_at,
        "user_id": "999", "profile_id": "111",
    });
    json(200, &object!({ "data": data }).to_string())
}

fn dead(subcode: i64) -> Reply {
    let error = object!({ "code": 190, "message": "Error validating", "subcode": subcode });
    let data = object!({ "is_valid": false, "error": error });
    json(200, &object!({ "data": data }).to_string())
}

async fn run(
    refresh: &Refresh<'_>,
    replies: impl IntoIterator<Item = Reply>,
) -> (Got, Vec<String>) {
    let stub = Stub::start(replies).await;
    let facebook = provider("facebook", settings(&stub.base_url));
    let got = refresh.run(&*facebook).await.expect("it is refreshed");
    (got, stub.paths())
}

async fn fail(
    refresh: &Refresh<'_>,
    replies: impl IntoIterator<Item = Reply>,
) -> (Failed, Vec<String>) {
    let stub = Stub::start(replies).await;
    let facebook = provider("facebook", settings(&stub.base_url));
    (refresh.fail(&*facebook).await, stub.paths())
}

const EXCHANGE: &str = "GET /v25.0/oauth/access_token";
const LOOK: &str = "GET /v25.0/debug_token";
const ACCOUNTS: &str = "GET /v25.0/me/accounts";

#[tokio::test]
async fn a_persons_token_is_exchanged_by_the_documented_request() {
    let stub = Stub::start([json(200, EXCHANGED)]).await;
    let facebook = provider("facebook", settings(&stub.base_url));
    let grant = grant(Some(GrantKind::User));

    let got = Refresh::ending(&grant, 9 * DAY).run(&*facebook).await;

    let expected = Got {
        kind: Some(GrantKind::User),
        ..Got::access("EAAnew", Lifetime::For(Duration::from_secs(5_183_944)))
    };
    assert_eq!(got.expect("tokens"), expected);
    assert_eq!(
        stub.lines(),
        [
            "GET /v25.0/oauth/access_token?grant_type=fb_exchange_token&client_id=1234567890\
          &client_secret=app_secret_fake&fb_exchange_token=EAAold%7Ctoken"
        ]
    );
}

#[tokio::test]
async fn a_system_users_token_is_exchanged_with_its_own_parameter() {
    let stub = Stub::start([json(200, EXCHANGED)]).await;
    let facebook = provider("facebook", settings(&stub.base_url));
    let grant = grant(Some(GrantKind::SystemUser));

    let got = Refresh::ending(&grant, 9 * DAY).run(&*facebook).await;

    assert!(got.is_ok());
    assert!(stub.lines()[0].ends_with("&set_token_expires_in_60_days=true"));
}

#[tokio::test]
async fn a_fresh_token_without_an_end_is_looked_at() {
    let grant = grant(Some(GrantKind::User));
    let refresh = Refresh::ending(&grant, 9 * DAY);

    let (never, paths) = run(&refresh, [json(200, WITHOUT_END), living("USER", None)]).await;
    let end = after(60 * DAY);
    let (until, _) = run(
        &refresh,
        [json(200, WITHOUT_END), living("USER", Some(end))],
    )
    .await;

    assert_eq!(paths, [EXCHANGE, LOOK]);
    assert_eq!(never.access.as_deref(), Some("EAAnew"));
    assert_eq!(never.lifetime, Lifetime::Never);
    assert_eq!(until.lifetime, Lifetime::Until(end));
}

#[tokio::test]
async fn a_fresh_token_is_kept_when_the_look_at_it_fails() {
    let grant = grant(Some(GrantKind::User));
    let expected = Got {
        kind: Some(GrantKind::User),
        ..Got::access("EAAnew", Lifetime::Unknown)
    };

    let refresh = Refresh::ending(&grant, 9 * DAY);
    let (cut, _) = run(&refresh, [json(200, WITHOUT_END), Reply::Cut]).await;
    let not_permitted = Refresh {
        permit: Allow::only(1),
        ..Refresh::ending(&grant, 9 * DAY)
    };
    let (unasked, paths) = run(&not_permitted, [json(200, WITHOUT_END)]).await;

    assert_eq!(cut, expected);
    assert_eq!(unasked, expected);
    assert_eq!(paths, [EXCHANGE]);
}

#[tokio::test]
async fn a_token_without_a_known_end_is_looked_at_and_left_alone_while_it_is_young() {
    let grant = grant(None);
    let end = after(60 * DAY);
    let known = |kind, lifetime| Got {
        kind: Some(kind),
        external_id: Some("999".to_owned()),
        ..Got::unchanged(lifetime)
    };

    let (never, paths) = run(&Refresh::of(&grant), [living("SYSTEM_USER", None)]).await;
    let (young, _) = run(&Refresh::of(&grant), [living("USER", Some(end))]).await;

    assert_eq!(paths, [LOOK]);
    assert_eq!(never, known(GrantKind::SystemUser, Lifetime::Never));
    assert_eq!(young, known(GrantKind::User, Lifetime::Until(end)));
}

#[tokio::test]
async fn a_token_whose_end_turns_out_to_be_near_is_exchanged_at_once() {
    let stub = Stub::start([
        living("SYSTEM_USER", Some(after(5 * DAY))),
        json(200, EXCHANGED),
    ])
    .await;
    let facebook = provider("facebook", settings(&stub.base_url));

    let got = Refresh::of(&grant(None))
        .run(&*facebook)
        .await
        .expect("tokens");

    assert_eq!(got.kind, Some(GrantKind::SystemUser));
    assert_eq!(got.access.as_deref(), Some("EAAnew"));
    assert_eq!(stub.paths(), [LOOK, EXCHANGE]);
    assert!(stub.lines()[1].ends_with("&set_token_expires_in_60_days=true"));
}

#[tokio::test]
async fn a_token_that_never_ends_is_only_probed() {
    let grant = grant(Some(GrantKind::SystemUser));
    let refresh = Refresh {
        state: ChannelState::NeverExpires,
        external_id: Some("999"),
        ..Refresh::of(&grant)
    };

    let (alive, paths) = run(&refresh, [living("SYSTEM_USER", None)]).await;
    let (revoked, _) = fail(&refresh, [dead(460)]).await;

    assert_eq!(paths, [LOOK]);
    assert_eq!(alive.lifetime, Lifetime::Never);
    assert_eq!(alive.access, None);
    assert_eq!(revoked.verdict, Verdict::Reauthorize);
    assert_eq!(revoked.reason(), "password_changed");
    assert_eq!(revoked.details.provider_code.as_deref(), Some("190"));
    assert_eq!(revoked.details.http_status, Some(200));
}

#[tokio::test]
async fn a_token_that_is_known_to_be_expired_asks_nobody() {
    let grant = grant(Some(GrantKind::User));

    let (failed, paths) = fail(&Refresh::ending(&grant, 0), []).await;

    assert_eq!(failed.verdict, Verdict::Reauthorize);
    assert_eq!(failed.reason(), "expired");
    assert_eq!(paths, Vec::<String>::new());
}

#[tokio::test]
async fn a_token_of_another_account_is_refused() {
    let grant = grant(None);
    let refresh = Refresh {
        external_id: Some("1000"),
        ..Refresh::of(&grant)
    };

    let (failed, _) = fail(&refresh, [living("USER", None)]).await;

    assert_eq!(failed.verdict, Verdict::Fatal);
    assert_eq!(failed.reason(), "identity_mismatch");
}

#[tokio::test]
async fn an_unknown_kind_that_the_exchange_refuses_may_be_a_system_user() {
    let refusal = r#"{"error":{"message":"(#100) x","type":"OAuthException","code":100}}"#;
    let grant = grant(None);
    let refresh = Refresh::ending(&grant, 9 * DAY);
    let looked = living("SYSTEM_USER", Some(after(9 * DAY)));

    let (got, paths) = run(&refresh, [json(400, refusal), looked, json(200, EXCHANGED)]).await;
    let user = living("USER", Some(after(9 * DAY)));
    let (failed, _) = fail(&refresh, [json(400, refusal), user]).await;

    assert_eq!(got.kind, Some(GrantKind::SystemUser));
    assert_eq!(paths, [EXCHANGE, LOOK, EXCHANGE]);
    assert_eq!(failed.verdict, Verdict::Fatal);
    assert_eq!(failed.details.provider_code.as_deref(), Some("100"));
}

#[tokio::test]
async fn a_page_is_derived_from_its_person_across_several_answers() {
    let first = r#"{"data":[{"id":"110","access_token":"EAAother"}],
        "paging":{"cursors":{"after":"QVFI"},"next":"https://graph.facebook.com/x?y"}}"#;
    let second = r#"{"data":[{"id":"111","name":"P","access_token":"EAApage"}],
        "paging":{"cursors":{"after":"QVFJ"}}}"#;
    let stub = Stub::start([json(200, first), json(200, second), living("PAGE", None)]).await;
    let facebook = provider("facebook", settings(&stub.base_url));
    let grant = derived_page();
    let refresh = Refresh {
        external_id: Some("111"),
        ..Refresh::ending(&grant, -60)
    };

    let got = refresh.run(&*facebook).await.expect("tokens");

    let expected = Got {
        kind: Some(GrantKind::Page),
        external_id: Some("111".to_owned()),
        ..Got::access("EAApage", Lifetime::Never)
    };
    assert_eq!(got, expected);
    let lines = stub.lines();
    assert_eq!(
        lines[0],
        "GET /v25.0/me/accounts?fields=id%2Caccess_token&limit=100&access_token=EAA_ok\
         &appsecret_proof=9496cd0f1ec0eab9903e7787494e194ffb8b73bebf81fb891a08e1d762f74aa5"
    );
    assert_eq!(lines[1], format!("{}&after=QVFI", lines[0]));
    assert_eq!(
        lines[2],
        "GET /v25.0/debug_token?input_token=EAApage&access_token=1234567890%7Capp_secret_fake"
    );
}

#[tokio::test]
async fn a_page_that_its_person_no_longer_runs_has_lost_its_role() {
    let grant = derived_page();
    let refresh = Refresh {
        external_id: Some("111"),
        ..Refresh::ending(&grant, 60)
    };
    let nothing = json(200, r#"{"data":[]}"#);

    let (failed, paths) = fail(&refresh, [nothing]).await;

    assert_eq!(failed.verdict, Verdict::Reauthorize);
    assert_eq!(failed.reason(), "page_role_lost");
    assert_eq!(paths, [ACCOUNTS]);
}

#[tokio::test]
async fn a_dead_page_token_is_derived_anew_by_the_page_it_was_for() {
    let page = r#"{"data":[{"id":"111","access_token":"EAApage"}]}"#;
    let grant = derived_page();
    let refresh = Refresh {
        state: ChannelState::NeverExpires,
        ..Refresh::of(&grant)
    };

    let replies = [dead(467), json(200, page), living("PAGE", None)];
    let (got, paths) = run(&refresh, replies).await;

    assert_eq!(paths, [LOOK, ACCOUNTS, LOOK]);
    assert_eq!(got.access.as_deref(), Some("EAApage"));
    assert_eq!(got.external_id.as_deref(), Some("111"));
}

#[tokio::test]
async fn a_page_without_its_person_is_only_watched() {
    let grant = grant(Some(GrantKind::Page));
    let refresh = Refresh::of(&grant);

    let (alive, _) = run(&refresh, [living("PAGE", None)]).await;
    let (revoked, _) = fail(&refresh, [dead(458)]).await;
    let (ending, _) = fail(&refresh, [living("PAGE", Some(after(3600)))]).await;
    let (known_end, paths) = fail(&Refresh::ending(&grant, 3600), []).await;

    assert_eq!(alive.lifetime, Lifetime::Never);
    assert_eq!(alive.external_id.as_deref(), Some("111"));
    assert_eq!(revoked.verdict, Verdict::Reauthorize);
    assert_eq!(revoked.reason(), "app_removed");
    assert_eq!(ending.verdict, Verdict::NoRefreshMaterial);
    assert_eq!(known_end.verdict, Verdict::NoRefreshMaterial);
    assert_eq!(paths, Vec::<String>::new());
}

#[tokio::test]
async fn an_echoed_credential_is_not_reported() {
    let body = r#"{"error":{"message":"Malformed access token EAAold|token, EAAold%7Ctok...
        client_secret=app_secret_fake","type":"OAuthException","code":190,"error_subcode":467,
        "fbtrace_id":"AbCdEfGhIjK"}}"#
        .replace("...\n        ", "... ");
    let grant = grant(Some(GrantKind::User));

    let (failed, _) = fail(&Refresh::ending(&grant, 60), [json(400, &body)]).await;

    assert_eq!(failed.reason(), "revoked");
    assert_eq!(failed.details.provider_subcode.as_deref(), Some("467"));
    assert_eq!(failed.details.trace_id.as_deref(), Some("AbCdEfGhIjK"));
    assert_eq!(
        failed.details.provider_message.as_deref(),
        Some("Malformed access token [redacted], [redacted]... client_secret=[redacted]")
    );
    for secret in ["EAAold", "app_secret_fake"] {
        assert!(!failed.text.contains(secret), "{}", failed.text);
    }
}

#[tokio::test]
async fn a_throttled_app_waits_as_its_usage_header_says() {
    let usage = r#"{"1":[{"type":"pages","estimated_time_to_regain_access":4}]}"#;
    let body = r#"{"error":{"message":"(#80001) x","type":"OAuthException","code":80001}}"#;
    let grant = grant(Some(GrantKind::User));
    let reply = json_with(400, ("X-Business-Use-Case-Usage", usage), body);

    let (failed, _) = fail(&Refresh::ending(&grant, 60), [reply]).await;

    let expected = Verdict::RateLimited {
        delay: Some(Duration::from_mins(4)),
        source: domain::DelaySource::ProviderHeader,
    };
    assert_eq!(failed.verdict, expected);
}

#[tokio::test]
async fn without_app_credentials_an_import_works_with_a_warning_and_a_refresh_does_not() {
    let facebook = provider("facebook", ProviderSettings::default());
    let credentials = object!({ "access_token": "EAA", "expires_in": 60 });
    let import = ImportRequest {
        credentials: credentials.as_object().expect("an object").clone(),
        now: NOW,
    };

    let accepted = facebook.accept(&import).expect("it is accepted");
    let failed = Refresh::ending(&accepted.grant, 60).fail(&*facebook).await;

    assert_eq!(
        accepted.warning.as_deref(),
        Some("it cannot be refreshed until META_APP_ID and META_APP_SECRET are set")
    );
    assert_eq!(accepted.state, ChannelState::Active);
    assert_eq!(failed.verdict, Verdict::Misconfigured);
    assert_eq!(failed.reason(), "provider_not_configured");
}

#[tokio::test]
async fn an_app_is_known_by_its_id() {
    let facebook = provider("facebook", settings("https://graph.facebook.com"));

    assert_eq!(facebook.app_identity(&grant(None)), "facebook:1234567890");
}

#[tokio::test]
async fn a_good_answer_tells_what_of_the_apps_hour_is_spent_and_an_accounts_header_tells_nothing() {
    let of_app = ("X-App-Usage", r#"{"call_count":28,"total_cputime":91.5}"#);
    let of_page = (
        "X-Business-Use-Case-Usage",
        r#"{"111":[{"type":"pages","call_count":95}]}"#,
    );
    let of_account = ("X-Ad-Account-Usage", r#"{"acc_id_util_pct":99.0}"#);
    let huge = format!(r#"{{"call_count":99,"pad":"{}"}}"#, "x".repeat(60_000));
    let grant = grant(Some(GrantKind::User));

    for (header, expected) in [
        (of_app, Some(91)),
        (of_page, None),
        (of_account, None),
        (("X-App-Usage", "{\"call_count\":NaN"), None),
        (("X-App-Usage", r#"{"call_count":-7}"#), Some(0)),
        (("X-App-Usage", huge.as_str()), None),
    ] {
        let stub = Stub::start([json_with(200, header, EXCHANGED)]).await;
        let facebook = provider("facebook", settings(&stub.base_url));
        let refresh = Refresh::ending(&grant, 9 * DAY);

        refresh.run(&*facebook).await.expect("it is refreshed");

        let name = &header.1[..header.1.len().min(80)];
        assert_eq!(refresh.permit.heard(), expected, "{name}");
    }
}
