//! TikTok's errors: contracts §4.1.

use domain::reason;
use serde_json::Value;

use crate::delay::{ratelimit_reset, text as header};
use crate::http::Answer;
use crate::json::text;
use crate::matrix::{Facts, Matrix, REDIRECT, Row, Then, When, row, row_because};
use crate::shape::shape;

/// "One-minute sliding window".
const WINDOW_SECS: u64 = 60;

/// TikTok's answers. The word in `error` decides, then the HTTP status.
pub(super) const MATRIX: Matrix = Matrix {
    rows: ROWS,
    header_delay: ratelimit_reset,
};

const ROWS: &[Row] = &[
    row_because(
        &[When::Words(&["invalid_grant", "access_denied"])],
        Then::Reauthorize,
        reason::REVOKED,
    ),
    row(&[When::Words(&["invalid_client"])], Then::Misconfigured),
    row(
        &[When::Words(&["unauthorized_client", "invalid_scope"])],
        Then::Misconfigured,
    ),
    row(
        &[
            When::Words(&["invalid_request"]),
            When::Mentions(&["client key", "client_key", "client secret", "client_secret"]),
        ],
        Then::Misconfigured,
    ),
    row(&[When::Words(&["invalid_request"])], Then::Fatal),
    row(
        &[When::Words(&[
            "unsupported_grant_type",
            "unsupported_response_type",
        ])],
        Then::Fatal,
    ),
    row(
        &[When::Words(&["server_error", "temporarily_unavailable"])],
        Then::Retry,
    ),
    row(
        &[When::Words(&["rate_limit_exceeded"])],
        Then::ThrottledFor(WINDOW_SECS),
    ),
    row(&[When::Status(429, 429)], Then::ThrottledFor(WINDOW_SECS)),
    row(&[When::Status(500, 599)], Then::Retry),
    REDIRECT,
];

/// Whether the body reports an error. Other TikTok APIs report success as
/// `"error":{"code":"ok"}`.
pub(super) fn is_error(body: &Value) -> bool {
    body.get("error").is_some_and(|error| !error.is_null()) && code(body).as_deref() != Some("ok")
}

/// What an error body says; also for answers that have none.
pub(super) fn facts(answer: &Answer, body: Option<&Value>) -> Facts {
    let nested = |name| text(body?.get("error")?, name);
    let flat = |name| text(body?, name);
    let log_id = flat("log_id").or_else(|| nested("log_id"));
    Facts {
        status: answer.status,
        understood: body.is_some(),
        shape: Some(shape(answer, body)),
        code: body.and_then(code),
        message: flat("error_description").or_else(|| nested("message")),
        trace_id: log_id.or_else(|| header(&answer.headers, "x-tt-logid").map(str::to_owned)),
        ..Facts::default()
    }
}

/// `error` is a word, or an object with one.
fn code(body: &Value) -> Option<String> {
    text(body, "error").or_else(|| text(body.get("error")?, "code"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{DelaySource, Timestamp, Verdict};
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec().into(),
        }
    }

    fn judged(status: u16, body: &str) -> (Verdict, String) {
        let answer = answer(status, body);
        let facts = facts(&answer, answer.json().as_ref());
        let (verdict, reason) = MATRIX.judge(&facts, &answer.headers, Timestamp::from_secs(0));
        (verdict, reason.unwrap_or("-").to_owned())
    }

    fn error(word: &str, description: &str) -> String {
        json!({ "error": word, "error_description": description, "log_id": "2022" }).to_string()
    }

    #[test]
    fn every_word_is_judged_alike_at_200_and_at_400() {
        use Verdict::{Fatal, Misconfigured, Reauthorize, Retry};
        let throttled = Verdict::RateLimited {
            delay: Some(Duration::from_mins(1)),
            source: DelaySource::ProviderDefault,
        };
        for (word, description, verdict, reason) in [
            ("invalid_grant", "x", Reauthorize, "revoked"),
            ("access_denied", "x", Reauthorize, "revoked"),
            ("invalid_client", "x", Misconfigured, "-"),
            ("unauthorized_client", "x", Misconfigured, "-"),
            ("invalid_scope", "x", Misconfigured, "-"),
            (
                "invalid_request",
                "Client secret is missed in request.",
                Misconfigured,
                "-",
            ),
            (
                "invalid_request",
                "Client key is incorrect.",
                Misconfigured,
                "-",
            ),
            ("invalid_request", "Refresh token is missed.", Fatal, "-"),
            ("unsupported_grant_type", "x", Fatal, "-"),
            ("unsupported_response_type", "x", Fatal, "-"),
            ("server_error", "x", Retry, "-"),
            ("temporarily_unavailable", "x", Retry, "-"),
            ("rate_limit_exceeded", "x", throttled, "-"),
            (
                "brand_new",
                "x",
                Verdict::retry_then(2, Fatal),
                "unknown_answer",
            ),
        ] {
            for status in [200, 400] {
                let judged = judged(status, &error(word, description));

                assert_eq!(
                    judged,
                    (verdict.clone(), reason.to_owned()),
                    "{word} {status}"
                );
            }
        }
    }

    #[test]
    fn without_a_word_the_status_decides() {
        let unknown = Verdict::retry_then(2, Verdict::Fatal);

        assert_eq!(judged(500, "<html>").0, Verdict::Retry);
        assert_eq!(judged(503, "").0, Verdict::Retry);
        assert_eq!(judged(429, "slow down").0.class().as_str(), "rate_limited");
        assert_eq!(judged(302, "").1, "redirected");
        assert_eq!(judged(404, "not here").0, unknown);
        assert_eq!(judged(200, "not JSON").0, unknown);
        assert_eq!(judged(200, "{}").0, unknown);
    }

    #[test]
    fn the_word_beats_the_status() {
        let body = error("invalid_grant", "x");

        assert_eq!(judged(500, &body).0, Verdict::Reauthorize);
        assert_eq!(judged(429, &body).0, Verdict::Reauthorize);
    }

    #[test]
    fn the_trace_id_is_in_the_body_or_in_a_header() {
        let mut with_header = answer(500, "");
        with_header
            .headers
            .insert("X-Tt-Logid", "2023".parse().unwrap());
        let with_body = answer(400, &error("x", "y"));

        let of_header = facts(&with_header, None);
        let of_body = facts(&with_body, with_body.json().as_ref());

        assert_eq!(of_header.trace_id.as_deref(), Some("2023"));
        assert_eq!(of_body.trace_id.as_deref(), Some("2022"));
    }

    #[test]
    fn the_error_object_of_other_tiktok_apis_is_understood() {
        let dead = json!({ "error": { "code": "access_token_invalid", "log_id": "1" } });
        let fine = json!({ "error": { "code": "ok" } });

        assert!(is_error(&dead));
        assert!(!is_error(&fine));
        assert_eq!(
            facts(&answer(401, ""), Some(&dead)).code.as_deref(),
            Some("access_token_invalid")
        );
    }
}
