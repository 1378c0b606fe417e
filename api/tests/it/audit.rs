//! The audit log: every change with who, what and from where, and never a secret.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Database;

use crate::people::{PASSWORD, text};
use crate::world::{World, problem};

testkit::each_database!(
    every_change_leaves_a_line_with_who_what_and_from_where,
    what_was_refused_leaves_no_line,
    an_owner_sees_the_own_tenant_and_the_platform_all,
    the_log_goes_on_at_its_cursor,
);

async fn log(world: &World, query: &str) -> Vec<Value> {
    let page = world.get(&format!("/api/v1/audit?limit=200&{query}")).await;
    page.json()["items"].as_array().unwrap().clone()
}

async fn every_change_leaves_a_line_with_who_what_and_from_where(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    let owner = world.member("t1", "owner").await;
    world.tiktok(&tenant, "channel_1", 7200).await;
    let channel = "/api/v1/tenants/t1/channels/channel_1";
    let paused = json!({"paused": true});
    let changed = world
        .tell(&owner.access, Method::PATCH, channel, paused)
        .await;
    let (id, token) = world.service_token("t1", &["channels:write"]).await;
    world.ask(&token, Method::DELETE, channel).await;
    world.delete(&format!("/api/v1/service-tokens/{id}")).await;

    let lines = log(&world, "tenant_id=t1").await;

    let told: Vec<(String, String, String)> = lines
        .iter()
        .rev()
        .map(|line| {
            (
                text(line, "action"),
                text(line, "actor"),
                text(line, "target"),
            )
        })
        .collect();
    let user = format!("user:{}", owner.id);
    let service_token = format!("service_token:{id}");
    let session = told[2].2.clone();
    let expected = [
        ("user.invite", "admin", "tenants/t1/invitations"),
        ("user.join", &user, &format!("users/{}", owner.id)),
        ("auth.login", &user, &session),
        ("channel.import", "admin", "tenants/t1/channels/channel_1"),
        ("channel.change", &user, "tenants/t1/channels/channel_1"),
        (
            "service_token.create",
            "admin",
            &format!("service-tokens/{id}"),
        ),
        (
            "channel.delete",
            &service_token,
            "tenants/t1/channels/channel_1",
        ),
        (
            "service_token.revoke",
            "admin",
            &format!("service-tokens/{id}"),
        ),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(told, expected);
    let line = &lines[3];
    assert_eq!(text(line, "request_id"), changed.header("x-request-id"));
    assert_eq!(text(line, "address"), "127.0.0.1");
    let all = json!(lines).to_string();
    for secret in [PASSWORD, &token, &owner.access, &owner.refresh, "planted"] {
        assert!(!all.contains(secret), "{all}");
    }
}

async fn what_was_refused_leaves_no_line(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let before = log(&world, "").await.len();

    world
        .post_json("/api/v1/tenants", json!({"id": "t1"}))
        .await;
    world.delete("/api/v1/tenants/none").await;
    world.log_in("ana@example.com", PASSWORD).await;
    world.get("/api/v1/tenants/t1").await;

    assert_eq!(log(&world, "").await.len(), before);
}

async fn an_owner_sees_the_own_tenant_and_the_platform_all(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    world.tenant("t2").await;
    let owner = world.member("t1", "owner").await;
    let operator = world.member("t1", "operator").await;

    let own = world.ask(&owner.access, Method::GET, "/api/v1/audit").await;
    let refused = world
        .ask(&operator.access, Method::GET, "/api/v1/audit")
        .await;
    let created = log(&world, "action=tenant.create").await;
    let of_owner = log(&world, &format!("actor=user:{}", owner.id)).await;

    let own = own.json();
    let tenants = own["items"].as_array().unwrap().iter();
    assert!(tenants.map(|line| &line["tenant_id"]).all(|it| it == "t1"));
    assert_eq!(refused.problem(), problem(403, "forbidden", &[]));
    assert_eq!(created.len(), 2);
    assert_eq!(of_owner.len(), 2, "joined and logged in");
}

async fn the_log_goes_on_at_its_cursor(database: Database) {
    let world = World::start(database).await;
    for id in ["a", "b", "c"] {
        world.tenant(id).await;
    }

    let first = world.get("/api/v1/audit?limit=2").await.json();
    let cursor = text(&first, "next_cursor");
    let second = world
        .get(&format!("/api/v1/audit?limit=2&cursor={cursor}"))
        .await;
    let bad = world.get("/api/v1/audit?cursor=x").await;

    assert_eq!(first["items"][0]["target"], "tenants/c");
    assert_eq!(second.json()["items"][0]["target"], "tenants/a");
    assert_eq!(second.json()["next_cursor"], Value::Null);
    assert_eq!(bad.problem(), problem(422, "invalid_input", &["cursor"]));
}
