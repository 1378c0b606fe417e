//! What a text given by a caller may be.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::problem::FieldError;

/// A rule for a text: its length in characters; control characters never pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    max: usize,
}

impl Text {
    /// What people call a thing: 1–200 characters.
    pub(crate) const LABEL: Self = Self { max: 200 };

    /// Passes if the text keeps the rule.
    ///
    /// # Errors
    ///
    /// What is allowed, under the name of the field.
    pub(crate) fn check(self, field: &str, text: &str) -> Result<(), FieldError> {
        let length = text.chars().count();
        if length == 0 || length > self.max {
            let message = format!("must be 1 to {} characters", self.max);
            return Err(FieldError::new(field, message));
        }
        if text.chars().any(char::is_control) {
            return Err(FieldError::new(field, "must have no control characters"));
        }
        if text.trim().is_empty() {
            return Err(FieldError::new(field, "must have a visible character"));
        }
        Ok(())
    }
}

/// [`Text::LABEL`] as the document of the API tells it.
pub(crate) struct Label;

impl JsonSchema for Label {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Label".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        const CONTROL: &str = "\\u0000-\\u001f\\u007f-\\u009f";
        let other = format!("[^{CONTROL}]*");
        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": Text::LABEL.max,
            "pattern": format!("^{other}[^\\s{CONTROL}]{other}$"),
        })
    }
}

/// The name of a provider as the document of the API tells it.
pub(crate) struct ProviderWord;

impl JsonSchema for ProviderWord {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ProviderWord".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "`meta` is the same as `facebook`; `oauth2:` and a name is a provider of the settings.",
            "pattern": "^(facebook|meta|instagram|whatsapp|tiktok|tiktok_business|tiktok_legacy|facturify|service_token|oauth2:[A-Za-z0-9_-]+)$",
            "example": "tiktok",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_one_to_two_hundred_characters_without_control_characters() {
        let passes = |text: &str| Text::LABEL.check("name", text).is_ok();

        assert!(passes("Peluquería Ñandú"));
        assert!(passes(&"ñ".repeat(200)));
        assert!(!passes(&"ñ".repeat(201)));
        assert!(!passes(""));
        assert!(!passes("  "));
        assert!(!passes("a\r\nSet-Cookie: b"));
        assert!(!passes("a\0"));
    }
}
