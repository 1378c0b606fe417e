//! The whole document: paths, and what all of them share.

use domain::Scope;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::Operation;
use super::sketch::{Schemas, Sketch, words};
use crate::access::Right;
use crate::problem::Document;
use crate::table::Address;

const ABOUT: &str = "Keeps other people's access tokens alive. Every answer names its request in the header \
    `X-Request-Id`. What is wrong is told as a problem (RFC 9457) with a stable `code`; what is \
    another tenant's answers 404, like what does not exist. Times are RFC 3339 in UTC. Lists have \
    `items` and `next_cursor`, which goes on as `cursor`.";

/// Problems that have the same words everywhere.
const PROBLEMS: [StatusCode; 11] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::CONFLICT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// The parameters of paths: name, what it names, and an example.
const PATH_PARAMETERS: [(&str, &str, &str); 12] = [
    ("tenant", "The id of a tenant.", "tenant_456"),
    (
        "channel",
        "The id of a channel of the tenant.",
        "channel_123",
    ),
    (
        "job",
        "The id of a job, as `job_id` has it.",
        "refresh:tiktok~0193~1",
    ),
    (
        "fingerprint",
        "The fingerprint of an app with its settings.",
        "0a1b2c3d",
    ),
    (
        "batch",
        "The id of a batch, as `batch_id` has it.",
        "01930000-0000-7000-8000-000000000000",
    ),
    (
        "user",
        "The id of a person of the tenant.",
        "01930000-0000-7000-8000-000000000000",
    ),
    (
        "invitation",
        "The id of an invitation.",
        "01930000-0000-7000-8000-000000000000",
    ),
    (
        "service_token",
        "The id of a service token.",
        "01930000-0000-7000-8000-000000000000",
    ),
    (
        "webhook",
        "The id of a webhook.",
        "01930000-0000-7000-8000-000000000000",
    ),
    ("queue", "The name of a queue.", "refresh:tiktok"),
    ("provider", "The name of a provider.", "tiktok"),
    ("file", "The name of a file.", "main.js"),
];

/// The `OpenAPI` 3.1 document of these addresses.
pub(crate) fn document<'a>(rows: impl Iterator<Item = (&'a Address, &'a Operation)>) -> Value {
    let mut schemas = Schemas::new();
    let problem = schemas.answer::<Document<'_>>();
    let mut paths = Map::new();
    let mut ids = Vec::new();
    for (address, operation) in rows {
        let drawn = draw(address, operation, &mut ids, &mut schemas);
        let method = address.method.as_str().to_ascii_lowercase();
        let path = paths.entry(&address.path).or_insert_with(|| json!({}));
        path[method] = drawn;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tokenfleet",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.named(),
            "responses": shared_problems(&problem),
            "securitySchemes": {"bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "An access token, a service token, or the admin token.",
            }},
        },
    })
}

fn shared_problems(schema: &Value) -> Map<String, Value> {
    let response = |status: &StatusCode| {
        let response = json!({
            "description": words(*status),
            "content": {"application/problem+json": {"schema": schema}},
        });
        (status.as_u16().to_string(), response)
    };
    PROBLEMS.iter().map(response).collect()
}

fn draw(
    address: &Address,
    operation: &Operation,
    ids: &mut Vec<String>,
    schemas: &mut Schemas,
) -> Value {
    let mut sketch = Sketch::new(schemas);
    sketch.parameters = path_parameters(&address.path);
    for draw in &operation.draw {
        draw(&mut sketch);
    }
    draw_gate(address, &mut sketch);
    let mut drawn = json!({
        "operationId": new_id(operation.handler, ids),
        "summary": operation.summary.unwrap_or_default(),
        "tags": [tag(&address.path)],
        "parameters": sketch.parameters,
        "responses": by_status(sketch.responses),
        "security": security(address.right, operation.reads_bearer),
    });
    if let Some(body) = sketch.body {
        drawn["requestBody"] = body;
    }
    if let Some(right) = address.right {
        drawn["description"] = json!(needs(right));
        drawn["x-least-role"] = json!(least_role(right));
    }
    drawn
}

fn by_status(responses: impl IntoIterator<Item = (u16, Value)>) -> Map<String, Value> {
    let by_status = |(status, response): (u16, Value)| (status.to_string(), response);
    responses.into_iter().map(by_status).collect()
}

/// What every address with a gate may answer, and an address without one if it takes a body.
fn draw_gate(address: &Address, sketch: &mut Sketch<'_>) {
    if let Some(right) = address.right {
        sketch.problem(StatusCode::UNAUTHORIZED, None);
        if !is_everybodys(right) {
            sketch.problem(StatusCode::FORBIDDEN, None);
        }
        if address.method == Method::POST {
            draw_repetition(sketch);
        }
    }
    if address.path.contains('{') {
        sketch.problem(StatusCode::NOT_FOUND, None);
    }
    if address.right.is_some() || address.method == Method::POST {
        sketch.problem(StatusCode::TOO_MANY_REQUESTS, None);
        sketch.problem(StatusCode::INTERNAL_SERVER_ERROR, None);
        sketch.problem(StatusCode::SERVICE_UNAVAILABLE, None);
    }
}

/// What [`crate::repeat`] does with every `POST` that has a gate.
fn draw_repetition(sketch: &mut Sketch<'_>) {
    sketch.header(
        "Idempotency-Key",
        "A request that is sent again with the same key is not carried out again; its answer is \
         repeated for a day.",
        &json!({"type": "string", "pattern": "^[!-~]{1,255}$"}),
    );
    for status in [
        StatusCode::BAD_REQUEST,
        StatusCode::CONFLICT,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ] {
        sketch.problem(status, None);
    }
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next());
    let parameter = |name: &str| {
        let known = PATH_PARAMETERS.iter().find(|(known, ..)| *known == name);
        let (_, description, example) = known.unwrap_or(&("", "", ""));
        json!({
            "name": name, "in": "path", "required": true,
            "description": description, "example": example, "schema": {"type": "string"},
        })
    };
    names.map(parameter).collect()
}

/// The handler's path as an identifier; a handler with several addresses gets a number.
fn new_id(handler: &str, ids: &mut Vec<String>) -> String {
    let id = handler.replace("::", "_");
    let times = ids.iter().filter(|it| **it == id).count();
    ids.push(id.clone());
    match times {
        0 => id,
        times => format!("{id}_{}", times + 1),
    }
}

/// The kind of thing that an address is about.
fn tag(path: &str) -> &str {
    let rest = path.strip_prefix("/api").unwrap_or(path);
    let rest = rest.strip_prefix("/v1").unwrap_or(rest);
    let rest = rest.strip_prefix("/tenants/{tenant}/").unwrap_or(rest);
    let mut words = rest.trim_start_matches('/').split('/');
    match (words.next().unwrap_or_default(), words.next()) {
        ("" | "dashboard" | "livez" | "readyz" | "metrics" | "docs" | "openapi.json", _) => {
            "process"
        }
        (word, _) => word,
    }
}

/// Whether every token has the right, so that nobody is refused for too little of it.
fn is_everybodys(right: Right) -> bool {
    right.is_of(domain::Role::Viewer) && Scope::ALL.iter().all(|scope| right.is_in(*scope))
}

/// A token of a person, or one with any of these scopes.
fn security(right: Option<Right>, reads_bearer: bool) -> Value {
    let Some(right) = right else {
        return if reads_bearer {
            json!([{"bearer": []}])
        } else {
            json!([])
        };
    };
    let scopes = Scope::ALL.iter().filter(|scope| right.is_in(**scope));
    let mut any: Vec<Value> = scopes.map(|scope| json!({"bearer": [scope]})).collect();
    if any.is_empty() || is_everybodys(right) {
        any = vec![json!({"bearer": []})];
    }
    Value::Array(any)
}

fn least_role(right: Right) -> &'static str {
    right
        .least_role()
        .map_or("platform_admin", domain::Role::as_str)
}

fn needs(right: Right) -> String {
    if is_everybodys(right) {
        return "Needs a token, of whatever role or scope.".to_owned();
    }
    let scopes = Scope::ALL.iter().filter(|scope| right.is_in(**scope));
    let scopes: Vec<String> = scopes.map(|scope| format!("`{scope}`")).collect();
    let role = match right.least_role() {
        Some(role) => format!("the role *{role}* in the tenant"),
        None => "the platform admin".to_owned(),
    };
    if scopes.is_empty() {
        format!("Needs {role}.")
    } else {
        format!(
            "Needs {role}, or a service token with one of {}.",
            scopes.join(", ")
        )
    }
}
