//! The errors of TikTok's API for Business: contracts §4.2, by `code`.

use domain::reason;
use serde_json::Value;

use crate::delay::{ratelimit_reset, text as header};
use crate::http::Answer;
use crate::json::text;
use crate::matrix::{Facts, Matrix, REDIRECT, Row, Then, When, row, row_because};
use crate::shape::shape;

/// `code` decides; where there is none, the HTTP status.
pub(super) const MATRIX: Matrix = Matrix {
    rows: ROWS,
    header_delay: ratelimit_reset,
};

const ROWS: &[Row] = &[
    row(&[When::Codes(&[40100, 51021])], Then::Throttled),
    row_because(
        &[When::Code(40102, 40105)],
        Then::Reauthorize,
        reason::REVOKED,
    ),
    row_because(
        &[When::Codes(&[40001])],
        Then::Reauthorize,
        reason::PERMISSION_REMOVED,
    ),
    row_because(
        &[
            When::Codes(&[40002]),
            When::Mentions(&["refresh token", "refresh_token"]),
        ],
        Then::Reauthorize,
        reason::REVOKED,
    ),
    row(
        &[
            When::Codes(&[40002]),
            When::Mentions(&[
                "app id",
                "app_id",
                "client id",
                "client_id",
                "client key",
                "client_key",
                "secret",
            ]),
        ],
        Then::Misconfigured,
    ),
    row(&[When::Codes(&[40002])], Then::Fatal),
    row(&[When::Code(50000, 59999)], Then::Retry),
    row(&[When::Status(429, 429)], Then::Throttled),
    row(&[When::Status(500, 599)], Then::Retry),
    REDIRECT,
];

/// What an envelope says; also for answers that have none.
pub(super) fn facts(answer: &Answer, body: Option<&Value>) -> Facts {
    let said = |name| text(body?, name);
    let log_id = || header(&answer.headers, "x-tt-logid").map(str::to_owned);
    Facts {
        status: answer.status,
        understood: body.is_some(),
        shape: Some(shape(answer, body)),
        code: said("code"),
        message: said("message"),
        trace_id: said("request_id").or_else(log_id),
        ..Facts::default()
    }
}

#[cfg(test)]
mod tests {
    use domain::{DelaySource, Timestamp, Verdict};
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn judged(status: u16, body: &str) -> (Verdict, String) {
        let answer = Answer {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec().into(),
        };
        let facts = facts(&answer, answer.json().as_ref());
        let (verdict, reason) = MATRIX.judge(&facts, &answer.headers, Timestamp::from_secs(0));
        (verdict, reason.unwrap_or("-").to_owned())
    }

    #[test]
    fn every_code_of_the_contract_is_judged_as_it_says_at_200() {
        use Verdict::{Fatal, Misconfigured, Reauthorize, Retry};
        let throttled = Verdict::RateLimited {
            delay: None,
            source: DelaySource::ProviderDefault,
        };
        let unknown = Verdict::retry_then(2, Fatal);
        for (code, message, verdict, reason) in [
            (40100, "Too many requests", throttled.clone(), "-"),
            (51021, "x", throttled, "-"),
            (40102, "x", Reauthorize, "revoked"),
            (40103, "x", Reauthorize, "revoked"),
            (40104, "x", Reauthorize, "revoked"),
            (40105, "Access token is incorrect", Reauthorize, "revoked"),
            (40001, "No permission", Reauthorize, "permission_removed"),
            (
                40002,
                "The refresh_token is invalid",
                Reauthorize,
                "revoked",
            ),
            (40002, "Invalid app_id or secret", Misconfigured, "-"),
            (40002, "Client_key is wrong", Misconfigured, "-"),
            (40002, "Invalid auth_code", Fatal, "-"),
            (50000, "System error", Retry, "-"),
            (50002, "x", Retry, "-"),
            (51010, "x", Retry, "-"),
            (0, "OK", unknown.clone(), "unknown_answer"),
            (40900, "x", unknown, "unknown_answer"),
        ] {
            for code in [json!(code), json!(code.to_string())] {
                let body = json!({ "code": code, "message": message, "request_id": "1" });

                let judged = judged(200, &body.to_string());

                assert_eq!(judged, (verdict.clone(), reason.to_owned()), "{body}");
            }
        }
    }

    #[test]
    fn without_a_code_the_status_decides() {
        assert_eq!(judged(500, "<html>").0, Verdict::Retry);
        assert_eq!(judged(429, "").0.class().as_str(), "rate_limited");
        assert_eq!(judged(302, "").1, "redirected");
        assert_eq!(judged(404, "").1, "unknown_answer");
        assert_eq!(judged(200, "<html>").1, "unknown_answer");
    }
}
