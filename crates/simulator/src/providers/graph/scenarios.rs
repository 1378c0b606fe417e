//! The errors of Graph that a scenario can call (contracts §1.7, §1.8 and §3).

use super::{GraphError, INVALID_TOKEN};
use crate::answer::Answer;
use crate::providers::Special;

const APP_USAGE: (&str, &str) = (
    "x-app-usage",
    r#"{"call_count":101,"total_cputime":5,"total_time":20}"#,
);
const BUSINESS_USAGE: (&str, &str) = (
    "x-business-use-case-usage",
    r#"{"111":[{"type":"pages","call_count":95,"total_cputime":20,"total_time":20,"estimated_time_to_regain_access":4}]}"#,
);

/// Good answers that say how much of the app's budget is spent: scenario, header, what happens.
#[rustfmt::skip]
const USAGES: [(&str, &str, &str); 4] = [
    ("usage_20", r#"{"call_count":20,"total_cputime":5,"total_time":3}"#, "answered, and 20 % of the app's hour are spent"),
    ("usage_90", r#"{"call_count":28,"total_cputime":90,"total_time":20}"#, "answered, and 90 % of the app's hour are spent"),
    ("usage_100", r#"{"call_count":101,"total_cputime":5,"total_time":20}"#, "answered, and all of the app's hour is spent"),
    ("usage_garbage", r#"{"call_count":NaN,"total_time":-1"#, "answered, with a usage that cannot be read"),
];

/// Every good answer that tells of the app's budget.
pub(in crate::providers) fn usages() -> impl Iterator<Item = Special> {
    USAGES.iter().map(|row| Special::everywhere(row.0, row.2))
}

/// The answer with what the scenario says of the app's budget.
pub(in crate::providers) fn with_usage(answer: Answer, special: Option<&'static str>) -> Answer {
    let row = USAGES.iter().find(|row| Some(row.0) == special);
    match row {
        Some(row) => answer.header(APP_USAGE.0, row.1),
        None => answer,
    }
}

/// Every error that both Facebook and Instagram know.
pub(in crate::providers) fn errors() -> impl Iterator<Item = Special> {
    ERRORS.iter().map(|row| Special::everywhere(row.0, row.3))
}

/// Every error as WhatsApp words it.
pub(in crate::providers) fn whatsapp_errors() -> impl Iterator<Item = Special> {
    WHATSAPP.iter().map(|row| Special::everywhere(row.0, row.4))
}

/// Fails if the scenario is one of the errors.
pub(in crate::providers) fn of_special(special: Option<&'static str>) -> Result<(), GraphError> {
    let Some(name) = special else { return Ok(()) };
    if let Some(row) = WHATSAPP.iter().find(|row| row.0 == name) {
        return Err(of_whatsapp(row));
    }
    let found = ERRORS.iter().find(|error| error.0 == name);
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

/// WhatsApp has its own statuses and no subcodes: `error_data.details` says more.
fn of_whatsapp(&(name, code, status, message, details): &WhatsAppRow) -> GraphError {
    GraphError {
        label: name,
        kind: if code == 0 {
            "AuthException"
        } else {
            "OAuthException"
        },
        status,
        details: Some(details),
        ..GraphError::fixed(code, message)
    }
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

type WhatsAppRow = (&'static str, u32, u16, &'static str, &'static str);

/// Scenario, code, status, message, details.
#[rustfmt::skip]
const WHATSAPP: [WhatsAppRow; 11] = [
    ("wa_0", 0, 401, "(#0) AuthException", "We were unable to authenticate the app user"),
    ("wa_3", 3, 500, "(#3) API Method", "Capability or permissions issue"),
    ("wa_4", 4, 429, "(#4) API Too Many Calls", "The app has reached its API call rate limit"),
    ("wa_10", 10, 403, "(#10) Permission Denied", "Permission is either not granted or has been removed"),
    ("wa_190", 190, 401, "(#190) Access token has expired", "Your access token has expired"),
    ("wa_200", 200, 403, "(#200) API Permission", "Permission is either not granted or has been removed"),
    ("wa_80007", 80_007, 429, "(#80007) Rate limit issues", "The WhatsApp Business Account has reached its rate limit"),
    ("wa_130429", 130_429, 400, "(#130429) Rate limit hit", "Cloud API message throughput has been reached"),
    ("wa_131048", 131_048, 400, "(#131048) Spam rate limit hit", "Message failed to send because of restrictions on how many messages can be sent"),
    ("wa_131056", 131_056, 400, "(#131056) Pair rate limit hit", "Too many messages sent from this number to the same number in a short time"),
    ("wa_133016", 133_016, 400, "(#133016) Account register deregister rate limit exceeded", "Too many attempts to register this number"),
];
