//! Graph's error envelope, and the errors that a scenario can call (contracts §1.6–§1.8).

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::http::Method;
use domain::Timestamp;
use serde_json::json;

use super::Question;
use super::values::trace_id;
use crate::answer::Answer;
use crate::grants::Issued;
use crate::providers::Special;

/// The message for a value that no token has.
pub(super) const CANNOT_PARSE: &str = "Invalid OAuth access token - Cannot parse access token";
/// The message for a token that is no longer accepted.
pub(super) const INVALID_TOKEN: &str = "Error validating access token: the token is invalid.";

/// The app's secret is wrong; Meta words it as its "unknown error".
pub(super) const BAD_SECRET: GraphError = GraphError::fixed(1, "Error validating client secret.");
/// The app's id is wrong.
pub(super) const UNKNOWN_APP: GraphError = GraphError::fixed(
    101,
    "Error validating application. Cannot get application info due to a system error.",
);

const APP_USAGE: (&str, &str) = (
    "x-app-usage",
    r#"{"call_count":101,"total_cputime":5,"total_time":20}"#,
);
const BUSINESS_USAGE: (&str, &str) = (
    "x-business-use-case-usage",
    r#"{"111":[{"type":"pages","call_count":95,"total_cputime":20,"total_time":20,"estimated_time_to_regain_access":4}]}"#,
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

/// A method that the endpoint does not take.
pub(super) fn method(method: &Method) -> GraphError {
    let name = method.as_str().to_ascii_lowercase();
    GraphError::new(100, format!("Unsupported request - method type: {name}"))
}

/// An id that the token cannot see.
pub(super) fn unknown_object(id: &str) -> GraphError {
    let message = format!(
        "Unsupported get request. Object with ID '{id}' does not exist, cannot be loaded due to \
         missing permissions, or does not support this operation"
    );
    GraphError::sub(100, 33, "100/33", message)
}

/// Graph's own 500.
pub(super) fn server_error(question: &Question<'_>) -> Answer {
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
pub(super) fn throttled(question: &Question<'_>) -> Answer {
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

/// Every error of [`ERRORS`], and the answers that are none.
pub(super) static SPECIALS: LazyLock<Vec<Special>> = LazyLock::new(|| {
    let errors = ERRORS.iter().map(|row| Special::everywhere(row.0, row.3));
    errors.chain(OTHERS).collect()
});

/// Fails if the scenario is one of the errors.
pub(super) fn of_special(special: Option<&'static str>) -> Result<(), GraphError> {
    let found = special.and_then(|name| ERRORS.iter().find(|error| error.0 == name));
    let Some(&(name, code, subcode, message)) = found else {
        return Ok(());
    };
    Err(GraphError {
        code,
        subcode,
        label: label(name),
        kind: if code == 0 {
            "AuthException"
        } else {
            "OAuthException"
        },
        status: if code == 0 { 401 } else { 400 },
        transient: name == "transient",
        header: match code {
            4 => Some(APP_USAGE),
            80_001 => Some(BUSINESS_USAGE),
            _ => None,
        },
        ..GraphError::fixed(code, message)
    })
}

/// `190/463` for `190_463`, the form of the ledger.
fn label(name: &'static str) -> &'static str {
    match name {
        "190_458" => "190/458",
        "190_459" => "190/459",
        "190_460" => "190/460",
        "190_463" => "190/463",
        "190_464" => "190/464",
        "190_467" => "190/467",
        "190_492" => "190/492",
        "100_proof" => "100",
        "1_secret" | "transient" => "1",
        other => other,
    }
}

type Row = (&'static str, u32, Option<u32>, &'static str);

/// Scenario, code, subcode, message.
#[rustfmt::skip]
const ERRORS: [Row; 27] = [
    ("0", 0, None, "Authentication Error"),
    ("1", 1, None, "An unknown error occurred"),
    ("1_secret", 1, None, "Error validating client secret."),
    ("2", 2, None, "Service temporarily unavailable"),
    ("3", 3, None, "(#3) Application does not have the capability to make this API call."),
    ("4", 4, None, "(#4) Application request limit reached"),
    ("10", 10, None, "(#10) Application does not have permission for this action"),
    ("17", 17, None, "(#17) User request limit reached"),
    ("32", 32, None, "(#32) Page request limit reached"),
    ("100", 100, None, "(#100) Invalid parameter"),
    ("100_proof", 100, None, "Invalid appsecret_proof provided in the API argument"),
    ("101", 101, None, "Error validating application. Invalid application ID."),
    ("102", 102, None, "Session key invalid or no longer valid"),
    ("190", 190, None, INVALID_TOKEN),
    ("190_458", 190, Some(458), "Error validating access token: The user has not authorized the application."),
    ("190_459", 190, Some(459), "Error validating access token: You cannot access the app till you log in to www.facebook.com and follow the instructions given."),
    ("190_460", 190, Some(460), "Error validating access token: The session has been invalidated because the user changed their password or Facebook has changed the session for security reasons."),
    ("190_463", 190, Some(463), "Error validating access token: Session has expired."),
    ("190_464", 190, Some(464), "Error validating access token: Sessions for the user are not allowed because the user is not a confirmed user."),
    ("190_467", 190, Some(467), "Error validating access token: This may be because the user logged out or may be due to a system error."),
    ("190_492", 190, Some(492), "Error validating access token: The user must be an administrator, editor, or moderator of the page in order to impersonate it."),
    ("200", 200, None, "(#200) The user has not authorized the application to perform this action"),
    ("341", 341, None, "(#341) Application limit reached"),
    ("368", 368, None, "(#368) The action attempted has been deemed abusive or is otherwise disallowed"),
    ("613", 613, None, "(#613) Calls to this api have exceeded the rate limit."),
    ("80001", 80_001, Some(2_446_079), "(#80001) There have been too many calls to this Page account. Wait a bit and try again."),
    ("transient", 1, None, "Please retry your request later"),
];

#[rustfmt::skip]
const OTHERS: [Special; 8] = [
    Special::everywhere("no_expires_in", "exchanged, but the answer has no expires_in"),
    Special::everywhere("not_advanced", "exchanged, but the new token ends when the old one does"),
    Special::everywhere("same_token", "exchanged, and the same value lives on with a new end"),
    Special::everywhere("expired", "minted past its end"),
    Special::everywhere("system_user", "a system user's token for 60 days"),
    Special::everywhere("system_user_never", "a system user's token without an end"),
    Special::everywhere("page_missing", "accounts no longer lists the page"),
    Special::everywhere("data_access_expired", "debug_token says that the 90 days of data access are over"),
];
