//! Importing, listing, changing and deleting channels.

use insta::{allow_duplicates, assert_json_snapshot};
use serde_json::{Value, json};
use testkit::Database;

use crate::world::{Answer, World, problem};

testkit::each_database!(
    an_import_answers_with_the_channel_and_without_its_credentials,
    meta_is_a_synonym_of_facebook,
    an_unknown_provider_is_answered_with_those_that_exist,
    an_import_names_every_field_that_is_wrong,
    an_import_with_an_id_that_is_an_address_is_refused,
    a_taken_channel_id_is_a_conflict_and_changes_nothing,
    the_same_id_may_be_given_in_two_tenants,
    an_expired_token_that_nothing_renews_needs_a_person_at_once,
    a_channel_without_an_expiry_is_due_at_once,
    a_list_of_channels_is_filtered_and_paged,
    s5_9_the_platform_sees_the_channels_of_all_tenants_in_a_state,
    names_change_and_a_local_name_can_be_taken_away,
    a_paused_channel_goes_on_when_it_is_resumed,
    a_deleted_channel_is_gone_and_its_id_is_free,
    a_channel_of_another_tenant_does_not_exist,
    the_timeline_of_a_new_channel_is_empty,
);

const CHANNELS: &str = "/api/v1/tenants/t1/channels";

fn tiktok(id: &str) -> Value {
    json!({
        "id": id,
        "provider": "tiktok",
        "display_name": "Ana on TikTok",
        "local_name": "crm-17",
        "credentials": {
            "access_token": "planted-access-token",
            "refresh_token": "planted-refresh-token",
            "expires_in": 7200,
            "open_id": "ana-1",
        },
    })
}

async fn an_import_answers_with_the_channel_and_without_its_credentials(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    let imported = world.post_json(CHANNELS, tiktok("channel_123")).await;
    let shown = world.get(&format!("{CHANNELS}/channel_123")).await;

    assert_eq!(imported.status, 201, "{}", imported.text);
    assert_eq!(
        imported.header("location"),
        "/api/v1/tenants/t1/channels/channel_123"
    );
    allow_duplicates! { assert_json_snapshot!(imported.json(), {
        ".created_at" => "[time]", ".updated_at" => "[time]",
        ".expires_at" => "[time]", ".refresh_due_at" => "[time]",
    }, @r#"
    {
      "created_at": "[time]",
      "display_name": "Ana on TikTok",
      "expires_at": "[time]",
      "external_id": "ana-1",
      "failures": 0,
      "generation": 1,
      "has_refresh_token": true,
      "id": "channel_123",
      "last_error": null,
      "last_refreshed_at": null,
      "local_name": "crm-17",
      "provider": "tiktok",
      "reason": null,
      "refresh_due_at": "[time]",
      "refresh_expires_at": null,
      "state": "active",
      "tenant_id": "t1",
      "updated_at": "[time]",
      "warning": "it cannot be refreshed until TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET are set"
    }
    "#); }
    let mut without_warning = imported.json();
    without_warning.as_object_mut().unwrap().remove("warning");
    assert_eq!(shown.json(), without_warning);
}

async fn meta_is_a_synonym_of_facebook(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    let body = json!({
        "provider": "meta",
        "display_name": "a page",
        "credentials": {"access_token": "planted-access-token", "expires_in": 5_184_000},
    });
    let imported = world.post_json(CHANNELS, body).await;

    assert_eq!(imported.status, 201, "{}", imported.text);
    assert_eq!(imported.json()["provider"], "facebook");
}

async fn an_unknown_provider_is_answered_with_those_that_exist(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    let mut body = tiktok("a");
    body["provider"] = json!("myspace");
    let answer = world.post_json(CHANNELS, body).await;

    assert_eq!(
        answer.problem(),
        problem(422, "invalid_input", &["provider"])
    );
    let message = answer.json()["errors"][0]["message"].clone();
    assert_eq!(
        message,
        "must be one of facebook, facturify, instagram, service_token, tiktok, tiktok_business, \
         tiktok_legacy, whatsapp"
    );
}

async fn an_import_names_every_field_that_is_wrong(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    let body = json!({
        "id": "no/slash",
        "provider": "tiktok",
        "display_name": "a\r\nSet-Cookie: b",
        "local_name": "",
        "credentials": {"access_token": "planted-access-token", "expires_in": -1, "colour": "red"},
    });
    let answer = world.post_json(CHANNELS, body).await;
    let not_an_object = json!({
        "provider": "tiktok", "display_name": "a", "credentials": "planted-access-token",
    });
    let quoted = world.post_json(CHANNELS, not_an_object).await;

    let (status, code, mut fields) = answer.problem();
    fields.sort();
    assert_eq!((status, code.as_str()), (422, "invalid_input"));
    assert_eq!(
        fields,
        [
            "credentials.colour",
            "credentials.expires_in",
            "credentials.refresh_token",
            "display_name",
            "id",
            "local_name",
        ]
    );
    assert_eq!(
        quoted.problem(),
        problem(422, "invalid_input", &["credentials"])
    );
    assert_eq!(world.get(CHANNELS).await.json()["items"], json!([]));
}

async fn an_import_with_an_id_that_is_an_address_is_refused(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    for id in ["refresh", "needing-refresh"] {
        let answer = world.post_json(CHANNELS, tiktok(id)).await;

        assert_eq!(answer.problem(), problem(422, "invalid_input", &["id"]));
    }
}

async fn a_taken_channel_id_is_a_conflict_and_changes_nothing(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.post_json(CHANNELS, tiktok("a")).await;
    let before = world.channel(&tenant, "a").await;

    let mut body = tiktok("a");
    body["display_name"] = json!("another");
    let again = world.post_json(CHANNELS, body).await;

    assert_eq!(again.problem(), problem(409, "already_exists", &["id"]));
    assert_eq!(world.channel(&tenant, "a").await, before);
}

async fn the_same_id_may_be_given_in_two_tenants(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    world.tenant("t2").await;

    let one = world.post_json(CHANNELS, tiktok("a")).await;
    let other = world
        .post_json("/api/v1/tenants/t2/channels", tiktok("a"))
        .await;

    assert_eq!((one.status, other.status), (201, 201));
}

async fn an_expired_token_that_nothing_renews_needs_a_person_at_once(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    let body = json!({
        "id": "a",
        "provider": "facebook",
        "display_name": "a page",
        "credentials": {
            "access_token": "planted-access-token",
            "expires_at": "2020-01-01T00:00:00Z",
        },
    });
    let imported = world.post_json(CHANNELS, body).await;

    assert_eq!(imported.status, 201, "{}", imported.text);
    let imported = imported.json();
    assert_eq!(imported["state"], "needs_reauth");
    assert_eq!(imported["reason"], "expired");
    assert_eq!(imported["refresh_due_at"], json!(null));
    assert!(imported["warning"].is_string());
}

async fn a_channel_without_an_expiry_is_due_at_once(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;

    let channel = world.tiktok(&tenant, "a", 0).await;

    let due = world.store.take_due(10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].channel, channel.uid);
}

async fn a_list_of_channels_is_filtered_and_paged(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 600).await;
    world.tiktok(&tenant, "b", 7200).await;
    world.tiktok(&tenant, "c", 86_400).await;
    let keys = json!({"api_key": "planted-api-key", "api_secret": "planted-api-secret"});
    world.import(&tenant, "d", "facturify", keys).await;
    let ids = async |query: &str| ids(&world.get(&format!("{CHANNELS}{query}")).await);

    assert_eq!(ids("").await, ["a", "b", "c", "d"]);
    assert_eq!(ids("?provider=tiktok").await, ["a", "b", "c"]);
    assert_eq!(
        ids("?provider=tiktok&expiring_within_minutes=180").await,
        ["a", "b"]
    );
    assert_eq!(ids("?state=needs_reauth").await, Vec::<String>::new());
    assert_eq!(ids("?limit=3").await, ["a", "b", "c"]);
    assert_eq!(ids("?limit=3&cursor=c").await, ["d"]);
}

fn ids(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let items = json["items"].as_array().unwrap();
    let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
    items.iter().map(id).collect()
}

async fn names_change_and_a_local_name_can_be_taken_away(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    world.post_json(CHANNELS, tiktok("a")).await;
    let channel = format!("{CHANNELS}/a");

    let renamed = world
        .patch_json(&channel, json!({"display_name": "Ana & Co."}))
        .await;
    let unnamed = world
        .patch_json(&channel, json!({"local_name": null}))
        .await;
    let refused = world
        .patch_json(&channel, json!({"display_name": null}))
        .await;

    assert_eq!(renamed.json()["display_name"], "Ana & Co.");
    assert_eq!(renamed.json()["local_name"], "crm-17");
    assert_eq!(unnamed.json()["local_name"], json!(null));
    assert_eq!(
        refused.problem(),
        problem(422, "invalid_input", &["display_name"])
    );
    assert_eq!(
        world.get(&channel).await.json()["display_name"],
        "Ana & Co."
    );
}

async fn a_paused_channel_goes_on_when_it_is_resumed(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    world.post_json(CHANNELS, tiktok("a")).await;
    let channel = format!("{CHANNELS}/a");

    let paused = world.patch_json(&channel, json!({"paused": true})).await;
    let resumed = world.patch_json(&channel, json!({"paused": false})).await;

    assert_eq!(paused.json()["state"], "paused");
    assert_eq!(resumed.json()["state"], "active");
}

async fn a_deleted_channel_is_gone_and_its_id_is_free(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.post_json(CHANNELS, tiktok("a")).await;
    let before = world.channel(&tenant, "a").await;
    let channel = format!("{CHANNELS}/a");
    world.post(&format!("{channel}/refresh?wait=0")).await;

    let deleted = world.delete(&channel).await;
    let again = world.delete(&channel).await;
    let queue = world.queues.queue(&jobs::refresh_queue(&before.provider));
    let job = queue.find(&jobs::refresh_key(before.uid)).await.unwrap();
    let imported = world.post_json(CHANNELS, tiktok("a")).await;

    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(again.problem(), problem(404, "not_found", &[]));
    assert_eq!(job, None);
    assert_eq!(imported.status, 201, "{}", imported.text);
    assert_ne!(world.channel(&tenant, "a").await.uid, before.uid);
}

async fn a_channel_of_another_tenant_does_not_exist(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    world.tenant("t2").await;
    world.post_json(CHANNELS, tiktok("a")).await;
    let foreign = "/api/v1/tenants/t2/channels/a";

    let answers = [
        world.get(foreign).await,
        world.patch_json(foreign, json!({"paused": true})).await,
        world.delete(foreign).await,
        world.post(&format!("{foreign}/refresh")).await,
        world.get(&format!("{foreign}/attempts")).await,
    ];

    for answer in answers {
        assert_eq!(answer.problem(), problem(404, "not_found", &[]));
    }
    assert_eq!(world.get(&format!("{CHANNELS}/a")).await.status, 200);
}

async fn the_timeline_of_a_new_channel_is_empty(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    world.post_json(CHANNELS, tiktok("a")).await;

    let timeline = world.get(&format!("{CHANNELS}/a/attempts")).await;

    assert_eq!(timeline.json(), json!({"items": [], "next_cursor": null}));
}

async fn s5_9_the_platform_sees_the_channels_of_all_tenants_in_a_state(database: Database) {
    let world = World::start(database).await;
    for id in ["t1", "t2"] {
        let tenant = world.tenant(id).await;
        world.tiktok(&tenant, "active", 7200).await;
        let expired = json!({
            "access_token": "planted-access-token", "expires_at": "2020-01-01T00:00:00Z",
        });
        world.import(&tenant, "stuck", "facebook", expired).await;
    }
    let page = |query: &str| {
        let path = format!("/api/v1/channels?state=needs_reauth&{query}");
        let world = &world;
        async move { world.get(&path).await.json() }
    };
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        let name = |it: &Value| format!("{}/{}", it["tenant_id"], it["id"]).replace('"', "");
        items.iter().map(name).collect()
    };

    let all = page("limit=50").await;
    let first = page("limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = page(&format!("limit=1&cursor={cursor}")).await;
    let nothing = world.get("/api/v1/channels?state=deleting").await;

    assert_eq!(names(&all), ["t1/stuck", "t2/stuck"]);
    assert_eq!(all["next_cursor"], json!(null));
    assert_eq!(
        (names(&first), names(&second)),
        (vec!["t1/stuck".to_owned()], vec!["t2/stuck".to_owned()])
    );
    assert_eq!(second["next_cursor"], json!(null));
    assert_eq!(nothing.problem(), problem(422, "invalid_input", &["state"]));
    let counted = world.get("/api/v1/refresh/statistics").await.json();
    let by_state = json!({
        "active": 2, "needs_reauth": 2, "paused": 0, "error": 0, "never_expires": 0,
    });
    assert_eq!(
        counted["statistics"],
        json!({"total_channels": 4, "by_state": by_state, "longest_due_secs": 0})
    );
}
