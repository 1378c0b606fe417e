//! What a server answered, and how a problem reads on a terminal.

use std::fmt::Write as _;

use anyhow::{Context as _, anyhow};
use reqwest::{Response, StatusCode};
use serde_json::Value;

/// The body; `null` if there is none.
///
/// # Errors
///
/// The text of the problem, if it is one.
pub(super) async fn read(answer: Response) -> anyhow::Result<Value> {
    let status = answer.status();
    let text = answer.text().await.context("the answer broke off")?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(body);
    }
    Err(anyhow!(problem(status, &body)))
}

/// RFC 9457 as one sentence, and a line per wrong field.
fn problem(status: StatusCode, body: &Value) -> String {
    let said = ["detail", "title"]
        .iter()
        .find_map(|name| body[name].as_str());
    let reason = status.canonical_reason().unwrap_or("refused");
    let mut text = format!("{} ({})", said.unwrap_or(reason), status.as_u16());
    for error in body["errors"].as_array().into_iter().flatten() {
        let part = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let _ = write!(text, "\n  {}: {}", part("field"), part("message"));
    }
    if status == StatusCode::UNAUTHORIZED {
        text.push_str("\n  the bearer token is another server's; see --token-file");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_reads_as_a_sentence_with_its_fields() {
        let body = json!({
            "title": "Invalid input", "detail": "the input is not valid",
            "errors": [{ "field": "provider", "message": "must be one of facebook, tiktok" }]
        });

        assert_eq!(
            problem(StatusCode::UNPROCESSABLE_ENTITY, &body),
            "the input is not valid (422)\n  provider: must be one of facebook, tiktok"
        );
        assert_eq!(
            problem(StatusCode::BAD_GATEWAY, &Value::Null),
            "Bad Gateway (502)"
        );
    }
}
