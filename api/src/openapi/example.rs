//! Examples, made from schemas: every field shows its own example, or what its type allows.

use serde_json::{Map, Value, json};

const REFERENCE: &str = "#/components/schemas/";
const ANY_TEXT: &str = "text";

/// What fields of these names look like.
const BY_NAME: [(&str, &str); 19] = [
    ("access_token", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"),
    ("action", "channel.import"),
    ("actor", "admin"),
    ("batch_id", "01930000-0000-7000-8000-000000000000"),
    ("channel_id", "channel_123"),
    ("channel_type", "tiktok"),
    ("correo", "ada@example.com"),
    ("display_name", "Our shop"),
    ("invitation_token", "inv_c2VjcmV0"),
    ("job_id", "refresh:tiktok~0193~1"),
    ("local_name", "shop-1"),
    ("next_cursor", "channel_123"),
    ("nombre", "Ada"),
    ("provider", "tiktok"),
    ("queue", "refresh:tiktok"),
    ("refresh_token", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"),
    ("tenant_id", "tenant_456"),
    ("token", "b25lIHRpbWU"),
    ("token_type", "bearer"),
];

/// An example of what the schema describes; `named` are the schemas that it may refer to.
pub(super) fn of(schema: &Value, named: &Map<String, Value>) -> Value {
    if let Some(example) = schema["examples"].get(0).or_else(|| schema.get("example")) {
        return example.clone();
    }
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|it| it.strip_prefix(REFERENCE))
    {
        return named.get(name).map_or(Value::Null, |it| of(it, named));
    }
    if let Some(value) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return value.clone();
    }
    for kinds in ["oneOf", "anyOf", "allOf"] {
        if let Some(kind) = schema[kinds].get(0) {
            return merged(of_object(schema, named), of(kind, named));
        }
    }
    of_type(schema, named)
}

fn of_type(schema: &Value, named: &Map<String, Value>) -> Value {
    match kind(schema) {
        "object" => of_object(schema, named),
        "array" => json!([of(&schema["items"], named)]),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(0)),
        "boolean" => json!(true),
        "string" => json!(text(schema)),
        _ => Value::Null,
    }
}

/// Of several types the first that is not `null`.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::Array(types) => types
            .iter()
            .filter_map(Value::as_str)
            .find(|it| *it != "null")
            .unwrap_or_default(),
        Value::Null if schema["properties"].is_object() => "object",
        one => one.as_str().unwrap_or_default(),
    }
}

fn of_object(schema: &Value, named: &Map<String, Value>) -> Value {
    let fields = schema["properties"].as_object();
    let mut example: Map<String, Value> = fields
        .into_iter()
        .flatten()
        .map(|(name, field)| (name.clone(), of_field(name, field, named)))
        .collect();
    if example.is_empty() && schema["additionalProperties"].is_object() {
        let key = match schema["propertyNames"].as_object() {
            Some(_) => of(&schema["propertyNames"], named),
            None => json!("tiktok"),
        };
        let key = key.as_str().unwrap_or("key").to_owned();
        example.insert(key, of(&schema["additionalProperties"], named));
    }
    Value::Object(example)
}

/// Fields that are called the same everywhere show the same everywhere.
fn of_field(name: &str, field: &Value, named: &Map<String, Value>) -> Value {
    let known = BY_NAME.iter().find(|(known, _)| *known == name);
    match (of(field, named), known) {
        (Value::String(text), Some((_, example))) if text == ANY_TEXT => json!(example),
        (example, _) => example,
    }
}

fn text(schema: &Value) -> &'static str {
    match schema["format"].as_str() {
        Some("date-time") => "2026-11-21T09:30:00.000Z",
        Some("uuid") => "01930000-0000-7000-8000-000000000000",
        Some("uri") => "https://example.com/",
        Some("email") => "ada@example.com",
        _ => ANY_TEXT,
    }
}

/// The fields of both, where both are objects; the first knows better what it knows.
fn merged(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            for (name, value) in other {
                let field = one.entry(name).or_insert(Value::Null);
                if field.is_null() {
                    *field = value;
                }
            }
            Value::Object(one)
        }
        (_, other) => other,
    }
}
