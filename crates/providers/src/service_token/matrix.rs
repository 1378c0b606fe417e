//! The errors of a service-token refresh: contracts §6.

use domain::reason;
use serde_json::Value;

use crate::delay::no_header;
use crate::http::Answer;
use crate::json::text;
use crate::matrix::{Facts, Matrix, REDIRECT, Row, Then, When, row, row_because};
use crate::shape::shape;

/// The status decides.
pub(super) const MATRIX: Matrix = Matrix {
    rows: ROWS,
    header_delay: no_header,
};

const ROWS: &[Row] = &[
    row_because(
        &[When::Status(401, 401)],
        Then::Reauthorize,
        reason::BAD_CREDENTIALS,
    ),
    row_because(
        &[When::Status(403, 403)],
        Then::Reauthorize,
        reason::BAD_CREDENTIALS,
    ),
    row(&[When::Status(404, 405)], Then::Misconfigured),
    row(&[When::Status(422, 422)], Then::Fatal),
    row(&[When::Status(429, 429)], Then::Throttled),
    row(&[When::Status(500, 599)], Then::Retry),
    REDIRECT,
];

/// What a body says, in any of the usual forms; also for answers that have none.
pub(super) fn facts(answer: &Answer, body: Option<&Value>) -> Facts {
    let said = |name| text(body?, name);
    let message = said("message").or_else(|| said("detail"));
    Facts {
        status: answer.status,
        understood: body.is_some(),
        shape: Some(shape(answer, body)),
        code: said("code").or_else(|| said("error")),
        message: message.or_else(|| said("error_description")),
        ..Facts::default()
    }
}

#[cfg(test)]
mod tests {
    use domain::{DelaySource, Timestamp, Verdict};
    use reqwest::header::HeaderMap;

    use super::*;

    #[test]
    fn every_row_of_the_contract_is_judged_as_it_says() {
        use Verdict::{Fatal, Misconfigured, Reauthorize, Retry};
        let throttled = Verdict::RateLimited {
            delay: None,
            source: DelaySource::ProviderDefault,
        };
        let unknown = Verdict::retry_then(2, Fatal);
        for (status, verdict, reason) in [
            (401, Reauthorize, "bad_credentials"),
            (403, Reauthorize, "bad_credentials"),
            (404, Misconfigured, "-"),
            (405, Misconfigured, "-"),
            (422, Fatal, "-"),
            (429, throttled, "-"),
            (500, Retry, "-"),
            (503, Retry, "-"),
            (302, Misconfigured, "redirected"),
            (307, Misconfigured, "redirected"),
            (200, unknown.clone(), "unknown_answer"),
            (400, unknown, "unknown_answer"),
        ] {
            for body in ["{}", "<html>", ""] {
                let answer = Answer {
                    status,
                    headers: HeaderMap::new(),
                    body: body.as_bytes().to_vec().into(),
                };

                let facts = facts(&answer, answer.json().as_ref());
                let judged = MATRIX.judge(&facts, &answer.headers, Timestamp::from_secs(0));

                let expected = (verdict.clone(), reason);
                assert_eq!((judged.0, judged.1.unwrap_or("-")), expected, "{status}");
            }
        }
    }
}
