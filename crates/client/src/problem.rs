//! What a server says when it refuses: RFC 9457.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// What is wrong with one field of the input.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FieldError {
    /// The field's path, such as `credentials.expires_in`.
    pub field: String,
    /// What is allowed.
    pub message: String,
}

/// A refusal. `Display` is one sentence with the status in brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The status of the answer.
    #[serde(skip)]
    pub status: u16,
    /// Stable and in snake case, such as `needs_reauth`; empty if the answer was no problem
    /// document (a proxy's page, say).
    pub code: String,
    /// The same for every problem of this code.
    pub title: String,
    /// What happened this time.
    pub detail: String,
    /// The fields that are wrong, for status 422 and 409.
    pub errors: Vec<FieldError>,
    /// How long the server asked to be left alone (`Retry-After` in seconds).
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = reqwest::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason());
        let said = [self.detail.as_str(), &self.title]
            .into_iter()
            .find(|text| !text.is_empty());
        let said = said.or(reason).unwrap_or("refused");
        write!(f, "{said} ({})", self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_a_sentence_whatever_is_known_of_it() {
        let told = |title: &str, detail: &str| {
            let problem = Problem {
                status: 502,
                title: title.to_owned(),
                detail: detail.to_owned(),
                ..Problem::default()
            };
            problem.to_string()
        };

        assert_eq!(told("Title", "It happened."), "It happened. (502)");
        assert_eq!(told("Title", ""), "Title (502)");
        assert_eq!(told("", ""), "Bad Gateway (502)");
    }
}
