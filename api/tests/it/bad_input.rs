//! "Bad input, everywhere": each row is a problem document, and changes nothing.

use insta::{allow_duplicates, assert_json_snapshot};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Database;
use testkit::redis::Data;

use crate::world::{ADMIN, World, problem, send};

testkit::each_database!(
    without_the_token_nothing_is_answered,
    s1_7_every_kind_of_refusal_has_one_form_without_internals,
    an_unknown_address_is_not_found,
    a_wrong_method_is_told_which_are_allowed,
    what_is_not_json_is_refused_with_its_place,
    what_is_not_utf8_is_refused_with_its_place,
    what_is_not_declared_as_json_is_refused,
    wrong_types_are_named_without_their_value,
    unknown_fields_are_named,
    a_list_in_the_place_of_an_object_is_refused,
    missing_and_repeated_fields_are_named,
    a_bad_cursor_is_refused,
    a_query_that_is_not_utf8_is_refused,
    ids_that_cannot_be_are_not_found,
    a_line_break_in_a_name_reaches_no_header,
    impossible_dates_are_refused,
    a_database_that_is_away_is_told_as_such,
);

const TENANTS: &str = "/api/v1/tenants";

async fn without_the_token_nothing_is_answered(database: Database) {
    let world = World::start(database).await;

    for path in [TENANTS, "/api/v1/jobs/status", "/api/v1/nothing"] {
        let none = send(world.anonymous(Method::GET, path)).await;
        let wrong = send(world.anonymous(Method::GET, path).bearer_auth("guess")).await;
        let basic = world.anonymous(Method::GET, path);
        let basic = send(basic.basic_auth("admin", Some(ADMIN))).await;

        for answer in [none, wrong, basic] {
            assert_eq!(answer.problem(), problem(401, "unauthorized", &[]));
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    let body = json!({"id": "t1"});
    let refused = send(world.anonymous(Method::POST, TENANTS).json(&body)).await;
    assert_eq!(refused.status, 401);
    assert_eq!(world.get(TENANTS).await.json()["items"], json!([]));
}

async fn s1_7_every_kind_of_refusal_has_one_form_without_internals(database: Database) {
    let mut world = World::start(database).await;
    let owner = world.registered("ana@t.example").await;
    let viewer = world.member(&owner.tenant, "viewer").await;
    world.tenant("t1").await;
    let post = |path| world.request(Method::POST, path);
    let mut answers = vec![
        send(
            post(TENANTS)
                .body("{")
                .header("content-type", "application/json"),
        )
        .await,
        send(world.anonymous(Method::GET, TENANTS)).await,
        world.ask(&viewer.access, Method::POST, TENANTS).await,
        world.get("/api/v1/tenants/none").await,
        world.delete(TENANTS).await,
        world.post_json(TENANTS, json!({"id": "t1"})).await,
        send(post(TENANTS).body(vec![b'x'; (1 << 20) + 1])).await,
        send(post(TENANTS).body("id=t1")).await,
        world.post_json(TENANTS, json!({"id": 1})).await,
    ];
    world.redis.halt(Data::Lost).await.unwrap();
    answers.push(world.post("/token/create").await);

    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [400, 401, 403, 404, 405, 409, 413, 415, 422, 503]);
    for answer in answers {
        let (_, code, _) = answer.problem();
        let body = answer.json();
        assert_eq!(body["type"], format!("urn:tokenfleet:problem:{code}"));
        let words = answer.text.to_lowercase();
        for internal in [
            "panic", "src/", ".rs", "select ", "sqlx", "redis://", "os error",
        ] {
            assert!(!words.contains(internal), "{internal} in {}", answer.text);
        }
    }
}

async fn an_unknown_address_is_not_found(database: Database) {
    let world = World::start(database).await;

    let answer = world.get("/api/v2/tenants").await;

    assert_eq!(answer.status, 404);
    allow_duplicates! { assert_json_snapshot!(answer.json(), @r#"
    {
      "code": "not_found",
      "detail": "There is no such address.",
      "status": 404,
      "title": "There is no such thing",
      "type": "urn:tokenfleet:problem:not_found"
    }
    "#); }
    for path in ["/api/v1/nothing", "/api/v1/tenants/", "/%ff", "/api/v1"] {
        assert_eq!(
            world.get(path).await.problem(),
            problem(404, "not_found", &[])
        );
    }
}

async fn a_wrong_method_is_told_which_are_allowed(database: Database) {
    let world = World::start(database).await;

    let answer = world.put_json(TENANTS, json!({})).await;
    let open = send(world.anonymous(Method::POST, "/livez")).await;

    assert_eq!(answer.problem(), problem(405, "method_not_allowed", &[]));
    assert_eq!(answer.header("allow"), "GET,HEAD,POST");
    assert_eq!(open.problem(), problem(405, "method_not_allowed", &[]));
    assert_eq!(open.header("allow"), "GET,HEAD");
}

/// Sends these bytes as a JSON body for a new tenant.
async fn raw(world: &World, body: impl Into<reqwest::Body>) -> crate::world::Answer {
    let request = world
        .request(Method::POST, TENANTS)
        .header("content-type", "application/json");
    send(request.body(body)).await
}

async fn what_is_not_json_is_refused_with_its_place(database: Database) {
    let world = World::start(database).await;

    let broken = raw(&world, "{\n  \"id\": planted-api-key}").await;
    let cut = raw(&world, "{\"id\": ").await;
    let tail = raw(&world, "{} {}").await;
    let deep = raw(&world, "[".repeat(10_000)).await;

    allow_duplicates! { assert_json_snapshot!(broken.json(), @r#"
    {
      "code": "malformed_json",
      "detail": "The body is not JSON, at line 2 column 9.",
      "status": 400,
      "title": "The request cannot be read",
      "type": "urn:tokenfleet:problem:malformed_json"
    }
    "#); }
    assert_eq!(cut.problem(), problem(400, "malformed_json", &[]));
    assert_eq!(tail.problem(), problem(400, "malformed_json", &[]));
    assert!(deep.status == 400 || deep.status == 422, "{}", deep.text);
    assert_eq!(world.get(TENANTS).await.json()["items"], json!([]));
}

async fn what_is_not_utf8_is_refused_with_its_place(database: Database) {
    let world = World::start(database).await;

    let answer = raw(&world, b"{\n \"id\": \"\xff\"}".to_vec()).await;

    assert_eq!(answer.problem(), problem(400, "not_utf8", &[]));
    let detail = answer.json()["detail"].clone();
    assert_eq!(detail, "The body is not UTF-8, at line 2 column 9.");
}

async fn what_is_not_declared_as_json_is_refused(database: Database) {
    let world = World::start(database).await;

    let form = world.request(Method::POST, TENANTS).form(&[("id", "t1")]);
    let undeclared = world.request(Method::POST, TENANTS).body("{}");

    for request in [form, undeclared] {
        let answer = send(request).await;

        assert_eq!(
            answer.problem(),
            problem(415, "unsupported_media_type", &[])
        );
    }
    assert_eq!(world.get(TENANTS).await.json()["items"], json!([]));
}

async fn wrong_types_are_named_without_their_value(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    let answer = world
        .post_json(TENANTS, json!({"id": {"planted-api-key": 1}}))
        .await;
    let list = raw(&world, "[]").await;
    let text = raw(&world, "\"planted-api-key\"").await;
    let provider = json!({
        "provider": ["planted-api-key"], "display_name": "a", "credentials": {},
    });
    let provider = world
        .post_json("/api/v1/tenants/t1/channels", provider)
        .await;
    let ids = json!({"channel_ids": ["a", 5]});
    let ids = world
        .post_json("/api/v1/tenants/t1/channels/refresh", ids)
        .await;

    allow_duplicates! { assert_json_snapshot!(answer.json(), @r#"
    {
      "code": "invalid_input",
      "detail": "id must be a string",
      "errors": [
        {
          "field": "id",
          "message": "must be a string"
        }
      ],
      "status": 422,
      "title": "The input is not valid",
      "type": "urn:tokenfleet:problem:invalid_input"
    }
    "#); }
    assert_eq!(text.problem(), problem(422, "invalid_input", &["body"]));
    assert!(list.status == 422 || list.status == 201, "{}", list.text);
    assert_eq!(
        provider.problem(),
        problem(422, "invalid_input", &["provider"])
    );
    assert_eq!(
        ids.problem(),
        problem(422, "invalid_input", &["channel_ids[1]"])
    );
}

async fn a_list_in_the_place_of_an_object_is_refused(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let path = "/api/v1/tenants/t1/schedule";

    let answers = [
        world.post_json(TENANTS, json!(["t2", "x"])).await,
        world.post_json(TENANTS, json!([])).await,
        world.post_json(TENANTS, json!("t2")).await,
        world.put_json(path, json!([10])).await,
    ];

    for answer in answers {
        assert_eq!(answer.problem(), problem(422, "invalid_input", &["body"]));
    }
    assert_eq!(world.get("/api/v1/tenants/t2").await.status, 404);
    assert_eq!(world.get(path).await.status, 404);
}

async fn unknown_fields_are_named(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let answers = [
        (world.post_json(TENANTS, json!({"nmae": "x"})).await, "nmae"),
        (
            world
                .put_json(
                    "/api/v1/tenants/t1/schedule",
                    json!({"interval_minutes": 5, "cron": "* * * * *"}),
                )
                .await,
            "cron",
        ),
        (world.get("/api/v1/tenants?page=2").await, "page"),
    ];

    for (answer, field) in answers {
        assert_eq!(answer.problem(), problem(422, "invalid_input", &[field]));
        let message = answer.json()["errors"][0]["message"].clone();
        assert!(
            message.as_str().unwrap().starts_with("is not known"),
            "{message}"
        );
    }
    assert_eq!(world.get("/api/v1/tenants/t1/schedule").await.status, 404);
}

async fn missing_and_repeated_fields_are_named(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    let missing = world
        .post_json("/api/v1/tenants/t1/channels", json!({}))
        .await;
    let twice = raw(&world, r#"{"id": "a", "id": "b"}"#).await;
    let twice_in_query = world.get("/api/v1/tenants?limit=1&limit=2").await;

    assert_eq!(
        missing.problem(),
        problem(422, "invalid_input", &["provider"])
    );
    assert_eq!(twice.problem(), problem(422, "invalid_input", &["id"]));
    assert_eq!(
        twice_in_query.problem(),
        problem(422, "invalid_input", &["limit"])
    );
}

async fn a_bad_cursor_is_refused(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;

    for path in [
        TENANTS,
        "/api/v1/tenants/t1/channels",
        "/api/v1/tenants/t1/channels/a/attempts",
    ] {
        for cursor in ["", "no%20cursor", "%00"] {
            let answer = world.get(&format!("{path}?cursor={cursor}")).await;

            assert_eq!(answer.problem(), problem(422, "invalid_input", &["cursor"]));
        }
    }
}

async fn a_query_that_is_not_utf8_is_refused(database: Database) {
    let world = World::start(database).await;

    let answer = world.get("/api/v1/tenants?cursor=%ff").await;

    assert_eq!(answer.problem(), problem(400, "not_utf8", &[]));
}

async fn ids_that_cannot_be_are_not_found(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let long = "x".repeat(65);

    for id in [
        "no.such",
        "%ff",
        "%00",
        "a%2Fb",
        "%0d%0aSet-Cookie:%20a",
        &long,
    ] {
        for path in [
            format!("/api/v1/tenants/{id}"),
            format!("/api/v1/tenants/{id}/channels"),
            format!("/api/v1/tenants/t1/channels/{id}"),
        ] {
            assert_eq!(
                world.get(&path).await.problem(),
                problem(404, "not_found", &[])
            );
        }
    }
    for id in ["no.such", "", &long, "a\r\nb", "ñ"] {
        let answer = world.post_json(TENANTS, json!({"id": id})).await;

        assert_eq!(answer.problem(), problem(422, "invalid_input", &["id"]));
    }
}

async fn a_line_break_in_a_name_reaches_no_header(database: Database) {
    let world = World::start(database).await;

    let body = json!({"name": "a\r\nX-Injected: yes"});
    let answer = world.post_json(TENANTS, body).await;

    assert_eq!(answer.problem(), problem(422, "invalid_input", &["name"]));
    assert!(answer.headers.get("x-injected").is_none());
}

async fn impossible_dates_are_refused(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let import = |expires_at: Value| {
        json!({
            "provider": "tiktok",
            "display_name": "a",
            "credentials": {
                "access_token": "planted-access-token",
                "refresh_token": "planted-refresh-token",
                "expires_at": expires_at,
            },
        })
    };

    for date in [
        json!("2026-02-30T00:00:00Z"),
        json!("tomorrow"),
        json!(1_764_216_000),
    ] {
        let answer = world
            .post_json("/api/v1/tenants/t1/channels", import(date))
            .await;

        let expected = problem(422, "invalid_input", &["credentials.expires_at"]);
        assert_eq!(answer.problem(), expected);
    }
}

async fn a_database_that_is_away_is_told_as_such(database: Database) {
    let world = World::start(database).await;
    world.store.clone().close().await;

    let answer = world.get(TENANTS).await;

    assert_eq!(answer.problem(), problem(503, "unavailable", &[]));
    assert_eq!(answer.header("retry-after"), "2");
    assert!(!answer.text.contains("sql"), "{}", answer.text);
}
