//! Holds the answers that tests get against the document of the API: each has a status that is
//! told of, and the body that is told of there.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

use crate::document::operations;
use crate::world::Answer;

static DOCUMENT: LazyLock<Value> = LazyLock::new(api::document);
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Statuses that come from around every address, whatever the document says of it.
const ANYWHERE: [u16; 4] = [404, 405, 413, 500];

/// Fails if the document does not tell of this answer. What is no address has no contract.
pub(crate) fn hold(method: &Method, path: &str, answer: &Answer) {
    let method = method.as_str().to_ascii_lowercase();
    let found = operations(&DOCUMENT)
        .filter(|(template, known, _)| *known == method && fits(template, path))
        .min_by_key(|(template, ..)| template.matches('{').count());
    let Some((template, _, operation)) = found else {
        return;
    };
    let told = format!("{method} {template} {}: {}", answer.status, answer.text);
    let Some(response) = operation["responses"].get(answer.status.to_string()) else {
        assert!(ANYWHERE.contains(&answer.status), "not told of: {told}");
        return;
    };
    let content = match response["$ref"].as_str() {
        Some(shared) => &at(shared)["content"],
        None => &response["content"],
    };
    let given = answer.header("content-type").split(';').next().unwrap();
    if content.is_null() {
        assert_eq!(answer.text, "", "{told}");
    } else {
        assert!(content.get(given).is_some(), "{given} of {told}");
        if given.ends_with("json") {
            let key = format!("{method} {template} {} {given}", answer.status);
            let validator = validator(key, &content[given]["schema"]);
            let body = answer.json();
            let errors: Vec<String> = validator
                .iter_errors(&body)
                .map(|error| format!("{} at {}", error.kind().keyword(), error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{errors:?} in {told}");
        }
    }
}

fn fits(template: &str, path: &str) -> bool {
    let mut parts = template.split('/').zip(path.split('/'));
    template.split('/').count() == path.split('/').count()
        && parts.all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
}

fn at(reference: &str) -> &'static Value {
    DOCUMENT.pointer(&reference[1..]).unwrap()
}

fn validator(key: String, schema: &Value) -> Arc<Validator> {
    let mut validators = VALIDATORS.lock().unwrap();
    let validator = validators.entry(key).or_insert_with(|| {
        let root = json!({"allOf": [schema], "components": DOCUMENT["components"]});
        Arc::new(jsonschema::validator_for(&root).unwrap())
    });
    Arc::clone(validator)
}
