//! Error matrices as data: which answer means what; the first row that matches wins.

use std::time::Duration;

use domain::{Timestamp, Verdict, reason};
use reqwest::header::HeaderMap;

use crate::delay::{HeaderDelay, throttled};

/// What an answer said, as far as a row may ask. Raw: see [`crate::redact`] before showing it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Whether the body was the JSON that the provider speaks.
    pub(crate) understood: bool,
    /// The provider's code.
    pub(crate) code: Option<String>,
    /// Its finer code.
    pub(crate) subcode: Option<String>,
    /// Its kind of error, at Meta `type`.
    pub(crate) kind: Option<String>,
    /// Its words.
    pub(crate) message: Option<String>,
    /// What its support asks for.
    pub(crate) trace_id: Option<String>,
    /// The form of its body.
    pub(crate) shape: Option<String>,
    /// It says itself that the error will pass.
    pub(crate) transient: bool,
    /// It has a `Retry-After`.
    pub(crate) asks_to_wait: bool,
}

/// All rows of one provider, in the order of the contracts.
pub(crate) struct Matrix {
    /// The rows; an answer that none of them knows is tried twice, then fatal.
    pub(crate) rows: &'static [Row],
    /// Where its headers name a delay.
    pub(crate) header_delay: HeaderDelay,
}

/// One row: all of `when` must hold.
pub(crate) struct Row {
    /// The conditions.
    pub(crate) when: &'static [When],
    /// What it means.
    pub(crate) then: Then,
    /// The reason that people see.
    pub(crate) reason: Option<&'static str>,
}

/// A condition on an answer.
pub(crate) enum When {
    /// The HTTP status, both ends included.
    Status(u16, u16),
    /// A body in another language than the provider's.
    NotUnderstood,
    /// A code that is a number, both ends included.
    Code(i64, i64),
    /// A code that is one of these numbers.
    Codes(&'static [i64]),
    /// A code that is one of these words.
    Words(&'static [&'static str]),
    /// No code.
    NoCode,
    /// The finer code.
    Subcode(i64),
    /// The kind of error.
    Kind(&'static str),
    /// The first words of the message.
    Starts(&'static str),
    /// Any of these in the message, in lower case.
    Mentions(&'static [&'static str]),
    /// The provider says that it will pass.
    Transient,
    /// There is a `Retry-After`.
    AsksToWait,
}

/// What a row means; a [`Verdict`] that can stand in a table.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    /// [`Verdict::Retry`].
    Retry,
    /// [`Verdict::Fatal`] after so many tries.
    FatalAfter(u32),
    /// [`Verdict::RateLimited`]; where nobody names a delay, the backoff does.
    Throttled,
    /// [`Verdict::RateLimited`]; where nobody names a delay, so many seconds.
    ThrottledFor(u64),
    /// [`Verdict::Reauthorize`].
    Reauthorize,
    /// [`Verdict::Reauthorize`] after so many tries.
    ReauthorizeAfter(u32),
    /// [`Verdict::Misconfigured`].
    Misconfigured,
    /// [`Verdict::Fatal`].
    Fatal,
}

/// Nobody follows a redirect: an address that answers with one is a wrong setting.
pub(crate) const REDIRECT: Row = row_because(
    &[When::Status(300, 399)],
    Then::Misconfigured,
    reason::REDIRECTED,
);

/// A row without a reason.
pub(crate) const fn row(when: &'static [When], then: Then) -> Row {
    Row {
        when,
        then,
        reason: None,
    }
}

/// A row with the reason that people see.
pub(crate) const fn row_because(when: &'static [When], then: Then, reason: &'static str) -> Row {
    Row {
        when,
        then,
        reason: Some(reason),
    }
}

impl Matrix {
    /// What the answer means, and why.
    pub(crate) fn judge(
        &self,
        facts: &Facts,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> (Verdict, Option<&'static str>) {
        let Some(row) = self.rows.iter().find(|row| facts.meet(row.when)) else {
            return (
                Verdict::retry_then(2, Verdict::Fatal),
                Some(reason::UNKNOWN_ANSWER),
            );
        };
        let throttled = |usual| throttled(headers, now, self.header_delay, usual);
        let verdict = match row.then {
            Then::Retry => Verdict::Retry,
            Then::FatalAfter(tries) => Verdict::retry_then(tries, Verdict::Fatal),
            Then::Throttled => throttled(None),
            Then::ThrottledFor(seconds) => throttled(Some(Duration::from_secs(seconds))),
            Then::Reauthorize => Verdict::Reauthorize,
            Then::ReauthorizeAfter(tries) => Verdict::retry_then(tries, Verdict::Reauthorize),
            Then::Misconfigured => Verdict::Misconfigured,
            Then::Fatal => Verdict::Fatal,
        };
        (verdict, row.reason)
    }
}

impl Facts {
    /// Whether all conditions hold.
    pub(crate) fn meet(&self, conditions: &[When]) -> bool {
        conditions.iter().all(|when| self.meets(when))
    }

    fn meets(&self, when: &When) -> bool {
        let code = number(self.code.as_ref());
        let message = self.message.as_deref().unwrap_or_default();
        match when {
            When::Status(first, last) => (*first..=*last).contains(&self.status),
            When::NotUnderstood => !self.understood,
            When::Code(first, last) => code.is_some_and(|code| (*first..=*last).contains(&code)),
            When::Codes(codes) => code.is_some_and(|code| codes.contains(&code)),
            When::Words(words) => self.code.as_deref().is_some_and(|it| words.contains(&it)),
            When::NoCode => self.code.is_none(),
            When::Subcode(subcode) => number(self.subcode.as_ref()) == Some(*subcode),
            When::Kind(kind) => self.kind.as_deref() == Some(kind),
            When::Starts(words) => message.starts_with(words),
            When::Mentions(words) => {
                let message = message.to_lowercase();
                words.iter().any(|word| message.contains(word))
            }
            When::Transient => self.transient,
            When::AsksToWait => self.asks_to_wait,
        }
    }
}

fn number(code: Option<&String>) -> Option<i64> {
    code?.parse().ok()
}
