//! Input that cannot work: one clear message, and nothing is changed.

use std::path::Path;

use serde_json::{Value, json};

use super::World;
use super::world::{Import, import};
use crate::harness::{MASTER_KEYS, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_cannot_work_names_its_fields_and_makes_no_channel() {
    let world = World::alone().await;
    let (up, server) = world.up().await;
    let path = "/api/v1/tenants/acme/channels";
    let refused = [
        ("unknown provider", "myspace", json!({}), "provider"),
        (
            "missing token",
            "facebook",
            json!({ "expires_in": 60 }),
            "credentials.access_token",
        ),
        (
            "missing refresh token",
            "tiktok",
            json!({ "access_token": "a" }),
            "credentials.refresh_token",
        ),
        (
            "missing secret",
            "facturify",
            json!({ "api_key": "k" }),
            "credentials.api_secret",
        ),
        (
            "unknown field",
            "facturify",
            json!({ "api_key": "k", "api_secret": "s", "x": 1 }),
            "credentials.x",
        ),
        (
            "both forms of a time",
            "facebook",
            json!({ "access_token": "a", "expires_in": 60, "expires_at": "2030-01-01T00:00:00Z" }),
            "credentials.expires_at",
        ),
    ];

    for (what, provider, credentials, field) in refused {
        let body = Import::new("channel_1", provider, &credentials).body;
        let problem = server.post_json(path, &body).await.of(422);
        let errors = problem["errors"].as_array().expect("a list");
        let fields: Vec<&Value> = errors.iter().map(|it| &it["field"]).collect();
        let named = fields.iter().any(|it| {
            it.as_str()
                .is_some_and(|it| field.contains(it) || it.contains(field))
        });
        assert!(named, "{what}: {problem}");
    }

    assert_eq!(server.channels().await, Vec::<Value>::new());
    assert_eq!(world.simulator.summary().requests, 0);
    up.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_that_nothing_can_refresh_needs_a_person_at_once() {
    let world = World::alone().await;
    let (up, server) = world.up().await;
    let expired = json!({ "access_token": "EAA_ok-gone", "expires_at": "2026-01-01T00:00:00Z" });
    let path = "/api/v1/tenants/acme/channels";

    let answer = server
        .post_json(path, &Import::new("old", "facebook", &expired).body)
        .await;
    let usable = json!({
        "access_token": "act_ok-1", "refresh_token": "rft_ok-1", "expires_at": "2026-01-01T00:00:00Z",
    });
    import(&server, vec![Import::new("usable", "tiktok", &usable)]).await;

    let answer = answer.of(201);
    assert_eq!(
        (&answer["state"], &answer["reason"]),
        (&json!("needs_reauth"), &json!("expired"))
    );
    assert!(answer["warning"].is_string(), "{answer}");
    server
        .channel_until("usable", |it| it["generation"] == 2)
        .await;
    let asked = world.simulator.summary().providers;
    assert_eq!(asked["facebook"].requests, 0, "nobody was asked");
    up.stop();
}

/// A setting that cannot work: how it is set, what the message must name.
type Wrong = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

#[test]
fn a_setting_that_cannot_work_is_named_before_anything_is_made() {
    let wrong: &[Wrong] = &[
        (
            &[("TOKENFLEET_WORKER__CONCURENCY", "3")],
            &[
                "TOKENFLEET_WORKER__CONCURENCY",
                "did you mean TOKENFLEET_WORKER__CONCURRENCY",
            ],
        ),
        (
            &[("TOKENFLEET_WORKER__CONCURRENCY", "0")],
            &[
                "worker.concurrency",
                "TOKENFLEET_WORKER__CONCURRENCY",
                "1 to 10",
            ],
        ),
        (
            &[("TOKENFLEET_MASTER_KEYS", "k1:short")],
            &["master_keys", "TOKENFLEET_MASTER_KEYS", "openssl rand"],
        ),
        (
            &[("TOKENFLEET_WORKER__REFRESH_LEASE", "20s")],
            &["worker.refresh_lease", "must be longer than 50s"],
        ),
        (
            &[("FACTURIFY_TIMEOUT", "100")],
            &["worker.refresh_lease", "must be longer than 2m"],
        ),
        (
            &[("DATABASE_URL", "mysql://localhost/x")],
            &["database.url", "DATABASE_URL", "postgres://"],
        ),
        (
            &[("REDIS_URL", "http://localhost")],
            &["redis.url", "REDIS_URL", "redis://"],
        ),
        (
            &[("META_APP_ID", "1")],
            &["providers.meta.app_id", "META_APP_SECRET"],
        ),
        (
            &[("META_BASE_URL", "http://graph.example")],
            &["providers.meta.base_url", "https://"],
        ),
        (
            &[("TOKENFLEET_LOG", "loud")],
            &["log.filter", "TOKENFLEET_LOG"],
        ),
        (
            &[("TOKENFLEET_ADMIN_TOKEN", "short")],
            &["api.admin_token", "TOKENFLEET_ADMIN_TOKEN", "16"],
        ),
        (
            &[("TOKENFLEET_ADMIN_TOKEN_FILE", "nowhere")],
            &["TOKENFLEET_ADMIN_TOKEN_FILE", "nowhere"],
        ),
    ];

    for (variables, parts) in wrong {
        let site = variables
            .iter()
            .fold(Site::new(), |site, (name, value)| site.env(name, *value));
        let ended = site.run(&["up", "--bind", "127.0.0.1:0"]);

        assert_eq!(ended.code, Some(1), "{variables:?}: {}", ended.err);
        assert_eq!(
            ended.err.trim_end().lines().count(),
            1,
            "one message: {}",
            ended.err
        );
        for part in *parts {
            assert!(ended.err.contains(part), "{}\nlacks {part}", ended.err);
        }
        assert_eq!(
            entries(&site.path("")),
            Vec::<String>::new(),
            "{variables:?}"
        );
    }
}

#[test]
fn an_unknown_key_in_the_settings_file_is_named_with_its_place() {
    let site = Site::new();
    std::fs::write(site.path("tokenfleet.toml"), "[worker]\nconcurency = 3\n").expect("writable");

    let message = site.refusal(&["up", "--bind", "127.0.0.1:0"]);

    for part in [
        "worker.concurency",
        "tokenfleet.toml",
        "did you mean worker.concurrency",
    ] {
        assert!(message.contains(part), "{message}\nlacks {part}");
    }
    assert_eq!(entries(&site.path("")), ["tokenfleet.toml"]);
}

#[test]
fn a_data_directory_that_is_a_file_is_left_as_it_is() {
    let site = Site::new().env("TOKENFLEET_MASTER_KEYS", MASTER_KEYS);
    std::fs::write(site.path("taken"), "mine").expect("writable");

    for dir in ["taken", "taken/below"] {
        let message = site.refusal(&["up", "--bind", "127.0.0.1:0", "--data-dir", dir]);

        for part in [dir, "data_dir", "TOKENFLEET_DATA_DIR"] {
            assert!(message.contains(part), "{message}\nlacks {part}");
        }
    }
    assert_eq!(entries(&site.path("")), ["taken"]);
    assert_eq!(
        std::fs::read_to_string(site.path("taken")).ok().as_deref(),
        Some("mine")
    );
}

/// The names in a directory, sorted.
fn entries(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("it is there").flatten();
    let mut names: Vec<_> = entries
        .map(|it| it.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
