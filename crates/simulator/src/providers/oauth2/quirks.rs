//! How real providers differ from the RFC (contracts §7.1), each a scenario of one grant.

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Question;
use super::answers::Problem;
use crate::answer::Answer;
use crate::providers::Special;

/// More than any client should read of a token endpoint.
const HUGE: usize = 20 * 1024 * 1024;

/// The refusal that the scenario calls, if it does; nothing was done then.
pub(super) fn refusal(question: &Question<'_>) -> Option<Answer> {
    let special = question.special?;
    if let Some(row) = ERRORS.iter().find(|row| row.0 == special) {
        let &(_, status, error, description) = row;
        let problem = Problem {
            status,
            ..Problem::new(error, description)
        };
        return Some(problem.answer());
    }
    if let Some(row) = BODIES.iter().find(|row| row.0 == special) {
        let &(name, status, content_type, body, _) = row;
        return Some(Answer {
            status,
            content_type,
            code: Some(name),
            ..Answer::ok(body)
        });
    }
    match special {
        "retry_after_secs" => Some(unavailable(pause(question).as_secs().to_string())),
        "retry_after_date" => Some(unavailable(retry_date(question))),
        "body_20mb" => Some(Answer {
            code: Some("huge"),
            ..Answer::ok(format!("{{\"padding\":\"{}\"}}", "x".repeat(HUGE)))
        }),
        _ => None,
    }
}

/// The fields of a successful answer as the scenario has them.
pub(super) fn bent(mut json: Value, question: &Question<'_>) -> Value {
    let Some(fields) = json.as_object_mut() else {
        return json;
    };
    match question.special.unwrap_or_default() {
        "no_token_type" => {
            fields.remove("token_type");
        }
        "no_expires_in" => {
            fields.remove("expires_in");
            let millis = question.now.as_millis().to_string();
            fields.insert("issued_at".to_owned(), json!(millis));
            let instance = question.desk.world.origin.as_str();
            fields.insert("instance_url".to_owned(), json!(instance));
        }
        "no_scope" => {
            fields.remove("scope");
        }
        "string_expires_in" => {
            for value in fields.values_mut().filter(|value| value.is_number()) {
                *value = json!(value.to_string());
            }
        }
        "empty_refresh_token" => {
            fields.insert("refresh_token".to_owned(), json!(""));
        }
        "nested" => {
            return json!({"ok": true, "team": {"id": "T1"}, "authed_user": json});
        }
        "ok_true" => {
            fields.insert("ok".to_owned(), json!(true));
        }
        _ => {}
    }
    json
}

/// How the answer calls the lifetime of the refresh token.
pub(super) fn refresh_lifetime_field(special: &str) -> &'static str {
    match special {
        "refresh_expires_in" => "refresh_expires_in",
        "x_refresh_token_expires_in" => "x_refresh_token_expires_in",
        _ => "refresh_token_expires_in",
    }
}

fn unavailable(retry_after: String) -> Answer {
    Answer::html(503, "503 Service Unavailable").header("retry-after", retry_after)
}

fn pause(question: &Question<'_>) -> Duration {
    let setting = question.desk.world.retry_after;
    setting.unwrap_or(Duration::from_secs(1))
}

/// The second form of `Retry-After` (RFC 9110 section 10.2.3); it has whole seconds only.
fn retry_date(question: &Question<'_>) -> String {
    let millis = question.now.plus(pause(question)).as_millis();
    let millis = u64::try_from(millis).unwrap_or(0);
    let at = UNIX_EPOCH + Duration::from_secs(millis.div_ceil(1000));
    httpdate::fmt_http_date(at)
}

/// Every refusal, and the answers that are none.
pub(super) static SPECIALS: LazyLock<Vec<Special>> = LazyLock::new(|| {
    let errors = ERRORS.iter().map(|row| Special::everywhere(row.0, row.3));
    let bodies = BODIES.iter().map(|row| Special::everywhere(row.0, row.4));
    errors.chain(bodies).chain(OTHERS).collect()
});

/// Scenario, status, `error`, `error_description`.
#[rustfmt::skip]
const ERRORS: [(&str, u16, &str, &str); 17] = [
    ("invalid_grant_200", 200, "invalid_grant", "The refresh token is invalid or expired"),
    ("invalid_grant_403", 403, "invalid_grant", "Unknown or invalid refresh token."),
    ("bad_refresh_token_200", 200, "bad_refresh_token", "The refresh token passed is incorrect or expired."),
    ("invalid_client_200", 200, "invalid_client", "Client authentication failed"),
    ("incorrect_client_credentials_200", 200, "incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect."),
    ("access_denied", 403, "access_denied", "Unauthorized"),
    ("unauthorized_client", 400, "unauthorized_client", "The client may not use this grant type"),
    ("invalid_scope", 400, "invalid_scope", "The scope exceeds what was granted"),
    ("invalid_request", 400, "invalid_request", "The request is malformed"),
    ("invalid_request_token", 400, "invalid_request", "Value passed for the token was invalid."),
    ("unsupported_grant_type", 400, "unsupported_grant_type", "The grant type is not supported"),
    ("interaction_required", 400, "interaction_required", "AADSTS50076: multi-factor authentication is required."),
    ("server_error", 400, "server_error", "Something went wrong"),
    ("temporarily_unavailable", 400, "temporarily_unavailable", "Please try again"),
    ("slow_down", 400, "slow_down", "You are asking too often"),
    ("unknown_error", 400, "cosmic_rays", "Something that is in no table"),
    ("expired_token", 400, "invalid_grant", "expired access/refresh token"),
];

/// Scenario, status, content type, body, what it is.
type Body = (&'static str, u16, &'static str, &'static str, &'static str);

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

#[rustfmt::skip]
const BODIES: [Body; 11] = [
    ("ok_false", 200, JSON, r#"{"ok":false,"error":"invalid_refresh_token"}"#, "Slack: 200 with ok false"),
    ("ok_false_secret", 200, JSON, r#"{"ok":false,"error":"bad_client_secret"}"#, "Slack: a wrong secret"),
    ("ok_false_internal", 200, JSON, r#"{"ok":false,"error":"internal_error"}"#, "Slack: its own failure"),
    ("bad_refresh_token_status", 400, JSON, r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token"}"#, "HubSpot: a status in place of an error"),
    ("aadsts", 400, JSON, r#"{"error":"invalid_grant","error_description":"AADSTS700082: The refresh token has expired due to inactivity.","error_codes":[700082],"trace_id":"00000000-fake"}"#, "Entra: a number in the text and in error_codes"),
    ("form_encoded_error", 200, "application/x-www-form-urlencoded; charset=utf-8", "error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect+or+expired.", "GitHub: 200 with a form-encoded error"),
    ("html_200", 200, HTML, "<html><head><title>Log in</title></head><body><h1>Log in</h1></body></html>", "200 with a page of HTML"),
    ("html_400", 400, HTML, "<html><head><title>400</title></head><body><h1>Bad Request</h1></body></html>", "400 with a page of HTML"),
    ("empty_200", 200, JSON, "", "200 without a body"),
    ("empty_400", 400, JSON, "", "400 without a body"),
    ("no_access_token", 200, JSON, r#"{"token_type":"Bearer","expires_in":3600}"#, "200 without access_token"),
];

#[rustfmt::skip]
const OTHERS: [Special; 20] = [
    Special::everywhere("no_token_type", "the answer has no token_type"),
    Special::everywhere("string_expires_in", "numbers of the answer are strings"),
    Special::everywhere("no_expires_in", "Salesforce: no expires_in, but issued_at and instance_url"),
    Special::everywhere("no_scope", "the answer has no scope"),
    Special::everywhere("comma_scope", "scopes with commas between them"),
    Special::everywhere("status_201", "201 in place of 200"),
    Special::everywhere("text_javascript", "JSON that calls itself text/javascript"),
    Special::everywhere("form_encoded", "the answer is form-encoded"),
    Special::everywhere("form_unless_json", "form-encoded unless the request accepts application/json"),
    Special::everywhere("nested", "Slack: the tokens stand in authed_user"),
    Special::everywhere("ok_true", "Slack: ok true beside the tokens"),
    Special::everywhere("refresh_expires_in", "the refresh token's lifetime is called so"),
    Special::everywhere("x_refresh_token_expires_in", "QuickBooks: the refresh token's lifetime is called so"),
    Special::everywhere("no_refresh_token", "not rotated, and the answer has no refresh_token"),
    Special::everywhere("same_refresh_token", "not rotated, and the answer repeats the refresh token"),
    Special::everywhere("empty_refresh_token", "not rotated, and the answer's refresh_token is empty"),
    Special::everywhere("grace", "rotated; for a minute the token before brings the same pair again"),
    Special::everywhere("retry_after_secs", "503 with Retry-After in seconds"),
    Special::everywhere("retry_after_date", "503 with Retry-After as a date"),
    Special::everywhere("body_20mb", "200 with 20 MiB of JSON"),
];
