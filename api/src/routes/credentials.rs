//! What an import brings, by provider, as the document of the API tells it. Nothing is checked
//! here: every provider reads its own form.

use serde_json::{Map, Value, json};

/// Nothing at its ends that is no part of it, and no control characters in it.
const PLAIN: &str = "^[^\\s\\u0000-\\u001f\\u007f-\\u009f]([^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f])?$";
/// From the year 2000 on.
const INSTANT: &str = "^20[0-9]{2}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}";
const CENTURY_SECS: u64 = 100 * 365 * 24 * 3600;

/// The bodies of an import: which credentials stand beside which providers.
pub(super) fn by_provider() -> Value {
    let pairs = ["tiktok", "tiktok_legacy", "tiktok_business"];
    json!([
        body(&json!({"enum": pairs}), &pair()),
        body(
            &json!({"enum": ["facebook", "meta"]}),
            &of_meta(&["user", "page", "system_user"]),
        ),
        body(&json!({"enum": ["instagram"]}), &of_meta(&["user"])),
        body(
            &json!({"enum": ["whatsapp"]}),
            &of_meta(&["user", "system_user"]),
        ),
        body(&json!({"enum": ["facturify"]}), &facturify()),
        body(&json!({"enum": ["service_token"]}), &service_token()),
        body(&json!({"type": "string", "pattern": "^oauth2:"}), &pair()),
    ])
}

fn body(provider: &Value, credentials: &Value) -> Value {
    json!({"properties": {"provider": provider, "credentials": credentials}})
}

/// A token with a refresh token. Without an access token, or without its end, the first
/// refresh is due at once.
fn pair() -> Value {
    let fields = [
        ("access_token", text(8192, "act.example")),
        ("refresh_token", required(text(8192, "rft.example"))),
        ("expires_in", seconds(7200)),
        ("expires_at", instant()),
        ("refresh_expires_in", seconds(15_552_000)),
        ("refresh_expires_at", instant()),
        ("external_id", text(256, "open-id-1")),
        ("open_id", text(256, "open-id-1")),
        ("scope", text(4096, "user.info.basic")),
    ];
    let mut form = object(fields, &["refresh_token"]);
    form["not"] = json!({"anyOf": [
        both("expires_in", "expires_at"),
        both("refresh_expires_in", "refresh_expires_at"),
        both("external_id", "open_id"),
    ]});
    form["example"] = json!({
        "access_token": "act.example", "refresh_token": "rft.example",
        "expires_in": 7200, "refresh_expires_in": 15_552_000,
    });
    form
}

/// A token alone; that of a page is derived from its person's.
fn of_meta(kinds: &[&str]) -> Value {
    let kinds = kinds.iter().copied().map(Some).chain([None]);
    let kinds = json!({"enum": kinds.collect::<Vec<_>>()});
    let fields = [
        ("access_token", required(text(8192, "EAAexample"))),
        ("expires_in", seconds(5_184_000)),
        ("expires_at", instant()),
        ("issued_at", instant()),
        ("kind", kinds),
        ("external_id", text(256, "999")),
        ("user_access_token", text(8192, "EAAperson")),
    ];
    let mut form = object(fields, &["access_token"]);
    form["not"] = both("expires_in", "expires_at");
    form
}

fn facturify() -> Value {
    let fields = [
        ("api_key", required(text(8192, "key-1"))),
        ("api_secret", required(text(8192, "secret-1"))),
    ];
    object(fields, &["api_key", "api_secret"])
}

/// `base_url` may be left out where the settings have one.
fn service_token() -> Value {
    let fields = [
        ("service_token", required(text(8192, "eyJ.example.sig"))),
        ("base_url", text(2048, "https://api.example.com/api")),
    ];
    object(fields, &["service_token"])
}

fn object<const N: usize>(fields: [(&str, Value); N], required: &[&str]) -> Value {
    let fields = fields.into_iter();
    let fields: Map<String, Value> = fields.map(|(name, it)| (name.to_owned(), it)).collect();
    json!({
        "type": "object", "properties": fields, "required": required,
        "additionalProperties": false,
    })
}

/// `null` counts as absent, unless the field must be there.
fn required(mut field: Value) -> Value {
    field["type"] = json!("string");
    field
}

fn text(max: usize, example: &str) -> Value {
    json!({
        "type": ["string", "null"], "minLength": 1, "maxLength": max, "pattern": PLAIN,
        "example": example,
    })
}

fn seconds(example: u64) -> Value {
    json!({
        "type": ["integer", "null"], "minimum": 1, "maximum": CENTURY_SECS, "example": example,
    })
}

fn instant() -> Value {
    json!({
        "type": ["string", "null"], "format": "date-time", "pattern": INSTANT,
        "example": "2026-11-21T09:30:00Z",
    })
}

/// Two fields that are both given.
pub(super) fn both(one: &str, other: &str) -> Value {
    let given = json!({"not": {"type": "null"}});
    json!({"required": [one, other], "properties": {one: given, other: given}})
}
