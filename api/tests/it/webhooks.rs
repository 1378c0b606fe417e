//! S5.4: webhook endpoints, as their owners make, list, replay and delete them.

use serde_json::{Value, json};
use testkit::Database;

use crate::world::{Setup, World, problem};

testkit::each_database!(
    s5_4_a_webhook_is_made_shown_and_deleted_and_its_secret_is_shown_once,
    s5_4_bad_input_is_named_and_changes_nothing,
    s5_4_a_webhook_of_another_tenant_does_not_exist,
    s5_4_a_tenant_has_at_most_twenty_webhooks,
);

const T1: &str = "/api/v1/tenants/t1/webhooks";

async fn world(database: Database) -> World {
    let world = World::with(database, Setup::default()).await;
    for id in ["t1", "t2"] {
        world.tenant(id).await;
    }
    world
}

fn hooks() -> Value {
    json!({
        "url": "https://hooks.example/in?key=1",
        "events": ["channel.recovered", "channel.needs_reauth", "channel.recovered"],
    })
}

async fn s5_4_a_webhook_is_made_shown_and_deleted_and_its_secret_is_shown_once(database: Database) {
    let world = world(database).await;
    let own = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
    let mut given = hooks();
    given["secret"] = own.into();

    let made = world.post_json(T1, hooks()).await;
    let second = world.post_json(T1, given).await;

    assert_eq!((made.status, second.status), (201, 201));
    let body = made.json();
    let (id, secret) = (
        body["id"].as_str().unwrap(),
        body["secret"].as_str().unwrap(),
    );
    assert_eq!(made.header("location"), format!("{T1}/{id}"));
    assert!(
        secret.starts_with("whsec_") && secret.len() > 40,
        "{secret}"
    );
    assert_eq!(second.json()["secret"], own);
    let shown = world.get(&format!("{T1}/{id}")).await.json();
    let expected = json!({
        "id": id, "url": "https://hooks.example/in?key=1",
        "events": ["channel.needs_reauth", "channel.recovered"], "state": "active",
        "created_at": body["created_at"], "failing_since": null, "disabled_at": null,
        "last_success_at": null, "last_error": null, "last_status": null,
        "delivered": 0, "given_up": 0, "pending": 0,
    });
    assert_eq!(shown, expected);
    let listed = world.get(T1).await.json();
    assert_eq!(listed["items"][0], shown);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(listed["next_cursor"], Value::Null);
    let path = format!("{T1}/{id}");
    let replayed = world
        .post_json(
            &format!("{path}/replay"),
            json!({ "since": "2026-01-01T00:00:00Z" }),
        )
        .await;
    assert_eq!(replayed.status, 202);
    assert_eq!(replayed.json(), json!({ "queued": 0, "next_since": null }));
    assert_eq!(world.delete(&path).await.status, 204);
    let missing = problem(404, "not_found", &[]);
    assert_eq!(world.delete(&path).await.problem(), missing);
    assert_eq!(world.get(&path).await.problem(), missing);
}

async fn s5_4_bad_input_is_named_and_changes_nothing(database: Database) {
    let world = world(database).await;
    let with = |field: &str, value: Value| {
        let mut body = hooks();
        body[field] = value;
        body
    };
    let cases = [
        (json!({}), "url"),
        (with("url", json!(7)), "url"),
        (with("url", json!("http://hooks.example/in")), "url"),
        (
            with("url", json!("https://user:pass@hooks.example/in")),
            "url",
        ),
        (with("url", json!("https://127.0.0.1/in")), "url"),
        (with("url", json!("https://169.254.169.254/in")), "url"),
        (with("url", json!("https://localhost/in")), "url"),
        (
            with("url", json!("https://hooks.example/in\r\nX: y")),
            "url",
        ),
        (
            with(
                "url",
                json!(format!("https://h.example/{}", "x".repeat(3000))),
            ),
            "url",
        ),
        (with("events", json!([])), "events"),
        (with("events", json!("channel.recovered")), "events"),
        (
            with("events", json!(["channel.recovered", "channel.gone"])),
            "events[1]",
        ),
        (with("secret", json!("whsec_short")), "secret"),
        (with("secret", json!(null)), ""),
        (with("secrets", json!("x")), "secrets"),
    ];
    for (body, field) in cases {
        let answer = world.post_json(T1, body.clone()).await;
        if field.is_empty() {
            assert_eq!(answer.status, 201, "{body}");
            continue;
        }
        let (status, code, fields) = answer.problem();
        assert_eq!((status, code.as_str()), (422, "invalid_input"), "{body}");
        assert_eq!(fields, [field], "{body}");
    }
    let listed = world.get(T1).await.json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "only the good one");
    let replay = format!("{T1}/{}/replay", items[0]["id"].as_str().unwrap());
    for since in [
        json!("yesterday"),
        json!(1),
        json!("2999-01-01T00:00:00Z"),
        json!("2026-02-30T00:00:00Z"),
    ] {
        let answer = world.post_json(&replay, json!({ "since": since })).await;
        let expected = problem(422, "invalid_input", &["since"]);
        assert_eq!(answer.problem(), expected, "{since}");
    }
}

async fn s5_4_a_webhook_of_another_tenant_does_not_exist(database: Database) {
    let world = world(database).await;
    let made = world.post_json(T1, hooks()).await.json();
    let id = made["id"].as_str().unwrap();
    let missing = problem(404, "not_found", &[]);

    for id in [id, "0", "..%2F..", "019aa000000070008000000000000000"] {
        let path = format!("/api/v1/tenants/t2/webhooks/{id}");
        let since = json!({ "since": "2026-01-01T00:00:00Z" });
        assert_eq!(world.get(&path).await.problem(), missing, "{id}");
        assert_eq!(world.delete(&path).await.problem(), missing, "{id}");
        let replayed = world.post_json(&format!("{path}/replay"), since).await;
        assert_eq!(replayed.problem(), missing, "{id}");
    }

    assert_eq!(world.get(&format!("{T1}/{id}")).await.status, 200);
}

async fn s5_4_a_tenant_has_at_most_twenty_webhooks(database: Database) {
    let world = world(database).await;
    for _ in 0..20 {
        assert_eq!(world.post_json(T1, hooks()).await.status, 201);
    }

    let refused = world.post_json(T1, hooks()).await;

    assert_eq!(refused.problem(), problem(409, "too_many_webhooks", &[]));
    let other = world
        .post_json("/api/v1/tenants/t2/webhooks", hooks())
        .await;
    assert_eq!(other.status, 201);
}
