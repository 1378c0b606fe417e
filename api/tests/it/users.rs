//! People of a tenant: invited, changed, disabled, taken away, and their passwords.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Database, TestClock};

use crate::people::{PASSWORD, text};
use crate::world::{Setup, World, problem};

testkit::each_database!(
    an_invitation_is_accepted_once,
    an_invitation_ends_by_time_by_a_newer_one_and_when_it_is_taken_back,
    a_person_who_is_disabled_is_out_at_once,
    a_new_role_counts_at_once,
    nobody_changes_his_own_rights,
    only_the_platform_changes_a_platform_admin,
    a_person_who_is_taken_away_is_gone_with_all_log_ins,
    a_new_password_ends_all_other_log_ins,
    a_tenant_goes_with_its_people_and_their_addresses_are_free,
);

fn patch_of(tenant: &str, user: &str) -> String {
    format!("/api/v1/tenants/{tenant}/users/{user}")
}

async fn invite(world: &World, tenant: &str) -> String {
    let body = json!({"nombre": "Eva", "correo": "Eva@example.com", "role": "operator"});
    let path = format!("/api/v1/tenants/{tenant}/users");
    let invited = world.post_json(&path, body).await;
    assert_eq!(invited.status, 201, "{}", invited.text);
    text(&invited.json(), "invitation_token")
}

async fn accept(world: &World, token: &str) -> crate::world::Answer {
    let body = json!({"token": token, "password": PASSWORD});
    world.post_open("/auth/accept-invitation", body).await
}

async fn an_invitation_is_accepted_once(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let token = invite(&world, "t1").await;

    let waiting = world.get("/api/v1/tenants/t1/invitations").await;
    let twice = futures::future::join(accept(&world, &token), accept(&world, &token)).await;

    assert_eq!(waiting.json()["items"][0]["correo"], "eva@example.com");
    assert!(!waiting.text.contains(&token));
    let mut answers = [twice.0, twice.1];
    answers.sort_by_key(|answer| answer.status);
    let [accepted, late] = answers;
    assert_eq!(accepted.status, 201, "{}", accepted.text);
    assert_eq!(late.problem(), problem(404, "not_found", &[]));
    let expected = json!({
        "id": accepted.json()["id"], "nombre": "Eva", "correo": "eva@example.com",
        "role": "operator", "tenant_id": "t1", "platform_admin": false,
    });
    assert_eq!(accepted.json(), expected);
    assert_eq!(world.log_in("eva@example.com", PASSWORD).await.status, 200);
    let users = world.get("/api/v1/tenants/t1/users").await.json();
    assert_eq!(users["items"][0]["id"], expected["id"]);
    assert_eq!(users["items"][0]["disabled_at"], Value::Null);
    let body = json!({"nombre": "Eva", "correo": "eva@example.com", "role": "viewer"});
    let again = world.post_json("/api/v1/tenants/t1/users", body).await;
    assert_eq!(again.problem(), problem(409, "already_exists", &["correo"]));
}

async fn an_invitation_ends_by_time_by_a_newer_one_and_when_it_is_taken_back(database: Database) {
    let clock = TestClock::start();
    let setup = Setup {
        clock: Some(clock.clone()),
        ..Setup::default()
    };
    let world = World::with(database, setup).await;
    world.tenant("t1").await;

    let older = invite(&world, "t1").await;
    let newer = invite(&world, "t1").await;
    let by_newer = accept(&world, &older).await;
    clock.advance(Duration::from_hours(7 * 24));
    let by_time = accept(&world, &newer).await;
    let withdrawn = invite(&world, "t1").await;
    let list = world.get("/api/v1/tenants/t1/invitations").await.json();
    let id = text(&list["items"][0], "id");
    let gone = world
        .delete(&format!("/api/v1/tenants/t1/invitations/{id}"))
        .await;
    let by_hand = accept(&world, &withdrawn).await;

    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(gone.status, 204);
    for answer in [by_newer, by_time, by_hand] {
        assert_eq!(answer.problem(), problem(404, "not_found", &[]));
    }
}

async fn a_person_who_is_disabled_is_out_at_once(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let person = world.member("t1", "operator").await;
    let path = patch_of("t1", &person.id);

    let disabled = world.patch_json(&path, json!({"disabled": true})).await;
    let me = world.ask(&person.access, Method::GET, "/api/v1/me").await;
    let refreshed = world.refresh(&person.refresh).await;
    let login = world.log_in("operator@t1.example", PASSWORD).await;
    let wrong = world.log_in("operator@t1.example", "wrong horse").await;
    world.patch_json(&path, json!({"disabled": false})).await;
    let enabled = world.log_in("operator@t1.example", PASSWORD).await;

    assert!(disabled.json()["disabled_at"].is_string());
    assert_eq!(me.status, 401);
    assert_eq!(refreshed.problem(), problem(401, "log_in_again", &[]));
    assert_eq!(login.problem(), problem(403, "account_disabled", &[]));
    assert_eq!(wrong.problem(), problem(401, "invalid_credentials", &[]));
    assert_eq!(enabled.status, 200);
}

async fn a_new_role_counts_at_once(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let person = world.member("t1", "viewer").await;
    let refresh = || {
        world.ask(
            &person.access,
            Method::POST,
            "/api/v1/tenants/t1/channels/refresh?wait=0",
        )
    };

    let before = refresh().await;
    let body = json!({"role": "operator", "nombre": "Eva"});
    let changed = world.patch_json(&patch_of("t1", &person.id), body).await;
    let after = refresh().await;

    assert_eq!(before.status, 403);
    assert_eq!(changed.json()["role"], "operator");
    assert_eq!(changed.json()["nombre"], "Eva");
    assert_eq!(after.status, 202, "{}", after.text);
}

async fn nobody_changes_his_own_rights(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let owner = world.member("t1", "owner").await;
    let path = patch_of("t1", &owner.id);
    let tell = |body: Value| world.tell(&owner.access, Method::PATCH, &path, body);

    let demoted = tell(json!({"role": "viewer"})).await;
    let disabled = tell(json!({"disabled": true})).await;
    let deleted = world.ask(&owner.access, Method::DELETE, &path).await;
    let renamed = tell(json!({"nombre": "Eva"})).await;

    for answer in [demoted, disabled, deleted] {
        assert_eq!(answer.problem(), problem(409, "oneself", &[]));
    }
    assert_eq!(renamed.json()["nombre"], "Eva");
}

async fn only_the_platform_changes_a_platform_admin(database: Database) {
    let world = World::start(database).await;
    let admin = world.registered("ana@example.com").await;
    let owner = world.member(&admin.tenant, "owner").await;
    let path = patch_of(&admin.tenant, &admin.id);
    let own = patch_of(&admin.tenant, &owner.id);
    let promote = json!({"platform_admin": true});

    let disabled = world
        .tell(
            &owner.access,
            Method::PATCH,
            &path,
            json!({"disabled": true}),
        )
        .await;
    let deleted = world.ask(&owner.access, Method::DELETE, &path).await;
    let by_owner = world
        .tell(&owner.access, Method::PATCH, &own, promote.clone())
        .await;
    let by_admin = world
        .tell(&admin.access, Method::PATCH, &own, promote)
        .await;

    for answer in [&disabled, &deleted] {
        assert_eq!(answer.problem(), problem(403, "forbidden", &[]));
    }
    assert_eq!(by_owner.status, 409);
    assert_eq!(by_admin.json()["platform_admin"], true);
    let tenants = world
        .ask(&owner.access, Method::GET, "/api/v1/tenants")
        .await;
    assert_eq!(tenants.status, 200);
}

async fn a_person_who_is_taken_away_is_gone_with_all_log_ins(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;
    let person = world.member("t1", "operator").await;

    let deleted = world.delete(&patch_of("t1", &person.id)).await;
    let again = world.delete(&patch_of("t1", &person.id)).await;

    assert_eq!(deleted.status, 204);
    assert_eq!(again.problem(), problem(404, "not_found", &[]));
    let me = world.ask(&person.access, Method::GET, "/api/v1/me").await;
    assert_eq!(me.status, 401);
    assert_eq!(world.refresh(&person.refresh).await.status, 401);
    assert_eq!(
        world.log_in("operator@t1.example", PASSWORD).await.status,
        401
    );
}

async fn a_new_password_ends_all_other_log_ins(database: Database) {
    let world = World::start(database).await;
    let here = world.registered("ana@example.com").await;
    let elsewhere = world.log_in("ana@example.com", PASSWORD).await.json();
    let change = |current: &'static str, new: &'static str| {
        let body = json!({"current": current, "new": new});
        world.tell(&here.access, Method::POST, "/api/v1/me/password", body)
    };

    let wrong = change("wrong horse", "battery staple").await;
    let short = change(PASSWORD, "short").await;
    let changed = change(PASSWORD, "battery staple").await;

    assert_eq!(wrong.problem(), problem(422, "invalid_input", &["current"]));
    assert_eq!(short.problem(), problem(422, "invalid_input", &["new"]));
    assert_eq!(changed.status, 204, "{}", changed.text);
    let other = text(&elsewhere, "access_token");
    assert_eq!(
        world.ask(&other, Method::GET, "/api/v1/me").await.status,
        401
    );
    assert_eq!(
        world
            .refresh(&text(&elsewhere, "refresh_token"))
            .await
            .status,
        401
    );
    assert_eq!(world.refresh(&here.refresh).await.status, 200);
    assert_eq!(world.log_in("ana@example.com", PASSWORD).await.status, 401);
    assert_eq!(
        world
            .log_in("ana@example.com", "battery staple")
            .await
            .status,
        200
    );
}

async fn a_tenant_goes_with_its_people_and_their_addresses_are_free(database: Database) {
    let world = World::start(database).await;
    let admin = world.registered("ana@example.com").await;
    world.tenant("t1").await;
    let person = world.member("t1", "owner").await;
    let (_, program) = world.service_token("t1", &["admin"]).await;

    let own = format!("/api/v1/tenants/{}", admin.tenant);
    let own = world.ask(&admin.access, Method::DELETE, &own).await;
    let deleted = world
        .ask(&admin.access, Method::DELETE, "/api/v1/tenants/t1")
        .await;

    assert_eq!(own.problem(), problem(409, "oneself", &[]));
    assert_eq!(deleted.status, 204);
    for token in [&person.access, &program] {
        assert_eq!(
            world.ask(token, Method::GET, "/api/v1/me").await.status,
            401
        );
    }
    world.tenant("t1").await;
    world.member("t1", "owner").await;
}
