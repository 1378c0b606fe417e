//! Facturify's errors: contracts §5.5, one table per address.

use domain::reason;
use serde_json::Value;

use crate::delay::no_header;
use crate::http::Answer;
use crate::json::text;
use crate::matrix::{Facts, Matrix, REDIRECT, Row, Then, When, row, row_because};
use crate::shape::shape;

/// Answers of `/token/refresh` after which a new token is obtained; no error by themselves.
const STARTS_OVER: &[&[When]] = &[
    &[When::Status(401, 401)],
    &[When::Codes(&[51])],
    &[When::Status(400, 400), When::Codes(&[400])],
    &[When::Status(400, 400), When::NoCode],
    &[When::Status(422, 422)],
];

/// Answers to a method that `/token/refresh` does not take.
const WRONG_METHOD: &[When] = &[When::Status(404, 405)];

/// The answers of `/auth` to a tenant's own key.
pub(super) const AUTH: Matrix = Matrix {
    rows: AUTH_ROWS,
    header_delay: no_header,
};

/// The answers of `/auth` to the key of the settings.
pub(super) const AUTH_OF_SETTINGS: Matrix = Matrix {
    rows: AUTH_OF_SETTINGS_ROWS,
    header_delay: no_header,
};

/// The answers of `/token/refresh` that are errors.
pub(super) const REFRESH: Matrix = Matrix {
    rows: ANY,
    header_delay: no_header,
};

const AUTH_ROWS: &[Row] = &[
    row_because(
        &[When::Status(401, 401)],
        Then::Reauthorize,
        reason::BAD_CREDENTIALS,
    ),
    row_because(
        &[When::Status(422, 422)],
        Then::Misconfigured,
        reason::BAD_CREDENTIALS,
    ),
    THROTTLED,
    AWAY,
    REDIRECT,
    NO_TOKEN,
];

const AUTH_OF_SETTINGS_ROWS: &[Row] = &[
    row_because(
        &[When::Status(401, 401)],
        Then::Misconfigured,
        reason::BAD_CREDENTIALS,
    ),
    row_because(
        &[When::Status(422, 422)],
        Then::Misconfigured,
        reason::BAD_CREDENTIALS,
    ),
    THROTTLED,
    AWAY,
    REDIRECT,
    NO_TOKEN,
];

const ANY: &[Row] = &[THROTTLED, AWAY, REDIRECT, NO_TOKEN];

const THROTTLED: Row = row(&[When::Status(429, 429)], Then::Throttled);
const AWAY: Row = row(&[When::Status(500, 599)], Then::Retry);
const NO_TOKEN: Row = row_because(
    &[When::Status(200, 299)],
    Then::FatalAfter(2),
    reason::UNKNOWN_ANSWER,
);

/// Whether a refused refresh means "obtain a new token".
pub(super) fn starts_over(facts: &Facts) -> bool {
    STARTS_OVER.iter().any(|when| facts.meet(when))
}

/// Whether the other method should be tried.
pub(super) fn is_wrong_method(facts: &Facts) -> bool {
    facts.meet(WRONG_METHOD)
}

/// What a body says; `code` may be a number, a string or absent.
pub(super) fn facts(answer: &Answer, body: Option<&Value>) -> Facts {
    Facts {
        status: answer.status,
        understood: body.is_some(),
        shape: Some(shape(answer, body)),
        code: body.and_then(|body| text(body, "code")),
        message: body.and_then(message),
        ..Facts::default()
    }
}

/// The message with its `errors[]`: `words (api_key: El campo …; …)`.
fn message(body: &Value) -> Option<String> {
    let words = text(body, "message");
    let errors = body.get("errors").and_then(Value::as_array);
    let fields: Vec<String> = errors
        .into_iter()
        .flatten()
        .filter_map(field_error)
        .collect();
    if fields.is_empty() {
        return words;
    }
    let words = words.unwrap_or_default();
    Some(format!("{words} ({})", fields.join("; ")))
}

fn field_error(error: &Value) -> Option<String> {
    let message = text(error, "message")?;
    Some(match text(error, "field") {
        Some(field) => format!("{field}: {message}"),
        None => message,
    })
}

#[cfg(test)]
mod tests {
    use domain::{DelaySource, Timestamp, Verdict};
    use reqwest::header::HeaderMap;

    use super::*;

    const EXPIRED: &str = r#"{"code":51,"message":"El token ha expirado"}"#;
    const INVALID: &str = r#"{"code":33,"message":"Los datos no cumplen las reglas",
        "errors":[{"field":"api_key","message":"El campo api_key es obligatorio.","code":34}]}"#;

    fn asked(status: u16, body: &str) -> (Answer, Facts) {
        let answer = Answer {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec().into(),
        };
        let facts = facts(&answer, answer.json().as_ref());
        (answer, facts)
    }

    fn judged(matrix: &Matrix, status: u16, body: &str) -> (Verdict, String) {
        let (answer, facts) = asked(status, body);
        let (verdict, reason) = matrix.judge(&facts, &answer.headers, Timestamp::from_secs(0));
        (verdict, reason.unwrap_or("-").to_owned())
    }

    #[test]
    fn a_refused_refresh_starts_over_as_the_contract_lists() {
        for (status, body, starts) in [
            (401, "", true),
            (401, EXPIRED, true),
            (400, r#"{"code":"51"}"#, true),
            (200, EXPIRED, true),
            (400, r#"{"code":400}"#, true),
            (400, r#"{"code":"400"}"#, true),
            (400, "{}", true),
            (400, "", true),
            (422, INVALID, true),
            (400, r#"{"code":77}"#, false),
            (403, "{}", false),
            (429, "{}", false),
            (500, "{}", false),
            (200, "{}", false),
        ] {
            assert_eq!(
                starts_over(&asked(status, body).1),
                starts,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn the_other_method_is_tried_at_404_and_405_only() {
        let wrong: Vec<u16> = [200, 400, 401, 403, 404, 405, 406, 500]
            .into_iter()
            .filter(|status| is_wrong_method(&asked(*status, "").1))
            .collect();

        assert_eq!(wrong, [404, 405]);
    }

    #[test]
    fn every_row_of_the_contract_is_judged_as_it_says() {
        use Verdict::{Fatal, Misconfigured, Reauthorize, Retry};
        let throttled = Verdict::RateLimited {
            delay: None,
            source: DelaySource::ProviderDefault,
        };
        let no_token = Verdict::retry_then(2, Fatal);
        for (matrix, status, verdict, reason) in [
            (&AUTH, 401, Reauthorize, "bad_credentials"),
            (&AUTH, 422, Misconfigured, "bad_credentials"),
            (&AUTH, 429, throttled.clone(), "-"),
            (&REFRESH, 429, throttled, "-"),
            (&AUTH, 500, Retry, "-"),
            (&REFRESH, 502, Retry, "-"),
            (&REFRESH, 503, Retry, "-"),
            (&AUTH, 504, Retry, "-"),
            (&AUTH, 200, no_token.clone(), "unknown_answer"),
            (&REFRESH, 200, no_token.clone(), "unknown_answer"),
            (&REFRESH, 403, no_token, "unknown_answer"),
        ] {
            let judged = judged(matrix, status, "{}");

            assert_eq!(judged, (verdict, reason.to_owned()), "{status}");
        }
    }

    #[test]
    fn field_errors_are_part_of_the_message() {
        let (_, facts) = asked(422, INVALID);

        assert_eq!(facts.code.as_deref(), Some("33"));
        assert_eq!(
            facts.message.as_deref(),
            Some("Los datos no cumplen las reglas (api_key: El campo api_key es obligatorio.)")
        );
    }
}
