//! Every row of contracts §7, and the quirks of the catalogue's providers.

use std::time::Duration;

use domain::DelaySource;
use serde_json::json;

use super::super::catalogue;
use super::*;

fn judged_by(rules: &Rules, status: u16, body: &str) -> (Verdict, String) {
    let answer = answered(status, body);
    let body = super::super::answer::body(&answer);
    let facts = facts(&answer, body.as_ref());
    let (verdict, reason) = rules.judge(&facts, &answer.headers, Timestamp::from_secs(0));
    (verdict, reason.unwrap_or("-").to_owned())
}

fn judged(status: u16, body: &str) -> (Verdict, String) {
    judged_by(&Rules::default(), status, body)
}

fn answered(status: u16, body: &str) -> Answer {
    Answer {
        status,
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec().into(),
    }
}

fn error(word: &str, description: &str) -> String {
    json!({ "error": word, "error_description": description }).to_string()
}

fn limited(seconds: Option<u64>) -> Verdict {
    Verdict::RateLimited {
        delay: seconds.map(Duration::from_secs),
        source: DelaySource::ProviderDefault,
    }
}

#[test]
fn every_word_of_the_rfc_is_judged_alike_at_200_400_and_401() {
    use Verdict::{Fatal, Misconfigured, Reauthorize, Retry};
    for (word, verdict, reason) in [
        ("invalid_grant", Reauthorize, "revoked"),
        ("invalid_client", Misconfigured, "-"),
        ("unauthorized_client", Misconfigured, "-"),
        ("invalid_scope", Misconfigured, "-"),
        ("invalid_request", Fatal, "-"),
        ("unsupported_grant_type", Fatal, "-"),
        ("temporarily_unavailable", Retry, "-"),
        ("server_error", Retry, "-"),
        ("slow_down", limited(Some(5)), "-"),
        ("brand_new", Verdict::retry_then(2, Fatal), "unknown_answer"),
    ] {
        for status in [200, 400, 401, 403] {
            let judged = judged(status, &error(word, "x"));

            assert_eq!(judged, (verdict.clone(), reason.to_owned()), "{word}");
        }
    }
}

#[test]
fn a_status_that_passes_passes_whatever_the_body_says() {
    for body in ["", "<html>", "{}", &error("invalid_grant", "x")] {
        assert_eq!(judged(500, body).0, Verdict::Retry, "{body}");
        assert_eq!(judged(503, body).0, Verdict::Retry, "{body}");
        assert_eq!(judged(429, body).0, limited(None), "{body}");
    }
}

#[test]
fn a_503_that_asks_to_wait_is_waited_for() {
    for (value, seconds) in [("120", 120), ("Thu, 01 Jan 1970 00:02:00 GMT", 120)] {
        let mut answer = answered(503, "<html>");
        answer.headers.insert(RETRY_AFTER, value.parse().unwrap());

        let facts = facts(&answer, None);
        let judged = Rules::default().judge(&facts, &answer.headers, Timestamp::from_secs(0));

        let expected = Verdict::RateLimited {
            delay: Some(Duration::from_secs(seconds)),
            source: DelaySource::RetryAfter,
        };
        assert_eq!(judged.0, expected, "{value}");
    }
}

#[test]
fn what_cannot_be_read_is_tried_twice_and_a_redirect_is_a_wrong_setting() {
    let unknown = || {
        let twice = Verdict::retry_then(2, Verdict::Fatal);
        (twice, "unknown_answer".to_owned())
    };

    assert_eq!(judged(404, "<html>not here"), unknown());
    assert_eq!(judged(400, ""), unknown());
    assert_eq!(judged(200, "<html>welcome"), unknown());
    assert_eq!(judged(200, "{}"), unknown());
    assert_eq!(
        judged(302, ""),
        (Verdict::Misconfigured, "redirected".to_owned())
    );
}

#[test]
fn the_quirks_of_the_catalogue_are_judged_as_the_contracts_say() {
    use Verdict::{Misconfigured, Reauthorize, Retry};
    let hubspot = json!({ "status": "BAD_REFRESH_TOKEN", "message": "x" }).to_string();
    let newer = json!({
        "status": "BAD_REFRESH_TOKEN", "error": "invalid_grant", "error_description": "x",
    })
    .to_string();
    let microsoft = |word: &str, code: u32| {
        json!({ "error": word, "error_codes": [code], "error_description": "AADSTS" }).to_string()
    };
    let slack = |word: &str| json!({ "ok": false, "error": word }).to_string();
    for (name, status, body, verdict) in [
        (
            "google",
            400,
            error("invalid_grant", "Token has been expired or revoked."),
            Reauthorize,
        ),
        (
            "microsoft",
            400,
            microsoft("invalid_grant", 70008),
            Reauthorize,
        ),
        (
            "microsoft",
            400,
            microsoft("invalid_request", 700_082),
            Reauthorize,
        ),
        (
            "microsoft",
            400,
            microsoft("invalid_request", 50076),
            Reauthorize,
        ),
        (
            "microsoft",
            400,
            error("interaction_required", "x"),
            Reauthorize,
        ),
        (
            "x",
            400,
            error("invalid_request", "Value passed for the token was invalid."),
            Reauthorize,
        ),
        (
            "x",
            400,
            error("invalid_request", "Missing."),
            Verdict::Fatal,
        ),
        ("slack", 200, slack("invalid_refresh_token"), Reauthorize),
        ("slack", 400, slack("invalid_grant"), Reauthorize),
        ("slack", 200, slack("bad_client_secret"), Misconfigured),
        ("slack", 200, slack("invalid_client_id"), Misconfigured),
        ("slack", 200, slack("internal_error"), Retry),
        ("slack", 200, slack("fatal_error"), Retry),
        ("hubspot", 400, hubspot, Reauthorize),
        ("hubspot", 400, newer, Reauthorize),
        ("github", 200, error("bad_refresh_token", "x"), Reauthorize),
        (
            "github",
            200,
            "error=bad_refresh_token&error_description=x".to_owned(),
            Reauthorize,
        ),
        (
            "atlassian",
            403,
            error("invalid_grant", "Unknown or invalid refresh token."),
            Reauthorize,
        ),
        (
            "atlassian",
            401,
            error("access_denied", "Unauthorized"),
            Misconfigured,
        ),
        (
            "salesforce",
            400,
            error("invalid_grant", "expired access/refresh token"),
            Reauthorize,
        ),
    ] {
        let entry = catalogue::entry(name).expect("it is in the catalogue");
        let rules = Rules::of(&ErrorWords::default(), &entry.errors());

        let judged = judged_by(&rules, status, &body);

        assert_eq!(judged.0, verdict, "{name} {status} {body}");
    }
}

#[test]
fn our_own_words_come_first_and_those_with_words_before_those_without() {
    let ours = ErrorWords {
        retry: vec!["bad_token".to_owned()],
        reauth: vec!["Invalid_Request: Dead".to_owned()],
        misconfigured: vec!["invalid_request".to_owned()],
        rate_limit: vec!["busy".to_owned()],
    };
    let catalogues = ErrorWords {
        reauth: vec!["bad_token".to_owned()],
        ..ErrorWords::default()
    };
    let rules = Rules::of(&ours, &catalogues);

    let of = |word, description| judged_by(&rules, 400, &error(word, description)).0;
    assert_eq!(of("bad_token", "x"), Verdict::Retry);
    assert_eq!(of("invalid_request", "it is dead"), Verdict::Reauthorize);
    assert_eq!(of("invalid_request", "x"), Verdict::Misconfigured);
    assert_eq!(of("busy", "x"), limited(None));
    assert_eq!(of("invalid_grant", "x"), Verdict::Reauthorize);
}
