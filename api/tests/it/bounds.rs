//! What bounds a request: its size, its time, and how much it may ask for.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use testkit::Database;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{ADMIN, Setup, World, problem, send};

testkit::each_database!(
    a_connection_that_brings_no_head_is_closed,
    a_body_above_the_limit_is_refused,
    a_body_above_the_limit_that_was_not_announced_is_refused,
    pages_are_bounded,
    waits_and_delays_are_bounded,
    a_request_that_takes_too_long_is_ended,
);

const TENANTS: &str = "/api/v1/tenants";

async fn a_body_above_the_limit_is_refused(database: Database) {
    let world = World::start(database).await;
    let name = "x".repeat(1 << 20);

    let answer = world.post_json(TENANTS, json!({"name": name})).await;
    let unread = send(
        world
            .request(Method::GET, TENANTS)
            .body(vec![b'x'; (1 << 20) + 1]),
    )
    .await;

    assert_eq!(answer.problem(), problem(413, "body_too_large", &[]));
    assert_eq!(unread.problem(), problem(413, "body_too_large", &[]));
    assert_eq!(world.get(TENANTS).await.json()["items"], json!([]));
}

async fn a_body_above_the_limit_that_was_not_announced_is_refused(database: Database) {
    let world = World::start(database).await;
    let address = world.base.trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {TENANTS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ADMIN}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));

    // The server may close before all of it is written.
    for _ in 0..17 {
        if connection.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = vec![0; 4096];
    let length = connection.read(&mut answer).await.unwrap_or(0);

    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("body_too_large"), "{answer}");
}

async fn pages_are_bounded(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    for path in [
        TENANTS,
        "/api/v1/tenants/t1/channels",
        "/api/v1/tenants/t1/jobs",
    ] {
        for limit in ["0", "201", "-1", "many", "", "1e3", "99999999999999999999"] {
            let answer = world.get(&format!("{path}?limit={limit}")).await;

            assert_eq!(answer.problem(), problem(422, "invalid_input", &["limit"]));
        }
        assert_eq!(world.get(&format!("{path}?limit=200")).await.status, 200);
    }
}

async fn waits_and_delays_are_bounded(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    let channels = "/api/v1/tenants/t1/channels";

    for wait in ["-1", "61", "soon", "1.5"] {
        let one = world
            .post(&format!("{channels}/a/refresh?wait={wait}"))
            .await;
        let many = world.post(&format!("{channels}/refresh?wait={wait}")).await;

        assert_eq!(one.problem(), problem(422, "invalid_input", &["wait"]));
        assert_eq!(many.problem(), problem(422, "invalid_input", &["wait"]));
    }
    for delay in [
        json!(-1),
        json!(525_601),
        json!("30"),
        json!(1.5),
        json!(null),
    ] {
        let body = json!({"delay_minutes": delay});
        let answer = world
            .post_json(&format!("{channels}/a/refresh/schedule"), body)
            .await;

        assert_eq!(
            answer.problem(),
            problem(422, "invalid_input", &["delay_minutes"])
        );
    }
    for minutes in ["-1", "525601"] {
        let path = format!("{channels}/needing-refresh?refresh_before_minutes={minutes}");
        let answer = world.get(&path).await;

        let expected = problem(422, "invalid_input", &["refresh_before_minutes"]);
        assert_eq!(answer.problem(), expected);
    }
    let status = world.get("/api/v1/tenants/t1/jobs/status").await.json();
    assert_eq!(status["jobs_waiting"], 0);
    assert_eq!(status["jobs_delayed"], 0);
}

async fn a_request_that_takes_too_long_is_ended(database: Database) {
    let mut setup = Setup::default();
    setup.settings.request_timeout = Duration::from_millis(300);
    let world = World::with(database, setup).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;

    let answer = world
        .post("/api/v1/tenants/t1/channels/a/refresh?wait=30")
        .await;

    assert_eq!(answer.problem(), problem(503, "timeout", &[]));
    assert_eq!(answer.header("retry-after"), "1");
}

async fn a_connection_that_brings_no_head_is_closed(database: Database) {
    let mut setup = Setup::default();
    setup.settings.idle_timeout = Duration::from_millis(200);
    let world = World::with(database, setup).await;
    let address = world.base.trim_start_matches("http://");
    let heads = ["", "GET /livez HTTP/1.1\r\nHost: a\r\n"];

    for head in heads {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = connection.read_to_end(&mut answer);
        let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;

        assert!(ended.is_ok(), "{head:?} is waited for");
        assert_eq!(String::from_utf8_lossy(&answer), "");
    }
    let waiting = world.get("/livez").await;
    assert_eq!(waiting.status, 200);
}
