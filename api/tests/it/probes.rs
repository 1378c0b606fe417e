//! What anybody may ask: `/`, `/livez` and `/readyz`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::Health;
use insta::{allow_duplicates, assert_json_snapshot};
use reqwest::Method;
use testkit::Database;
use testkit::redis::Data;

use crate::world::{Setup, World, send};

testkit::each_database!(
    the_root_says_what_this_is,
    a_process_is_alive_without_anything_else,
    a_process_is_ready_when_each_of_its_parts_is,
);

async fn the_root_says_what_this_is(database: Database) {
    let mut setup = Setup::default();
    "My Tokens".clone_into(&mut setup.settings.app_name);
    let world = World::with(database, setup).await;

    let answer = send(world.anonymous(Method::GET, "/")).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert!(answer.text.starts_with("My Tokens: "), "{}", answer.text);
}

async fn a_process_is_alive_without_anything_else(database: Database) {
    let mut world = World::start(database).await;
    world.redis.halt(Data::Lost).await.unwrap();

    let answer = send(world.anonymous(Method::GET, "/livez")).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.text, r#"{"status":"alive"}"#);
}

async fn a_process_is_ready_when_each_of_its_parts_is(database: Database) {
    let well = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&well);
    let health = Health::default().with("queue sweep", move || {
        if asked.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("was not polled for 30 s".to_owned())
        }
    });
    let setup = Setup {
        health,
        ..Setup::default()
    };
    let mut world = World::with(database, setup).await;

    let ready = send(world.anonymous(Method::GET, "/readyz")).await;
    well.store(false, Ordering::Relaxed);
    let idle = send(world.anonymous(Method::GET, "/readyz")).await;
    world.redis.halt(Data::Lost).await.unwrap();
    let without_redis = send(world.anonymous(Method::GET, "/readyz")).await;
    world.store.clone().close().await;
    let without_both = send(world.anonymous(Method::GET, "/readyz")).await;

    assert_eq!((ready.status, idle.status), (200, 503));
    allow_duplicates! { assert_json_snapshot!(ready.json(), @r#"
    {
      "checks": {
        "database": {
          "ok": true
        },
        "queue sweep": {
          "ok": true
        },
        "redis": {
          "ok": true
        }
      },
      "status": "ready"
    }
    "#); }
    allow_duplicates! { assert_json_snapshot!(idle.json()["checks"]["queue sweep"], @r#"
    {
      "ok": false,
      "problem": "was not polled for 30 s"
    }
    "#); }
    assert_eq!(without_redis.status, 503);
    assert_eq!(without_redis.json()["status"], "degraded");
    assert_eq!(without_redis.json()["checks"]["redis"]["ok"], false);
    assert_eq!(without_both.status, 503);
    assert_eq!(without_both.json()["status"], "unavailable");
}
