//! One operation while it is drawn.

use std::collections::BTreeMap;

use http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::example;

/// The schemas of all operations: those of answers have names, those of requests stand where
/// they are used.
pub(super) struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let inline = |settings: &mut SchemaSettings| settings.inline_subschemas = true;
        Self {
            requests: settings.clone().with(inline).into_generator(),
            answers: settings.for_serialize().into_generator(),
        }
    }

    /// The schema of what a caller sends.
    fn request<T: JsonSchema>(&mut self) -> Value {
        let mut schema = self.requests.subschema_for::<T>();
        schema.remove("title");
        schema.to_value()
    }

    /// The schema of what a caller is told.
    pub(super) fn answer<T: JsonSchema>(&mut self) -> Value {
        self.answers.subschema_for::<T>().to_value()
    }

    /// All schemas that have names.
    pub(super) fn named(&self) -> &Map<String, Value> {
        self.answers.definitions()
    }
}

/// One operation while it is drawn.
pub(crate) struct Sketch<'a> {
    schemas: &'a mut Schemas,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    pub(super) responses: BTreeMap<u16, Value>,
}

impl<'a> Sketch<'a> {
    pub(super) fn new(schemas: &'a mut Schemas) -> Self {
        Self {
            schemas,
            parameters: Vec::new(),
            body: None,
            responses: BTreeMap::new(),
        }
    }

    /// The fields of `T` as parameters of the query.
    pub(crate) fn query<T: JsonSchema>(&mut self) {
        let schema = self.schemas.request::<T>();
        let required = |name: &str| {
            let names = schema["required"].as_array();
            names.is_some_and(|names| names.iter().any(|it| it == name))
        };
        let fields = schema["properties"].as_object().cloned();
        for (name, field) in fields.unwrap_or_default() {
            let (schema, description) = without_null(field);
            self.parameters.push(json!({
                "name": name, "in": "query", "required": required(&name),
                "description": description, "schema": schema,
            }));
        }
        self.problem(StatusCode::BAD_REQUEST, None);
        self.problem(StatusCode::UNPROCESSABLE_ENTITY, None);
    }

    /// A body of any of these media types.
    pub(crate) fn body<T: JsonSchema>(&mut self, media_types: &[&str], required: bool) {
        let schema = self.schemas.request::<T>();
        let example = example::of(&schema, &Map::new());
        let content: Map<String, Value> = media_types
            .iter()
            .map(|it| {
                (
                    (*it).to_owned(),
                    json!({"schema": schema, "example": example}),
                )
            })
            .collect();
        self.body = Some(json!({"required": required, "content": content}));
        for status in [
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ] {
            self.problem(status, None);
        }
    }

    /// A header that a caller may send.
    pub(crate) fn header(&mut self, name: &str, description: &str, schema: &Value) {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": false,
            "description": description, "schema": schema,
        }));
    }

    /// An answer in JSON; where one status has several, the body is any of them.
    pub(crate) fn answer<T: JsonSchema>(&mut self, status: StatusCode) {
        let schema = self.schemas.answer::<T>();
        let schema = match self.responses.get(&status.as_u16()) {
            Some(there) => any_of(&there["content"]["application/json"]["schema"], schema),
            None => schema,
        };
        let example = example::of(&schema, self.schemas.named());
        self.responses.insert(
            status.as_u16(),
            json!({
                "description": words(status),
                "content": {"application/json": {"schema": schema, "example": example}},
            }),
        );
    }

    /// An answer of another media type, or without a body; a status may have several.
    pub(crate) fn other(&mut self, status: StatusCode, media_type: Option<&str>) {
        let none = || json!({"description": words(status)});
        let response = self.responses.entry(status.as_u16()).or_insert_with(none);
        if let Some(media_type) = media_type {
            let kind = if media_type.ends_with("json") {
                "object"
            } else {
                "string"
            };
            response["content"][media_type] = json!({"schema": {"type": kind}});
        }
    }

    /// An answer that is a stream of events; its schema is that of one event.
    pub(crate) fn stream(&mut self, example: &str) {
        let text = json!({"type": "string"});
        let event = json!({
            "type": "object", "required": ["event", "data"],
            "properties": {"event": text, "data": text},
        });
        let response = json!({
            "description": "Events as they come.",
            "content": {"text/event-stream": {"schema": event, "example": example}},
        });
        self.responses.insert(StatusCode::OK.as_u16(), response);
    }

    /// A header that an answer carries.
    pub(crate) fn answer_header(&mut self, status: StatusCode, name: &str, description: &str) {
        if let Some(response) = self.responses.get_mut(&status.as_u16()) {
            response["headers"][name] = json!({
                "description": description, "schema": {"type": "string"},
            });
        }
    }

    /// A problem; `when` says more than its status does.
    pub(crate) fn problem(&mut self, status: StatusCode, when: Option<&str>) {
        let response = match when {
            None => json!({"$ref": format!("#/components/responses/{}", status.as_u16())}),
            Some(when) => json!({
                "description": when,
                "content": {"application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                }},
            }),
        };
        if when.is_some() || !self.responses.contains_key(&status.as_u16()) {
            self.responses.insert(status.as_u16(), response);
        }
    }
}

/// A parameter that is not given is not there, so its schema needs no `null`.
fn without_null(mut field: Value) -> (Value, Value) {
    if let Some(types) = field["type"].as_array() {
        let types: Vec<Value> = types.iter().filter(|it| *it != "null").cloned().collect();
        field["type"] = match types.as_slice() {
            [one] => one.clone(),
            _ => Value::Array(types),
        };
    }
    if let Some(kinds) = field["anyOf"].as_array()
        && let Some(kind) = kinds.iter().find(|it| it["type"] != "null")
    {
        let description = field["description"].clone();
        field = kind.clone();
        field["description"] = description;
    }
    let fields = field
        .as_object_mut()
        .expect("the schema of a field is an object");
    fields.remove("default");
    let description = fields.remove("description").unwrap_or_default();
    (field, description)
}

fn any_of(there: &Value, more: Value) -> Value {
    let mut kinds = there["anyOf"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![there.clone()]);
    kinds.push(more);
    json!({"anyOf": kinds})
}

/// What a status means here.
pub(super) fn words(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "It is done, or shown.",
        201 => "It was made.",
        202 => "It goes on; ask again.",
        204 => "It is done; there is nothing to show.",
        304 => "You have the same already.",
        400 => "The request cannot be read.",
        401 => "A valid bearer token is needed.",
        403 => "This needs more rights.",
        404 => "There is no such thing, or it is another tenant's.",
        409 => "The present state does not allow it.",
        413 => "The body is larger than 1 MiB.",
        415 => "The body is not declared as what it must be.",
        422 => "The input is not valid; `errors` names the fields.",
        429 => "Too many calls; `Retry-After` says when to go on.",
        500 => "A fault of ours.",
        503 => {
            "Something that this needs is away for the moment; `Retry-After` says when to try again."
        }
        _ => "An answer.",
    }
}
