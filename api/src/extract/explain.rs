//! What serde says about an input, in words for its sender and without the value.

use crate::problem::FieldError;

const FIELD_MAX: usize = 80;

/// The field error behind a message of serde at `path`.
///
/// Serde quotes the offending value, which may be a credential in the wrong
/// place; only what was expected is passed on.
pub(super) fn explain(path: &str, message: &str) -> FieldError {
    let message = without_position(message);
    if let Some(name) = quoted_after(message, "missing field ") {
        return FieldError::new(below(path, name), "is missing");
    }
    if let Some(name) = quoted_after(message, "duplicate field ") {
        return FieldError::new(below(parent(path, name), name), "is given twice");
    }
    let field = shorten(if path == "." { "body" } else { path });
    FieldError::new(field, verdict(message))
}

fn verdict(message: &str) -> String {
    let expected = message.rsplit_once(", expected ").map(|(_, tail)| tail);
    if message.starts_with("unknown field ") {
        return match expected.map(names) {
            Some(known) if !known.is_empty() => format!("is not known; known are {known}"),
            _ => "is not known; nothing is known here".to_owned(),
        };
    }
    if message.starts_with("unknown variant ") {
        let known = expected.map(names).unwrap_or_default();
        return format!("must be one of {known}");
    }
    match expected {
        Some(what) => format!("must be {}", in_words(what)),
        None if is_number_error(message) => "must be a whole number".to_owned(),
        None if message.starts_with("provided string was not `true`") => {
            "must be true or false".to_owned()
        }
        // What our own types say through `Error::custom`: never a value.
        None => message.to_owned(),
    }
}

fn in_words(expected: &str) -> &str {
    match expected {
        "i64" | "u64" | "i32" | "u32" | "usize" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        _ if expected.starts_with("struct ") => "an object",
        _ => expected,
    }
}

/// "one of `a`, `b`" and "`a` or `b`" without the ticks.
fn names(expected: &str) -> String {
    let names: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    names.join(", ")
}

/// What `std::num::ParseIntError` says.
fn is_number_error(message: &str) -> bool {
    const BEGINNINGS: [&str; 3] = ["invalid digit", "number too", "cannot parse integer"];
    BEGINNINGS.iter().any(|start| message.starts_with(start))
}

fn without_position(message: &str) -> &str {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(text, _)| text)
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').nth(1)
}

/// The path of the object in which `name` stands, if the path names that field already.
fn parent<'a>(path: &'a str, name: &str) -> &'a str {
    match path.strip_suffix(name) {
        Some("") => ".",
        Some(object) => object.strip_suffix('.').unwrap_or(path),
        None => path,
    }
}

fn below(path: &str, name: &str) -> String {
    if path == "." {
        shorten(name)
    } else {
        shorten(&format!("{path}.{name}"))
    }
}

fn shorten(field: &str) -> String {
    field
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(FIELD_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_is_allowed_and_never_what_was_sent() {
        let said = |path: &str, message: &str| {
            let FieldError { field, message } = explain(path, message);
            format!("{field} {message}")
        };

        let messages = [
            said(".", "missing field `provider` at line 1 column 2"),
            said(
                "wait",
                "invalid type: string \"secret, expected x\", expected i64 at line 1 column 9",
            ),
            said(
                "tokn",
                "unknown field `tokn`, expected one of `a`, `b` at line 1 column 4",
            ),
            said("tokn", "unknown field `tokn`, expected `a` or `b`"),
            said("x", "unknown field `x`, there are no fields"),
            said("limit", "invalid digit found in string"),
            said("id", "duplicate field `id` at line 1 column 4"),
            said(
                ".",
                "invalid type: sequence, expected struct ImportBody at line 1 column 0",
            ),
        ];

        assert_eq!(
            messages,
            [
                "provider is missing",
                "wait must be a whole number",
                "tokn is not known; known are a, b",
                "tokn is not known; known are a, b",
                "x is not known; nothing is known here",
                "limit must be a whole number",
                "id is given twice",
                "body must be an object",
            ]
        );
    }

    #[test]
    fn a_field_that_somebody_made_up_is_cut_and_cleaned() {
        let error = explain(&format!("a\n{}", "x".repeat(500)), "unknown field `a`");

        assert_eq!(error.field.chars().count(), FIELD_MAX);
        assert!(error.field.starts_with("a\u{fffd}x"));
    }
}
