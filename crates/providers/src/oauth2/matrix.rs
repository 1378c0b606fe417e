//! The errors of RFC 6749 section 5.2 (contracts §7), and each provider's own before them.

use domain::{Timestamp, Verdict, reason};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::delay::{ratelimit_reset, throttled};
use crate::http::Answer;
use crate::json::text;
use crate::matrix::{Facts, Matrix, REDIRECT, Row, Then, When, row, row_because};
use crate::shape::shape;

use super::settings::ErrorWords;

/// "+5 s", RFC 8628 section 3.5.
const SLOW_DOWN_SECS: u64 = 5;

const MATRIX: Matrix = Matrix {
    rows: ROWS,
    header_delay: ratelimit_reset,
};

const ROWS: &[Row] = &[
    row(&[When::Status(429, 429)], Then::Throttled),
    row(&[When::Status(503, 503), When::AsksToWait], Then::Throttled),
    row(&[When::Status(500, 599)], Then::Retry),
    row_because(
        &[When::Words(&["invalid_grant"])],
        Then::Reauthorize,
        reason::REVOKED,
    ),
    row(
        &[When::Words(&[
            "invalid_client",
            "unauthorized_client",
            "invalid_scope",
        ])],
        Then::Misconfigured,
    ),
    row(
        &[When::Words(&["invalid_request", "unsupported_grant_type"])],
        Then::Fatal,
    ),
    row(
        &[When::Words(&["temporarily_unavailable", "server_error"])],
        Then::Retry,
    ),
    row(
        &[When::Words(&["slow_down"])],
        Then::ThrottledFor(SLOW_DOWN_SECS),
    ),
    REDIRECT,
];

/// A provider's own errors, before those of the RFC.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    /// In lower case; the provider's code or its finer one.
    code: String,
    /// In lower case; part of the message. `None` goes without.
    words: Option<String>,
    means: Meaning,
}

#[derive(Clone, Copy, Debug)]
enum Meaning {
    Reauth,
    Misconfigured,
    Retry,
    RateLimit,
}

impl Rules {
    /// The rules of `ours` come before those of `catalogues`; among either, those
    /// that want words come before those that take any.
    pub(super) fn of(ours: &ErrorWords, catalogues: &ErrorWords) -> Self {
        Self(rules(ours).into_iter().chain(rules(catalogues)).collect())
    }

    /// What the answer means, and why. What passes by its status passes, whatever
    /// the body says: one bad gateway must not end a fleet's grants.
    pub(super) fn judge(
        &self,
        facts: &Facts,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> (Verdict, Option<&'static str>) {
        let passes = facts.status == 429 || facts.status >= 500;
        let rule = self.0.iter().find(|rule| !passes && rule.fits(facts));
        match rule.map(|rule| rule.means) {
            None => MATRIX.judge(facts, headers, now),
            Some(Meaning::Reauth) => (Verdict::Reauthorize, Some(reason::REVOKED)),
            Some(Meaning::Misconfigured) => (Verdict::Misconfigured, None),
            Some(Meaning::Retry) => (Verdict::Retry, None),
            Some(Meaning::RateLimit) => (throttled(headers, now, ratelimit_reset, None), None),
        }
    }
}

impl Rule {
    /// From `code` or `code: words of the message`.
    fn parse(text: &str, means: Meaning) -> Self {
        let text = text.to_lowercase();
        let (code, words) = match text.split_once(':') {
            Some((code, words)) => (code, Some(words.trim().to_owned())),
            None => (text.as_str(), None),
        };
        Self {
            code: code.trim().to_owned(),
            words,
            means,
        }
    }

    fn fits(&self, facts: &Facts) -> bool {
        let is = |code: &Option<String>| {
            code.as_ref()
                .is_some_and(|it| it.to_lowercase() == self.code)
        };
        let says = |words: &String| {
            let message = facts.message.as_deref().unwrap_or_default();
            message.to_lowercase().contains(words)
        };
        (is(&facts.code) || is(&facts.subcode)) && self.words.as_ref().is_none_or(says)
    }
}

fn rules(words: &ErrorWords) -> Vec<Rule> {
    let mut rules: Vec<Rule> = [
        (&words.reauth, Meaning::Reauth),
        (&words.misconfigured, Meaning::Misconfigured),
        (&words.retry, Meaning::Retry),
        (&words.rate_limit, Meaning::RateLimit),
    ]
    .into_iter()
    .flat_map(|(texts, means)| texts.iter().map(move |text| Rule::parse(text, means)))
    .collect();
    rules.sort_by_key(|rule| rule.words.is_none());
    rules
}

/// What an error says; also for answers that say nothing.
pub(super) fn facts(answer: &Answer, body: Option<&Value>) -> Facts {
    let flat = |name| text(body?, name);
    let nested = |name| text(body?.get("error")?, name);
    let message = flat("error_description").or_else(|| flat("message"));
    let trace_id = flat("trace_id").or_else(|| flat("request_id"));
    Facts {
        status: answer.status,
        understood: body.is_some(),
        shape: Some(shape(answer, body)),
        code: code(body),
        // Microsoft: `error_codes: [70008]`.
        subcode: body.and_then(first_error_code),
        message: message
            .or_else(|| nested("message"))
            .or_else(|| flat("reason")),
        trace_id: trace_id.or_else(|| flat("correlationId")),
        asks_to_wait: answer.headers.contains_key(RETRY_AFTER),
        ..Facts::default()
    }
}

/// `error` is a word or an object with one; `HubSpot` has a word in `status`.
fn code(body: Option<&Value>) -> Option<String> {
    let body = body?;
    let nested = || {
        let error = body.get("error")?;
        text(error, "code").or_else(|| text(error, "type"))
    };
    let word = || body.get("status")?.as_str().map(str::to_owned);
    text(body, "error").or_else(nested).or_else(word)
}

fn first_error_code(body: &Value) -> Option<String> {
    let codes = body.get("error_codes")?.as_array()?;
    codes.first().map(Value::to_string)
}

#[cfg(test)]
mod tests;
