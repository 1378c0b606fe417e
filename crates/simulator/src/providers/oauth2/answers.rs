//! What a token endpoint refuses (RFC 6749 section 5.2), and the refusals that a scenario
//! can call.

use std::borrow::Cow;

use serde_json::json;

use super::Question;
use crate::ClientAuth;
use crate::answer::Answer;

/// An error body, and the status that it comes with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) error: &'static str,
    pub(super) description: Cow<'static, str>,
    pub(super) status: u16,
}

impl Problem {
    /// A problem with status 400.
    pub(super) fn new(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            error,
            description: description.into(),
            status: 400,
        }
    }

    /// The error body; a client that is refused with 401 is told how to authenticate.
    pub(super) fn answer(&self) -> Answer {
        let json = json!({"error": self.error, "error_description": self.description});
        let answer = Answer::error(self.status, self.error, &json);
        match self.status {
            401 => answer.header("www-authenticate", "Basic realm=\"demo\""),
            405 => answer.header("allow", "POST"),
            _ => answer,
        }
    }
}

/// The client is not who it says.
pub(super) fn invalid_client(auth: ClientAuth) -> Problem {
    Problem {
        status: match auth {
            ClientAuth::Basic => 401,
            ClientAuth::Body | ClientAuth::Public => 400,
        },
        ..Problem::new("invalid_client", "Client authentication failed")
    }
}

/// The refresh token is not accepted, for whatever reason.
pub(super) fn invalid_grant() -> Problem {
    Problem::new("invalid_grant", "The refresh token is invalid or expired")
}

/// Too many requests; the RFC has no error for it.
pub(super) fn throttled(question: &Question<'_>) -> Answer {
    let answer = Answer::error(429, "429", &json!({"message": "Too many requests"}));
    match question.desk.world.retry_after {
        Some(after) => answer.header("retry-after", after.as_secs().to_string()),
        None => answer,
    }
}
