//! Addresses by which people log in.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::problem::FieldError;

/// Longest address, in bytes (RFC 5321 section 4.5.3.1.3 without the brackets).
const LONGEST: usize = 254;

/// An address in the form in which it is stored and compared: in lower case.
///
/// Only its form is looked at; whether mail arrives there, nobody asks.
///
/// # Errors
///
/// What is allowed, under the name of the field.
pub(crate) fn email(field: &str, text: &str) -> Result<String, FieldError> {
    let wrong = || FieldError::new(field, "must be an e-mail address such as ana@example.com");
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';');
    if text.len() > LONGEST || local.is_empty() || domain.is_empty() || text.chars().any(odd) {
        return Err(wrong());
    }
    Ok(text.to_lowercase())
}

/// [`email`] as the document of the API tells it.
pub(crate) struct EmailAddress;

impl JsonSchema for EmailAddress {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "EmailAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let part = "[^\\s<>,;@\\u0000-\\u001f\\u007f-\\u009f]{1,40}";
        json_schema!({
            "type": "string",
            "pattern": format!("^{part}@{part}$"),
            "example": "ada@example.com",
        })
    }
}

/// A new password as the document of the API tells it.
pub(crate) struct Password;

impl JsonSchema for Password {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Password".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 8,
            "maxLength": 256,
            "example": "correct horse battery",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_two_sides_and_is_compared_in_lower_case() {
        let read = |text: &str| email("correo", text).ok();

        assert_eq!(
            read(" Ana@Example.com "),
            Some("ana@example.com".to_owned())
        );
        assert_eq!(read("admin@localhost"), Some("admin@localhost".to_owned()));
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in [
            "",
            "ana",
            "@example.com",
            "ana@",
            "a b@c",
            "a@b\r\nBcc: c",
            "<a@b>",
            &long,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
