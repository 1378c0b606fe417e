//! The form of a body, without any of its values: what an operator is shown of an
//! answer that no contract knows.

use serde_json::Value;

use crate::http::Answer;

/// Objects and lists within one another that are shown.
const DEPTH: usize = 4;
/// Members of an object that are shown.
const MEMBERS: usize = 20;
/// Longer names are no names but values.
const NAME_MAX: usize = 32;

/// The form of an answer, such as `{"error":{"code":number,"message":text}}`.
pub(crate) fn shape(answer: &Answer, body: Option<&Value>) -> String {
    match body {
        Some(body) => of(body, DEPTH),
        None if answer.body.is_empty() => "nothing".to_owned(),
        None if answer.body.trim_ascii_start().starts_with(b"<") => "a page".to_owned(),
        None => "no JSON object".to_owned(),
    }
}

fn of(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Array(_) | Value::Object(_) if depth == 0 => "more".to_owned(),
        Value::Array(items) => match items.first() {
            Some(first) => format!("[{}]", of(first, depth - 1)),
            None => "[]".to_owned(),
        },
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            let shown = names.iter().take(MEMBERS).map(|name| {
                let value = members.get(name.as_str()).unwrap_or(&Value::Null);
                format!("{}:{}", quoted(name), of(value, depth - 1))
            });
            format!("{{{}}}", shown.collect::<Vec<_>>().join(","))
        }
    }
}

/// A name of a member, unless it may be a value, such as an id or a token.
fn quoted(name: &str) -> String {
    let is_name = name.len() <= NAME_MAX
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_name {
        format!("\"{name}\"")
    } else {
        "?".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_shown_and_values_are_not() {
        let body = json!({
            "error": { "code": 7, "message": "EAAsecret", "fatal": true },
            "EAAsecret123": [ { "id": null } ],
            "empty": [],
        });

        let shown = of(&body, DEPTH);

        assert_eq!(
            shown,
            r#"{?:[{"id":null}],"empty":[],"error":{"code":number,"fatal":bool,"message":text}}"#
        );
    }

    #[test]
    fn deep_and_wide_bodies_are_cut() {
        let deep = json!([[[[[[1]]]]]]);
        let wide: Value = (0..100_u8)
            .map(|n| (format!("k{}", "x".repeat(n.into())), json!(1)))
            .collect::<serde_json::Map<_, _>>()
            .into();

        assert_eq!(of(&deep, DEPTH), "[[[[more]]]]");
        assert_eq!(of(&wide, DEPTH).matches(':').count(), MEMBERS);
    }
}
