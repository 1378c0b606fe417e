//! Meta's error envelope and error matrix: contracts §1.6 and §1.7.

use domain::{Details, reason};
use serde_json::Value;

use crate::http::Answer;
use crate::json::text;
use crate::matrix::{Facts, Matrix, REDIRECT, Row, Then, When, row, row_because};
use crate::shape::shape;

use super::usage::header_delay;

/// A policy block lasts hours; a person should look at it before it is over.
const POLICY_BLOCK_SECS: u64 = 6 * 3600;

/// Meta's answers. Codes decide, not the HTTP status.
pub(crate) const MATRIX: Matrix = Matrix {
    rows: ROWS,
    header_delay,
};

/// A dead token, by the subcode of 190.
macro_rules! dead {
    ($subcode:literal, $reason:ident) => {
        row_because(
            &[When::Codes(&[190]), When::Subcode($subcode)],
            Then::Reauthorize,
            reason::$reason,
        )
    };
}

/// A code that brings nothing: the person must agree once more.
const fn code_refused(when: &'static [When]) -> Row {
    row_because(when, Then::Reauthorize, reason::CODE_REFUSED)
}
/// Codes of limits of the app as a whole: too many calls, and its own limit or downtime.
const APP_LIMITS: [&str; 2] = ["4", "341"];

const ROWS: &[Row] = &[
    // A gateway's 429 has no JSON, but may have a `Retry-After`.
    row(
        &[When::Status(429, 429), When::NotUnderstood],
        Then::Throttled,
    ),
    row(&[When::Status(500, 599)], Then::Retry),
    // A wrong address, not a provider in trouble.
    row_because(
        &[When::Status(300, 399), When::NotUnderstood],
        Then::Misconfigured,
        reason::REDIRECTED,
    ),
    row(&[When::NotUnderstood], Then::Retry),
    row(
        &[
            When::Codes(&[1]),
            When::Starts("Error validating client secret"),
        ],
        Then::Misconfigured,
    ),
    row(&[When::Codes(&[101])], Then::Misconfigured),
    row(
        &[When::Starts("Error validating application")],
        Then::Misconfigured,
    ),
    row(
        &[When::Starts("Missing client_id parameter")],
        Then::Misconfigured,
    ),
    row(
        &[When::Codes(&[100]), When::Mentions(&["appsecret_proof"])],
        Then::Misconfigured,
    ),
    dead!(458, APP_REMOVED),
    dead!(459, USER_CHECKPOINT),
    dead!(460, PASSWORD_CHANGED),
    dead!(463, EXPIRED),
    dead!(464, USER_UNCONFIRMED),
    dead!(467, REVOKED),
    dead!(492, PAGE_ROLE_LOST),
    row_because(
        &[When::Codes(&[190, 102])],
        Then::Reauthorize,
        reason::REVOKED,
    ),
    row_because(
        &[When::Codes(&[0]), When::Kind("AuthException")],
        Then::Reauthorize,
        reason::REVOKED,
    ),
    row_because(
        &[When::Codes(&[10])],
        Then::Reauthorize,
        reason::PERMISSION_REMOVED,
    ),
    row_because(
        &[When::Code(200, 299)],
        Then::Reauthorize,
        reason::PERMISSION_REMOVED,
    ),
    row(
        &[When::Codes(&[
            4, 17, 32, 613, 80014, 130_429, 131_048, 131_056, 133_016,
        ])],
        Then::Throttled,
    ),
    row(&[When::Code(80000, 80009)], Then::Throttled),
    row(&[When::Status(429, 429)], Then::Throttled),
    row(&[When::Codes(&[341])], Then::Throttled),
    row_because(
        &[When::Codes(&[368])],
        Then::ThrottledFor(POLICY_BLOCK_SECS),
        reason::POLICY_BLOCK,
    ),
    row(&[When::Codes(&[2])], Then::Retry),
    row(&[When::Transient], Then::Retry),
    row(&[When::Codes(&[1])], Then::FatalAfter(3)),
    row(&[When::Codes(&[3])], Then::Misconfigured),
    // Codes of a consent: 36008 another address, 36007 too late, 36009 used.
    row(
        &[When::Codes(&[100]), When::Subcode(36008)],
        Then::Misconfigured,
    ),
    row(&[When::Codes(&[191])], Then::Misconfigured),
    code_refused(&[When::Codes(&[100]), When::Subcode(36007)]),
    code_refused(&[When::Codes(&[100]), When::Subcode(36009)]),
    code_refused(&[
        When::Codes(&[100]),
        When::Mentions(&["authorization code", "verification code"]),
    ]),
    row(&[When::Codes(&[100, 803, 2500])], Then::Fatal),
    row_because(
        &[When::Status(400, 499)],
        Then::Fatal,
        reason::UNKNOWN_ANSWER,
    ),
    REDIRECT,
];

/// Whether a throttled answer is about the app: contracts §1.8. Most codes name a
/// person, a page, a business or a number.
pub(crate) fn is_app_limit(details: &Details) -> bool {
    // What a young token waits for is its own age, whatever its refusal says.
    let is_of_token = details.reason.as_deref() == Some(reason::TOO_YOUNG);
    let code = details.provider_code.as_deref();
    !is_of_token && code.is_none_or(|code| APP_LIMITS.contains(&code))
}

/// What an error envelope says; also for answers that have none.
pub(crate) fn facts(answer: &Answer, body: Option<&Value>) -> Facts {
    let error = body.and_then(|body| body.get("error"));
    Facts {
        status: answer.status,
        understood: body.is_some(),
        shape: Some(shape(answer, body)),
        ..error.map_or_else(Facts::default, error_facts)
    }
}

/// What an error object says, be it an answer's or a looked-up token's.
pub(super) fn error_facts(error: &Value) -> Facts {
    let message = text(error, "message").or_else(|| error.as_str().map(str::to_owned));
    Facts {
        code: text(error, "code"),
        subcode: text(error, "error_subcode").or_else(|| text(error, "subcode")),
        kind: text(error, "type"),
        message,
        trace_id: text(error, "fbtrace_id"),
        transient: error.get("is_transient").and_then(Value::as_bool) == Some(true),
        ..Facts::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{DelaySource, Timestamp, Verdict};
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    /// What the matrix says of a body at a status.
    fn judged(status: u16, body: &str, headers: &[(&'static str, &str)]) -> (Verdict, String) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let answer = Answer {
            status,
            headers,
            body: body.as_bytes().to_vec().into(),
        };
        let facts = facts(&answer, answer.json().as_ref());
        let (verdict, reason) = MATRIX.judge(&facts, &answer.headers, Timestamp::from_secs(0));
        (verdict, reason.unwrap_or("-").to_owned())
    }

    fn error(code: i64, subcode: Option<i64>, message: &str) -> String {
        let mut error = json!({
            "message": message, "type": "OAuthException", "code": code, "fbtrace_id": "AbC",
        });
        if let Some(subcode) = subcode {
            error["error_subcode"] = subcode.into();
        }
        json!({ "error": error }).to_string()
    }

    fn throttled() -> Verdict {
        Verdict::RateLimited {
            delay: None,
            source: DelaySource::ProviderDefault,
        }
    }

    #[test]
    fn every_dead_token_tells_why() {
        let auth = r#"{"error":{"message":"x","type":"AuthException","code":0}}"#;
        for (body, reason) in [
            (error(190, Some(458), "x"), "app_removed"),
            (error(190, Some(459), "x"), "user_checkpoint"),
            (error(190, Some(460), "x"), "password_changed"),
            (error(190, Some(463), "x"), "expired"),
            (error(190, Some(464), "x"), "user_unconfirmed"),
            (error(190, Some(467), "x"), "revoked"),
            (error(190, Some(492), "x"), "page_role_lost"),
            (error(190, Some(1), "x"), "revoked"),
            (error(190, None, "x"), "revoked"),
            (error(102, None, "x"), "revoked"),
            (auth.to_owned(), "revoked"),
            (error(10, None, "x"), "permission_removed"),
            (error(200, None, "x"), "permission_removed"),
            (error(299, None, "x"), "permission_removed"),
        ] {
            for status in [200, 400, 401, 403] {
                let judged = judged(status, &body, &[]);

                let expected = (Verdict::Reauthorize, reason.to_owned());
                assert_eq!(judged, expected, "{status} {body}");
            }
        }
    }

    #[test]
    fn every_fault_of_ours_is_told_from_one_that_passes() {
        use Verdict::{Fatal, Misconfigured, Retry};
        let transient = r#"{"error":{"message":"x","code":9999,"is_transient":true}}"#;
        let words = |code, message| error(code, None, message);
        for (status, body, verdict) in [
            (500, error(190, Some(463), "x"), Retry),
            (503, String::new(), Retry),
            (400, "<html>".to_owned(), Retry),
            (200, "EAA".to_owned(), Retry),
            (
                400,
                words(1, "Error validating client secret."),
                Misconfigured,
            ),
            (400, words(101, "x"), Misconfigured),
            (
                400,
                words(7, "Error validating application. x"),
                Misconfigured,
            ),
            (400, words(7, "Missing client_id parameter."), Misconfigured),
            (400, words(100, "Invalid appsecret_proof"), Misconfigured),
            (400, words(2, "x"), Retry),
            (400, transient.to_owned(), Retry),
            (400, words(1, "x"), Verdict::retry_then(3, Fatal)),
            (400, words(3, "x"), Misconfigured),
            (400, words(100, "x"), Fatal),
            (400, words(803, "x"), Fatal),
            (400, words(2500, "x"), Fatal),
        ] {
            let judged = judged(status, &body, &[]);

            assert_eq!(judged, (verdict, "-".to_owned()), "{status} {body}");
        }
    }

    #[test]
    fn an_unknown_answer_is_fatal_at_once_only_if_it_says_that_we_are_wrong() {
        let unknown = |verdict| (verdict, "unknown_answer".to_owned());
        let tried_twice = || unknown(Verdict::retry_then(2, Verdict::Fatal));

        assert_eq!(judged(404, "{}", &[]), unknown(Verdict::Fatal));
        assert_eq!(judged(200, "{}", &[]), tried_twice());
    }

    #[test]
    fn a_redirect_is_a_wrong_address_unless_it_brings_an_error() {
        let redirected = (Verdict::Misconfigured, "redirected".to_owned());

        for body in ["", "<html>", "{}"] {
            assert_eq!(judged(302, body, &[]), redirected, "{body}");
        }
        let dead = judged(302, &error(190, Some(463), "x"), &[]);
        assert_eq!(dead, (Verdict::Reauthorize, "expired".to_owned()));
    }

    #[test]
    fn a_limit_is_the_apps_unless_it_names_somebody_or_a_young_token() {
        let limit = |code: Option<&str>, reason: Option<&str>| {
            is_app_limit(&Details {
                provider_code: code.map(str::to_owned),
                reason: reason.map(str::to_owned),
                ..Details::default()
            })
        };

        assert!(limit(None, None) && limit(Some("4"), None) && limit(Some("341"), None));
        assert!(!limit(Some("17"), None) && !limit(Some("80002"), None));
        assert!(!limit(None, Some(reason::TOO_YOUNG)));
    }

    #[test]
    fn a_policy_block_lasts_hours() {
        let expected = Verdict::RateLimited {
            delay: Some(Duration::from_hours(6)),
            source: DelaySource::ProviderDefault,
        };

        let judged = judged(400, &error(368, None, "x"), &[]);

        assert_eq!(judged, (expected, "policy_block".to_owned()));
    }

    #[test]
    fn every_throttling_code_is_throttling_at_any_status() {
        let codes = [
            4, 17, 32, 613, 80014, 130_429, 131_048, 131_056, 133_016, 341,
        ];
        for code in codes.into_iter().chain(80000..=80009) {
            let judged = judged(400, &error(code, Some(2_446_079), "x"), &[]);

            assert_eq!(judged, (throttled(), "-".to_owned()), "{code}");
        }
        assert_eq!(judged(429, "{}", &[]).0, throttled());
        assert_eq!(judged(429, "Too many requests", &[]).0, throttled());
    }

    #[test]
    fn the_delay_comes_from_retry_after_then_from_the_usage_headers() {
        let usage = r#"{"1":[{"type":"pages","estimated_time_to_regain_access":4}]}"#;
        let body = error(80001, None, "x");
        let limited = |seconds, source| Verdict::RateLimited {
            delay: Some(Duration::from_secs(seconds)),
            source,
        };

        let by_usage = judged(400, &body, &[("x-business-use-case-usage", usage)]);
        let both = [("x-business-use-case-usage", usage), ("retry-after", "9")];
        let by_retry_after = judged(400, &body, &both);

        assert_eq!(by_usage.0, limited(240, DelaySource::ProviderHeader));
        assert_eq!(by_retry_after.0, limited(9, DelaySource::RetryAfter));
    }
}
