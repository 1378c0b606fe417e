//! The envelope of TikTok's API for Business, and the codes that a scenario can call.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::Question;
use crate::answer::Answer;
use crate::providers::Special;
use crate::providers::tiktok::values::log_id;

/// A `code` other than 0, with the message that explains it.
pub(super) struct Problem {
    code: u32,
    label: &'static str,
    message: Cow<'static, str>,
}

impl Problem {
    /// A problem, and what the ledger calls it.
    pub(super) fn new(
        code: u32,
        label: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            label,
            message: message.into(),
        }
    }

    /// The envelope; its status is 200 like that of every other.
    pub(super) fn answer(&self, question: &Question<'_>) -> Answer {
        let json = envelope(self.code, &self.message, &json!({}), question);
        Answer::error(200, self.label, &json)
    }
}

/// What every answer is wrapped in.
pub(super) fn envelope(code: u32, message: &str, data: &Value, question: &Question<'_>) -> Value {
    json!({
        "code": code,
        "message": message,
        "request_id": log_id(question),
        "data": data,
    })
}

/// A parameter is missing, unknown or wrong.
pub(super) fn bad_parameter(message: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(40_002, "40002", message)
}

/// The app is not who it says.
pub(super) fn wrong_app() -> Problem {
    bad_parameter("client_id: The app id or secret is incorrect.")
}

/// The token is not accepted, for whatever reason.
pub(super) fn incorrect_token() -> Problem {
    Problem::new(40_105, "40105", INCORRECT)
}

/// The app asks too often.
pub(super) fn too_many_requests() -> Problem {
    Problem::new(40_100, "40100", TOO_MANY)
}

/// TikTok failed itself.
pub(super) fn system_error() -> Problem {
    Problem::new(50_000, "50000", "System error.")
}

/// Every code of [`CODES`], and the answers that are none.
pub(super) static SPECIALS: LazyLock<Vec<Special>> = LazyLock::new(|| {
    let codes = CODES.iter().map(|row| Special::everywhere(row.0, row.2));
    codes.chain(OTHERS).collect()
});

/// Fails if the scenario is one of the codes.
pub(super) fn of_special(special: Option<&'static str>) -> Result<(), Problem> {
    let found = special.and_then(|name| CODES.iter().find(|row| row.0 == name));
    found.map_or(Ok(()), |&(name, code, message)| {
        let label = match name {
            "40002_refresh_token" | "40002_secret" => "40002",
            name => name,
        };
        Err(Problem::new(code, label, message))
    })
}

const INCORRECT: &str = "Access token is incorrect or has been revoked.";
const TOO_MANY: &str = "Too many requests. Please retry in some time.";

/// Scenario, `code`, `message`.
#[rustfmt::skip]
const CODES: [(&str, u32, &str); 12] = [
    ("40001", 40_001, "No permission to operate the account."),
    ("40002", 40_002, "The parameter is not valid."),
    ("40002_refresh_token", 40_002, "The refresh_token is invalid or expired."),
    ("40002_secret", 40_002, "client_secret: The app secret is incorrect."),
    ("40100", 40_100, TOO_MANY),
    ("40102", 40_102, "Access token has expired."),
    ("40103", 40_103, "Refresh token has expired."),
    ("40104", 40_104, "Access token is empty."),
    ("40105", 40_105, INCORRECT),
    ("50000", 50_000, "System error."),
    ("50002", 50_002, "Service error."),
    ("51021", 51_021, "The service is busy. Please retry later."),
];

#[rustfmt::skip]
const OTHERS: [Special; 4] = [
    Special::everywhere("open_id_mismatch", "rotated, but the answer names another account"),
    Special::everywhere("no_refresh_token", "not rotated, and the answer has no refresh_token"),
    Special::everywhere("same_refresh_token", "not rotated, and the answer repeats the refresh token"),
    Special::everywhere("grace", "rotated; for a minute the token before brings the same pair again"),
];
