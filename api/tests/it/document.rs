//! S1.9: the document of the API, and the page that shows it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use testkit::Database;

use crate::world::{World, reveal};

testkit::each_database!(
    s1_9_the_document_and_its_page_come_from_the_server_alone,
    every_example_of_a_body_is_taken,
);

/// Every operation with its path and method.
pub(crate) fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

#[test]
fn the_document_that_is_checked_in_is_the_one_of_the_code() {
    let text = format!("{:#}\n", api::document());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }

    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == text,
        "run UPDATE_DOCS=1 cargo test -p tokenfleet-api"
    );
}

#[test]
fn every_address_says_what_it_does_and_answers() {
    let document = api::document();
    let mut silent = Vec::new();

    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        let succeeds = responses.keys().any(|status| status.as_str() < "400");
        let parameters = operation["parameters"].as_array().unwrap();
        let named = parameters
            .iter()
            .all(|it| it["description"].as_str().is_some_and(|it| !it.is_empty()));
        let says = operation["summary"]
            .as_str()
            .is_some_and(|summary| summary.ends_with('.'));
        if !(succeeds && named && says) {
            silent.push(format!("{method} {path}"));
        }
    }

    assert_eq!(
        silent,
        Vec::<String>::new(),
        "add .says(…), .answers::<…>(…) or doc comments of parameters for these addresses"
    );
}

#[test]
fn the_document_has_every_address_once_and_every_operation_a_name_of_its_own() {
    let document = api::document();

    let told: BTreeSet<String> = operations(&document)
        .map(|(path, method, _)| format!("{} {path}", method.to_uppercase()))
        .collect();
    let ids: BTreeSet<&str> = operations(&document)
        .map(|(_, _, operation)| operation["operationId"].as_str().unwrap())
        .collect();

    let served: BTreeSet<String> = api::addresses()
        .into_iter()
        .map(|address| format!("{} {}", address.method, address.path))
        .collect();
    assert_eq!(told, served);
    assert_eq!(ids.len(), told.len());
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let numbered = |name: &&String| name.ends_with(|c: char| c.is_ascii_digit());
    assert_eq!(schemas.keys().find(numbered), None, "two types of one name");
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    assert!(ids.iter().all(|id| id.chars().all(plain)), "{ids:?}");
}

async fn s1_9_the_document_and_its_page_come_from_the_server_alone(database: Database) {
    let world = World::start(database).await;

    let document = world.get("/openapi.json").await;
    let page = world.get("/docs").await;

    assert_eq!(document.json(), api::document());
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
    let parts: Vec<&str> = page
        .text
        .split(['"', '\''])
        .filter(|it| it.starts_with("docs/"))
        .collect();
    assert_eq!(parts.len(), 3, "{}", page.text);
    for part in parts {
        let part = world.get(&format!("/{part}")).await;
        assert_eq!(part.status, 200);
        assert!(!part.text.is_empty());
    }
    assert!(!page.text.contains("//"), "{}", page.text);
}

async fn every_example_of_a_body_is_taken(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("tenant_456").await;
    world.tiktok(&tenant, "channel_123", 7200).await;
    let document = api::document();

    for (template, method, operation) in operations(&document) {
        let example = &operation["requestBody"]["content"]["application/json"]["example"];
        if example.is_null() {
            continue;
        }
        let path = template
            .replace("{tenant}", "tenant_456")
            .replace("{channel}", "channel_123");
        let waits = path.ends_with("/refresh") && path.contains("/channels/");
        let query = if waits { "?wait=0" } else { "" };
        let method: Method = method.to_uppercase().parse().unwrap();
        let request = world
            .request(method, &format!("{path}{query}"))
            .json(example);
        let answer = reveal(request).await;

        let told = format!("{template}: {example} got {}", answer.text);
        assert!(![400, 415, 422].contains(&answer.status), "{told}");
    }
}
