//! WhatsApp against recorded answers of the Graph API.

use std::time::Duration;

use domain::{ChannelState, Grant, GrantKind, Lifetime, Timestamp, Verdict};
use providers::ImportRequest;
use serde_json::json as object;

use crate::stub::{Reply, Stub, json, json_with};
use crate::support::{Got, NOW, Refresh, after, provider, settings};

const EXCHANGED: &str = r#"{"access_token":"EAAnew","token_type":"bearer","expires_in":5183944}"#;
const DAY: i64 = 86_400;

fn grant() -> Grant {
    Grant {
        access_token: Some("EAAold".into()),
        ..Grant::default()
    }
}

/// A living token of a type, as `debug_token` tells it; 0 never ends.
fn living(kind: &str, expires_at: Option<Timestamp>) -> Reply {
    let expires_at = expires_at.map_or(0, |at| at.as_millis() / 1000);
    let data = object!({
        "app_id": "1", "type": kind, "is_valid": true, "expires_at": expires_at, "user_id": "999",
    });
    json(200, &object!({ "data": data }).to_string())
}

async fn run(
    refresh: &Refresh<'_>,
    replies: impl IntoIterator<Item = Reply>,
) -> (Got, Vec<String>) {
    let stub = Stub::start(replies).await;
    let whatsapp = provider("whatsapp", settings(&stub.base_url));
    let got = refresh.run(&*whatsapp).await.expect("it is refreshed");
    (got, stub.lines())
}

fn exchanged(kind: GrantKind) -> Got {
    Got {
        kind: Some(kind),
        ..Got::access("EAAnew", Lifetime::For(Duration::from_secs(5_183_944)))
    }
}

#[tokio::test]
async fn a_look_decides_how_a_token_is_kept() {
    let grant = grant();
    for (kind, parsed, sixty_days) in [
        ("SYSTEM_USER", GrantKind::SystemUser, true),
        ("USER", GrantKind::User, false),
    ] {
        let replies = [living(kind, Some(after(9 * DAY))), json(200, EXCHANGED)];

        let (got, lines) = run(&Refresh::ending(&grant, 9 * DAY), replies).await;

        assert_eq!(got, exchanged(parsed));
        assert!(lines[0].starts_with("GET /v25.0/debug_token?"), "{lines:?}");
        assert!(
            lines[1].contains("grant_type=fb_exchange_token"),
            "{lines:?}"
        );
        let with_parameter = lines[1].contains("&set_token_expires_in_60_days=true");
        assert_eq!((lines.len(), with_parameter), (2, sixty_days), "{kind}");
    }
}

#[tokio::test]
async fn a_token_that_never_ends_is_only_looked_at() {
    let grant = grant();
    let imported = Refresh::of(&grant);
    let watched = Refresh {
        state: ChannelState::NeverExpires,
        ..Refresh::of(&grant)
    };
    let believed_to_end = Refresh::ending(&grant, DAY);

    for refresh in [imported, watched, believed_to_end] {
        let (got, lines) = run(&refresh, [living("SYSTEM_USER", None)]).await;

        let expected = Got {
            kind: Some(GrantKind::SystemUser),
            ..Got::unchanged(Lifetime::Never)
        };
        assert_eq!((got, lines.len()), (expected, 1));
    }
}

#[tokio::test]
async fn a_far_end_that_is_found_out_is_only_noted() {
    let end = after(50 * DAY);

    let (got, lines) = run(&Refresh::of(&grant()), [living("SYSTEM_USER", Some(end))]).await;

    assert_eq!(
        (got.lifetime, got.access, lines.len()),
        (Lifetime::Until(end), None, 1)
    );
}

#[tokio::test]
async fn the_number_of_a_channel_is_not_taken_for_the_tokens_owner() {
    let grant = grant();
    let refresh = Refresh {
        external_id: Some("+49 30 901820"),
        ..Refresh::ending(&grant, DAY)
    };
    let replies = [living("USER", Some(after(DAY))), json(200, EXCHANGED)];

    let (got, _) = run(&refresh, replies).await;

    assert_eq!(got, exchanged(GrantKind::User));
}

#[tokio::test]
async fn a_dead_token_tells_why_and_an_expired_one_is_not_sent() {
    let error = object!({ "code": 190, "message": "x", "subcode": 460 });
    let data = object!({ "is_valid": false, "error": error });
    let stub = Stub::start([json(200, &object!({ "data": data }).to_string())]).await;
    let whatsapp = provider("whatsapp", settings(&stub.base_url));

    let dead = Refresh::ending(&grant(), DAY).fail(&*whatsapp).await;
    let expired = Refresh::ending(&grant(), 0).fail(&*whatsapp).await;

    assert_eq!(
        (dead.verdict.clone(), dead.reason()),
        (Verdict::Reauthorize, "password_changed")
    );
    assert_eq!(
        (expired.verdict.clone(), expired.reason()),
        (Verdict::Reauthorize, "expired")
    );
    assert_eq!(stub.lines().len(), 1);
}

#[tokio::test]
async fn the_errors_are_those_of_meta_with_whatsapps_own() {
    for (status, code, verdict) in [
        (401, 0, "reauth_required"),
        (401, 190, "reauth_required"),
        (500, 3, "retryable"),
        (403, 10, "reauth_required"),
        (403, 200, "reauth_required"),
        (429, 4, "rate_limited"),
        (429, 80007, "rate_limited"),
        (400, 130_429, "rate_limited"),
    ] {
        let error = object!({ "error": { "code": code, "type": "AuthException", "message": "x" } });
        let stub = Stub::start([json(status, &error.to_string())]).await;
        let whatsapp = provider("whatsapp", settings(&stub.base_url));

        let failed = Refresh::ending(&grant(), DAY).fail(&*whatsapp).await;

        assert_eq!(failed.verdict.class().as_str(), verdict, "{status} {code}");
    }
}

#[tokio::test]
async fn an_import_knows_no_pages_and_the_app_is_facebooks() {
    let whatsapp = provider("whatsapp", settings("http://127.0.0.1:1"));
    let facebook = provider("facebook", settings("http://127.0.0.1:1"));
    let accept = |credentials: serde_json::Value| {
        let credentials = credentials.as_object().expect("an object").clone();
        whatsapp.accept(&ImportRequest {
            credentials,
            now: NOW,
        })
    };

    let number = accept(object!({
        "access_token": "EAA", "kind": "system_user", "external_id": "106540352242922",
    }));
    let page = accept(object!({ "access_token": "EAA", "kind": "page" }));

    let number = number.expect("accepted");
    assert_eq!(number.grant.kind, Some(GrantKind::SystemUser));
    assert!(number.due_now && number.has_refresh_material);
    assert_eq!(page.expect_err("refused")[0].field, "credentials.kind");
    let identity = whatsapp.app_identity(&grant());
    assert_eq!(identity, facebook.app_identity(&grant()));
}

#[tokio::test]
async fn a_good_answer_tells_what_of_the_apps_hour_is_spent() {
    let header = ("X-App-Usage", r#"{"call_count":83,"total_time":20}"#);
    let look = living("SYSTEM_USER", Some(after(9 * DAY)));
    let stub = Stub::start([look, json_with(200, header, EXCHANGED)]).await;
    let whatsapp = provider("whatsapp", settings(&stub.base_url));
    let grant = grant();
    let refresh = Refresh::ending(&grant, 9 * DAY);

    refresh.run(&*whatsapp).await.expect("it is refreshed");

    assert_eq!(refresh.permit.heard(), Some(83));
}
