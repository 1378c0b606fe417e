//! What Facebook's and Instagram's Graph have in common: the error envelope and its
//! refusals (contracts §1.6–§1.8).

mod scenarios;

use std::borrow::Cow;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use serde_json::json;

use super::{Question, Refusal};
use crate::answer::Answer;
use crate::grants::Issued;
use crate::world::World;

pub(super) use scenarios::{errors, of_special, usages, whatsapp_errors, with_usage};

/// The message for a value that no token has.
pub(super) const CANNOT_PARSE: &str = "Invalid OAuth access token - Cannot parse access token";
/// The message for a token that is no longer accepted.
const INVALID_TOKEN: &str = "Error validating access token: the token is invalid.";

/// The app's secret is wrong; Meta words it as its "unknown error".
pub(super) const BAD_SECRET: GraphError = GraphError::fixed(1, "Error validating client secret.");
/// The app's id is wrong.
pub(super) const UNKNOWN_APP: GraphError = GraphError::fixed(
    101,
    "Error validating application. Cannot get application info due to a system error.",
);

/// One refusal of Graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GraphError {
    pub(super) code: u32,
    pub(super) subcode: Option<u32>,
    pub(super) message: Cow<'static, str>,
    label: &'static str,
    kind: &'static str,
    status: u16,
    transient: bool,
    details: Option<&'static str>,
    header: Option<(&'static str, &'static str)>,
}

impl GraphError {
    /// An error without a subcode.
    pub(super) fn new(code: u32, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            ..Self::fixed(code, "")
        }
    }

    /// An error with a subcode, and what the ledger calls it.
    pub(super) fn sub(code: u32, subcode: u32, label: &'static str, message: String) -> Self {
        Self {
            subcode: Some(subcode),
            label,
            ..Self::new(code, message)
        }
    }

    /// The same as Instagram's examples have it.
    pub(super) fn without_subcode(self) -> Self {
        Self {
            subcode: None,
            label: "190",
            ..self
        }
    }

    const fn fixed(code: u32, message: &'static str) -> Self {
        Self {
            code,
            subcode: None,
            message: Cow::Borrowed(message),
            label: match code {
                1 => "1",
                100 => "100",
                101 => "101",
                190 => "190",
                2500 => "2500",
                _ => "other",
            },
            kind: "OAuthException",
            // Expiry, throttling and bad secrets all come as 400 (contracts §1.6).
            status: 400,
            transient: false,
            details: None,
            header: None,
        }
    }

    /// Whether the token is dead by it.
    pub(super) const fn ends_the_grant(&self) -> bool {
        matches!(self.code, 190 | 102)
    }

    /// The envelope.
    pub(super) fn answer(&self, question: &Question<'_>) -> Answer {
        let mut error = json!({
            "message": self.message,
            "type": self.kind,
            "code": self.code,
            "fbtrace_id": trace_id(question.seq, question.desk.world),
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
        }
        if self.transient {
            error["is_transient"] = json!(true);
        }
        if let Some(details) = self.details {
            error["error_data"] = json!({"messaging_product": "whatsapp", "details": details});
        }
        let mut answer = Answer::error(self.status, self.label, &json!({ "error": error }));
        answer.content_type = "application/json; charset=UTF-8";
        match self.header {
            Some((name, value)) => answer.header(name, value),
            None => answer,
        }
    }
}

/// A token past its end; `None` if it is long forgotten.
pub(super) fn expired(token: Option<Issued>, now: Timestamp) -> GraphError {
    let at = token.and_then(|token| token.expires_at).unwrap_or(now);
    let message = format!(
        "Error validating access token: Session has expired on {at}. The current time is {now}."
    );
    GraphError::sub(190, 463, "190/463", message)
}

/// A method that the endpoint does not take, in Facebook's words.
pub(super) fn method(method: &Method) -> GraphError {
    let name = method.as_str().to_ascii_lowercase();
    GraphError::new(100, format!("Unsupported request - method type: {name}"))
}

/// The same at Instagram, which says so of dead and foreign tokens too (contracts §2).
pub(super) fn instagram_method(name: &str) -> GraphError {
    GraphError {
        kind: "IGApiException",
        ..GraphError::new(100, format!("Unsupported request - method type: {name}"))
    }
}

/// An id that the token cannot see.
pub(super) fn unknown_object(id: &str) -> GraphError {
    let message = format!(
        "Unsupported get request. Object with ID '{id}' does not exist, cannot be loaded due to \
         missing permissions, or does not support this operation"
    );
    GraphError::sub(100, 33, "100/33", message)
}

/// A refusal that has nothing to do with what was asked.
pub(super) fn refuse(refusal: Refusal, question: &Question<'_>) -> Answer {
    let error = match refusal {
        Refusal::ServerError => return server_error(question),
        Refusal::Throttled => return throttled(question),
        Refusal::InvalidClient => BAD_SECRET,
        Refusal::InvalidGrant => GraphError::new(190, INVALID_TOKEN),
        Refusal::Echo => GraphError::new(
            100,
            format!(
                "Invalid parameter: the token '{}' is not allowed here",
                question.caller.presented().unwrap_or_default()
            ),
        ),
    };
    error.answer(question)
}

/// Graph's own 500.
fn server_error(question: &Question<'_>) -> Answer {
    GraphError {
        status: 500,
        label: "2",
        transient: true,
        ..GraphError::fixed(
            2,
            "An unexpected error has occurred. Please retry your request later.",
        )
    }
    .answer(question)
}

/// Throttling by HTTP status; Graph documents no `Retry-After`.
fn throttled(question: &Question<'_>) -> Answer {
    let answer = GraphError {
        status: 429,
        label: "4",
        ..GraphError::fixed(4, "(#4) Application request limit reached")
    }
    .answer(question);
    match question.desk.world.retry_after {
        Some(after) => answer.header("retry-after", after.as_secs().to_string()),
        None => answer,
    }
}

/// JSON of Graph: the content type is part of the contract.
pub(super) fn graph_json(body: String) -> Answer {
    Answer {
        content_type: "application/json; charset=UTF-8",
        ..Answer::ok(body)
    }
}

/// A new token as an answer; without `ends` it has no `expires_in`.
pub(super) fn token_json(token: &str, ends: Option<Timestamp>, now: Timestamp) -> Answer {
    graph_json(match ends {
        Some(at) => format!(
            r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{}}}"#,
            at.since(now).as_secs()
        ),
        None => format!(r#"{{"access_token":"{token}","token_type":"bearer"}}"#),
    })
}

/// The path below `/vNN.N/`, which may be left out.
pub(super) fn without_version(path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or(path);
    let Some((first, rest)) = path.split_once('/') else {
        return path;
    };
    let is_version = first.strip_prefix('v').and_then(|version| {
        let (major, minor) = version.split_once('.')?;
        Some(major.parse::<u8>().is_ok() && minor.parse::<u8>().is_ok())
    });
    if is_version == Some(true) { rest } else { path }
}

/// Sixteen digits, as Meta's ids have them.
pub(super) fn account_number(world: &World, number: u32, label: &str) -> String {
    format!(
        "10{:014}",
        world.tokens.number(number, label) % 100_000_000_000_000
    )
}

/// `fbtrace_id` of a request: eleven characters, as the contract's examples have them.
fn trace_id(seq: u64, world: &World) -> String {
    let number = u32::try_from(seq & 0xffff_ffff).expect("32 bits are a u32");
    let bits = world.tokens.number(number, "fbtrace").to_be_bytes();
    URL_SAFE_NO_PAD.encode(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_the_path_may_be_left_out() {
        let paths = [
            "/v25.0/oauth/access_token",
            "/oauth/access_token",
            "/debug_token",
            "/vx/me",
        ];

        assert_eq!(
            paths.map(without_version),
            [
                "oauth/access_token",
                "oauth/access_token",
                "debug_token",
                "vx/me"
            ]
        );
    }
}
