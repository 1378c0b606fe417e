//! S2.2 over HTTP.

use insta::{allow_duplicates, assert_json_snapshot};
use serde_json::{Value, json};
use testkit::Database;

use crate::stub_worker::{Ending, StubWorker};
use crate::world::{World, problem};

testkit::each_database!(
    s2_2_all_named_channels_are_refreshed_and_answered_in_the_order_given,
    s2_2_without_ids_those_that_need_it_are_refreshed,
    s2_2_no_ids_at_all_is_an_empty_batch,
    s2_2_without_waiting_the_answer_is_a_batch_that_can_be_looked_at,
    s2_2_paused_channels_and_those_that_need_a_person_have_their_answer_at_once,
    s2_2_more_than_a_thousand_ids_are_refused,
    s2_2_a_batch_of_nobody_does_not_exist,
);

const REFRESH: &str = "/api/v1/tenants/t1/channels/refresh";

async fn s2_2_all_named_channels_are_refreshed_and_answered_in_the_order_given(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    let other = world.tenant("t2").await;
    for id in ["a", "b"] {
        world.tiktok(&tenant, id, 7200).await;
    }
    world.tiktok(&other, "foreign", 7200).await;
    let _worker = StubWorker::start(&world, Ending::Fresh);

    let ids = json!({"channel_ids": ["b", "nobody", "a", "b", "foreign", "no/name"]});
    let answer = world.post_json(REFRESH, ids).await;
    let path = format!(
        "/api/v1/batches/{}",
        answer.json()["batch_id"].as_str().unwrap_or_default()
    );
    let batch = world.get(&path).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    allow_duplicates! { assert_json_snapshot!(answer.json(), {
        ".batch_id" => "[batch]",
        ".results[].job_id" => "[job]",
        ".results[].new_expires_at" => "[time]",
    }, @r#"
    {
      "batch_id": "[batch]",
      "failed": 3,
      "processed": 5,
      "results": [
        {
          "channel_id": "b",
          "generation": 2,
          "job_id": "[job]",
          "new_expires_at": "[time]",
          "refreshed": true,
          "success": true
        },
        {
          "channel_id": "nobody",
          "error": "not_found",
          "refreshed": false,
          "success": false
        },
        {
          "channel_id": "a",
          "generation": 2,
          "job_id": "[job]",
          "new_expires_at": "[time]",
          "refreshed": true,
          "success": true
        },
        {
          "channel_id": "foreign",
          "error": "not_found",
          "refreshed": false,
          "success": false
        },
        {
          "channel_id": "no/name",
          "error": "not_found",
          "refreshed": false,
          "success": false
        }
      ],
      "succeeded": 2
    }
    "#); }
    let mut expected = answer.json();
    expected["pending"] = json!(0);
    assert_eq!(batch.json(), expected);
}

async fn s2_2_without_ids_those_that_need_it_are_refreshed(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "soon", 1800).await;
    world.tiktok(&tenant, "later", 86_400).await;
    let _worker = StubWorker::start(&world, Ending::Fresh);

    let answer = world.post(REFRESH).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let json = answer.json();
    assert_eq!(json["processed"], 1);
    assert_eq!(json["results"][0]["channel_id"], "soon");
}

async fn s2_2_no_ids_at_all_is_an_empty_batch(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    let answer = world.post_json(REFRESH, json!({"channel_ids": []})).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    allow_duplicates! { assert_json_snapshot!(answer.json(), {".batch_id" => "[batch]"}, @r#"
    {
      "batch_id": "[batch]",
      "failed": 0,
      "processed": 0,
      "results": [],
      "succeeded": 0
    }
    "#); }
}

async fn s2_2_without_waiting_the_answer_is_a_batch_that_can_be_looked_at(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    world.tiktok(&tenant, "b", 7200).await;
    let ids = json!({"channel_ids": ["a", "b", "nobody"]});

    let answer = world
        .post_json(&format!("{REFRESH}?wait=0"), ids.clone())
        .await;
    let waited = world.post_json(&format!("{REFRESH}?wait=1"), ids).await;
    let path = format!(
        "/api/v1/batches/{}",
        answer.json()["batch_id"].as_str().unwrap()
    );
    let before = world.get(&path).await.json();
    let _worker = StubWorker::start(&world, Ending::Fresh);
    let after = world
        .until(&path, |batch| batch.json()["pending"] == 0)
        .await;

    assert_eq!((answer.status, waited.status), (202, 202));
    allow_duplicates! { assert_json_snapshot!(answer.json(), {".batch_id" => "[batch]"}, @r#"
    {
      "batch_id": "[batch]"
    }
    "#); }
    assert_eq!(figures(&before), [2, 1, 0, 1]);
    assert_eq!(figures(&after.json()), [0, 3, 2, 1]);
}

fn figures(batch: &Value) -> [u64; 4] {
    ["pending", "processed", "succeeded", "failed"].map(|name| batch[name].as_u64().unwrap())
}

async fn s2_2_paused_channels_and_those_that_need_a_person_have_their_answer_at_once(
    database: Database,
) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "paused", 7200).await;
    world
        .patch_json(
            "/api/v1/tenants/t1/channels/paused",
            json!({"paused": true}),
        )
        .await;
    let expired = json!({
        "access_token": "planted-access-token", "expires_at": "2020-01-01T00:00:00Z",
    });
    world.import(&tenant, "expired", "facebook", expired).await;

    let ids = json!({"channel_ids": ["paused", "expired"]});
    let answer = world.post_json(REFRESH, ids).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    allow_duplicates! { assert_json_snapshot!(answer.json()["results"], @r#"
    [
      {
        "channel_id": "paused",
        "details": {
          "reason": "paused"
        },
        "error": "cancelled",
        "refreshed": false,
        "success": false
      },
      {
        "channel_id": "expired",
        "details": {
          "reason": "expired"
        },
        "error": "reauth_required",
        "refreshed": false,
        "success": false
      }
    ]
    "#); }
}

async fn s2_2_more_than_a_thousand_ids_are_refused(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let ids: Vec<String> = (0..1001).map(|n| format!("c{n}")).collect();

    let answer = world.post_json(REFRESH, json!({"channel_ids": ids})).await;

    let expected = problem(422, "invalid_input", &["channel_ids"]);
    assert_eq!(answer.problem(), expected);
}

async fn s2_2_a_batch_of_nobody_does_not_exist(database: Database) {
    let world = World::start(database).await;

    for id in ["x", "0198c0de-0000-7000-8000-000000000000", "%ff", "%00"] {
        let answer = world.get(&format!("/api/v1/batches/{id}")).await;

        assert_eq!(answer.problem(), problem(404, "not_found", &[]));
    }
}
