//! Tenants.

use insta::{allow_duplicates, assert_json_snapshot};
use serde_json::json;
use testkit::Database;

use crate::world::{World, problem};

testkit::each_database!(
    a_tenant_is_created_shown_and_listed,
    a_tenant_without_an_id_gets_one,
    a_taken_id_is_a_conflict_and_changes_nothing,
    the_built_in_tenant_cannot_be_created,
    a_list_of_tenants_goes_on_at_its_cursor,
    a_deleted_tenant_is_gone_with_its_channels_and_its_id_is_free,
);

async fn a_tenant_is_created_shown_and_listed(database: Database) {
    let world = World::start(database).await;

    let body = json!({"id": "tenant_456", "name": "Peluquería Ñandú"});
    let created = world.post_json("/api/v1/tenants", body).await;
    let shown = world.get("/api/v1/tenants/tenant_456").await;
    let listed = world.get("/api/v1/tenants").await;

    assert_eq!(created.status, 201);
    assert_eq!(created.header("location"), "/api/v1/tenants/tenant_456");
    allow_duplicates! { assert_json_snapshot!(created.json(), {".created_at" => "[time]"}, @r#"
    {
      "created_at": "[time]",
      "id": "tenant_456",
      "name": "Peluquería Ñandú"
    }
    "#); }
    assert_eq!(shown.json(), created.json());
    assert_eq!(
        listed.json(),
        json!({"items": [created.json()], "next_cursor": null})
    );
}

async fn a_tenant_without_an_id_gets_one(database: Database) {
    let world = World::start(database).await;

    let created = world.post("/api/v1/tenants").await;

    assert_eq!(created.status, 201, "{}", created.text);
    let shown = world.get(created.header("location")).await;
    assert_eq!(shown.json(), created.json());
}

async fn a_taken_id_is_a_conflict_and_changes_nothing(database: Database) {
    let world = World::start(database).await;
    world.tenant("tenant_1").await;

    let body = json!({"id": "tenant_1", "name": "another"});
    let again = world.post_json("/api/v1/tenants", body).await;

    assert_eq!(again.problem(), problem(409, "already_exists", &["id"]));
    let shown = world.get("/api/v1/tenants/tenant_1").await;
    assert_eq!(shown.json()["name"], "tenant_1");
}

async fn the_built_in_tenant_cannot_be_created(database: Database) {
    let world = World::start(database).await;

    let answer = world
        .post_json("/api/v1/tenants", json!({"id": "platform"}))
        .await;

    assert_eq!(answer.problem(), problem(422, "invalid_input", &["id"]));
}

async fn a_list_of_tenants_goes_on_at_its_cursor(database: Database) {
    let world = World::start(database).await;
    for id in ["a", "b", "c"] {
        world.tenant(id).await;
    }

    let first = world.get("/api/v1/tenants?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = world
        .get(&format!("/api/v1/tenants?limit=2&cursor={cursor}"))
        .await
        .json();

    assert_eq!(first["items"][0]["id"], "a");
    assert_eq!(first["items"][1]["id"], "b");
    assert_eq!(second["items"][0]["id"], "c");
    assert_eq!(second["next_cursor"], json!(null));
}

async fn a_deleted_tenant_is_gone_with_its_channels_and_its_id_is_free(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("tenant_1").await;
    world.tiktok(&tenant, "channel_1", 7200).await;

    let deleted = world.delete("/api/v1/tenants/tenant_1").await;
    let gone = world.get("/api/v1/tenants/tenant_1").await;
    let channels = world.get("/api/v1/tenants/tenant_1/channels").await;
    let again = world.tenant("tenant_1").await;
    let list = world.get("/api/v1/tenants/tenant_1/channels").await;

    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(gone.problem(), problem(404, "not_found", &[]));
    assert_eq!(channels.problem(), problem(404, "not_found", &[]));
    assert_ne!(again.uid, tenant.uid);
    assert_eq!(list.json(), json!({"items": [], "next_cursor": null}));
}
