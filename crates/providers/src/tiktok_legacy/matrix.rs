//! The errors of TikTok's first OAuth: contracts §4.3. The codes are those that the
//! sister platform documents; an unknown one is taken for a dead grant at the second try.

use domain::reason;
use serde_json::Value;

use crate::delay::{no_header, text as header};
use crate::http::Answer;
use crate::json::text;
use crate::matrix::{Facts, Matrix, REDIRECT, Row, Then, When, row, row_because};
use crate::shape::shape;

/// `data.error_code` decides; where there is none, the HTTP status.
pub(super) const MATRIX: Matrix = Matrix {
    rows: ROWS,
    header_delay: no_header,
};

const ROWS: &[Row] = &[
    row(&[When::Status(429, 429)], Then::Throttled),
    row(&[When::Status(500, 599)], Then::Retry),
    row(&[When::Codes(&[10001])], Then::Retry),
    row(&[When::Codes(&[10002, 10005])], Then::Fatal),
    row(
        &[When::Codes(&[10003, 10013, 10014, 10015])],
        Then::Misconfigured,
    ),
    row(&[When::Codes(&[10004])], Then::Misconfigured),
    row_because(
        &[When::Codes(&[10007, 10010])],
        Then::Reauthorize,
        reason::EXPIRED,
    ),
    row_because(
        &[When::Codes(&[10008, 10020])],
        Then::Reauthorize,
        reason::REVOKED,
    ),
    row_because(
        &[When::Code(i64::MIN, -1)],
        Then::ReauthorizeAfter(2),
        reason::UNKNOWN_ANSWER,
    ),
    row_because(
        &[When::Code(1, i64::MAX)],
        Then::ReauthorizeAfter(2),
        reason::UNKNOWN_ANSWER,
    ),
    REDIRECT,
];

/// What an envelope says; also for answers that have none.
pub(super) fn facts(answer: &Answer, body: Option<&Value>) -> Facts {
    let data = body.and_then(|body| body.get("data"));
    let said = |name| text(data?, name);
    let message = || text(body?, "message");
    Facts {
        status: answer.status,
        understood: body.is_some(),
        shape: Some(shape(answer, body)),
        code: said("error_code"),
        message: said("description").or_else(message),
        trace_id: header(&answer.headers, "x-tt-logid").map(str::to_owned),
        ..Facts::default()
    }
}

#[cfg(test)]
mod tests {
    use domain::{Timestamp, Verdict};
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
    fn every_code_of_the_sister_platform_is_judged_as_the_contract_says() {
        use Verdict::{Fatal, Misconfigured, Reauthorize, Retry};
        let twice = Verdict::retry_then(2, Reauthorize);
        for (code, verdict, reason) in [
            (10001, Retry, "-"),
            (10002, Fatal, "-"),
            (10005, Fatal, "-"),
            (10003, Misconfigured, "-"),
            (10013, Misconfigured, "-"),
            (10014, Misconfigured, "-"),
            (10015, Misconfigured, "-"),
            (10004, Misconfigured, "-"),
            (10007, Reauthorize, "expired"),
            (10008, Reauthorize, "revoked"),
            (10010, Reauthorize, "expired"),
            (10020, Reauthorize, "revoked"),
            (77, twice.clone(), "unknown_answer"),
            (-3, twice.clone(), "unknown_answer"),
            (2_190_008, twice, "unknown_answer"),
        ] {
            for code in [json!(code), json!(code.to_string())] {
                let data = json!({ "description": "x", "error_code": code });
                let body = json!({ "data": data, "message": "error" }).to_string();

                let judged = judged(200, &body);

                assert_eq!(judged, (verdict.clone(), reason.to_owned()), "{body}");
            }
        }
    }

    #[test]
    fn without_a_code_the_status_decides() {
        let unknown = Verdict::retry_then(2, Verdict::Fatal);

        assert_eq!(judged(500, "<html>").0, Verdict::Retry);
        assert_eq!(judged(429, "").0.class().as_str(), "rate_limited");
        assert_eq!(judged(301, "").1, "redirected");
        assert_eq!(judged(200, "{}").0, unknown);
        assert_eq!(judged(410, "API calls will be rejected").0, unknown);
        let zero = r#"{"data":{"error_code":0},"message":"error"}"#;
        assert_eq!(judged(200, zero).0, unknown);
    }
}
