//! How a refusal reads on a terminal.

use std::fmt::Write as _;

use anyhow::anyhow;
use client::{ClientError, Problem};

use super::target::Right;

/// The message for a person who called this server with this right.
pub(super) fn told(error: ClientError, address: &str, right: &Right) -> anyhow::Error {
    match error {
        ClientError::Refused(problem) => anyhow!(refusal(&problem, right)),
        error @ ClientError::Unreachable { .. } => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            anyhow!(source.unwrap_or_default()).context(format!(
                "no server answers at {address}; is one running there? (tokenfleet up, --server, \
                 TOKENFLEET_SERVER)"
            ))
        }
        ClientError::LogInAgain { .. } => anyhow!(
            "the log-in at {address} has ended; log in again: tokenfleet login --server {address}"
        ),
        error => error.into(),
    }
}

/// RFC 9457 as one sentence, and a line per wrong field.
fn refusal(problem: &Problem, right: &Right) -> String {
    let mut text = problem.to_string();
    for error in &problem.errors {
        let _ = write!(text, "\n  {}: {}", error.field, error.message);
    }
    if problem.status == 401 && matches!(right, Right::Token(_)) {
        text.push_str("\n  the bearer token is another server's; see --token-file, or log in");
    }
    if let Some(pause) = problem.retry_after {
        let _ = write!(text, "\n  try again in {} s", pause.as_secs());
    }
    text
}

#[cfg(test)]
mod tests {
    use client::FieldError;

    use super::*;

    #[test]
    fn a_problem_reads_as_a_sentence_with_its_fields() {
        let problem = Problem {
            status: 422,
            detail: "the input is not valid".to_owned(),
            errors: vec![FieldError {
                field: "provider".to_owned(),
                message: "must be one of facebook, tiktok".to_owned(),
            }],
            ..Problem::default()
        };

        assert_eq!(
            refusal(&problem, &Right::None),
            "the input is not valid (422)\n  provider: must be one of facebook, tiktok"
        );
    }
}
