//! S1.1, S1.2, S1.5, S3.1, S3.2, S4.1, S4.2: registering, logging in, staying in, logging out.

use std::time::Duration;

use identity::{Lifetimes, SigningKeys, Tokens, bootstrap_token};
use insta::{allow_duplicates, assert_json_snapshot};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use testkit::{Database, TestClock};

use crate::people::{PASSWORD, text};
use crate::world::{Setup, World, problem, send};

testkit::each_database!(
    s1_1_the_first_person_is_platform_admin_and_owner_of_a_tenant,
    s1_1_of_many_who_register_first_one_is_platform_admin,
    s1_1_later_people_register_by_setting_or_not_at_all,
    s1_1_an_address_registers_once_whatever_its_case,
    s1_1_wrong_fields_are_named,
    s1_1_off_loopback_the_first_registration_needs_the_bootstrap_token,
    s1_2_a_log_in_brings_a_pair_of_tokens,
    s1_2_who_does_not_exist_and_who_errs_look_alike,
    s1_5_passwords_are_stored_as_argon2id,
    s3_1_the_form_of_the_seed_logs_in,
    s3_2_a_refresh_token_is_rotated_from_query_body_and_form,
    s3_2_a_replay_ends_the_family,
    s3_2_within_the_grace_a_token_gets_one_sibling_pair,
    s3_2_of_simultaneous_uses_with_no_grace_none_survives,
    s3_2_of_simultaneous_uses_within_the_grace_two_pairs_come,
    s4_1_an_access_token_ends_and_a_refresh_token_slides,
    s4_1_keys_are_rotated_without_a_log_out,
    s4_2_logging_out_ends_the_family_by_either_token,
    no_token_passes_in_the_place_of_another,
);

fn no_grace() -> Setup {
    let mut setup = Setup::default();
    setup.accounts.refresh_grace = Duration::ZERO;
    setup
}

fn open() -> Setup {
    let mut setup = Setup::default();
    setup.accounts.open_registration = true;
    setup
}

async fn s1_1_the_first_person_is_platform_admin_and_owner_of_a_tenant(database: Database) {
    let world = World::start(database).await;

    let body = json!({"nombre": "Ana", "correo": "Ana@Example.com", "password": PASSWORD});
    let answer = world.post_open("/auth/register", body).await;

    assert_eq!(answer.status, 201, "{}", answer.text);
    allow_duplicates! {
        assert_json_snapshot!(
            answer.json(),
            {".id" => "[uid]", ".tenant_id" => "[tenant]"},
            @r#"
        {
          "correo": "ana@example.com",
          "id": "[uid]",
          "nombre": "Ana",
          "platform_admin": true,
          "role": "owner",
          "tenant_id": "[tenant]"
        }
        "#
        );
    }
    let pair = world.log_in("ana@example.com", PASSWORD).await.json();
    let access = text(&pair, "access_token");
    let me = world.ask(&access, Method::GET, "/api/v1/me").await;
    let tenants = world.ask(&access, Method::GET, "/api/v1/tenants").await;
    assert_eq!(me.json(), answer.json());
    assert_eq!(tenants.json()["items"][0]["id"], answer.json()["tenant_id"]);
}

async fn s1_1_of_many_who_register_first_one_is_platform_admin(database: Database) {
    let world = World::with(database, open()).await;
    let register = |index: usize| {
        let email = format!("p{index}@example.com");
        let body = json!({"name": "P", "email": email, "password": PASSWORD});
        let request = world.anonymous(Method::POST, "/api/auth/register");
        send(request.json(&body))
    };

    let answers = futures::future::join_all((0..8).map(register)).await;

    let admins = answers
        .iter()
        .filter(|answer| answer.json()["platform_admin"] == true)
        .count();
    assert!(answers.iter().all(|answer| answer.status == 201));
    assert_eq!(admins, 1);
}

async fn s1_1_later_people_register_by_setting_or_not_at_all(database: Database) {
    let world = World::start(database).await;
    world.registered("ana@example.com").await;

    let body = json!({"nombre": "Eva", "correo": "eva@example.com", "password": PASSWORD});
    let refused = world.post_open("/auth/register", body).await;

    assert_eq!(refused.problem(), problem(403, "registration_closed", &[]));
    assert_eq!(world.log_in("eva@example.com", PASSWORD).await.status, 401);
    let tenants = world.get("/api/v1/tenants").await.json();
    assert_eq!(tenants["items"].as_array().unwrap().len(), 1);
}

async fn s1_1_an_address_registers_once_whatever_its_case(database: Database) {
    let world = World::with(database, open()).await;
    world.registered("ana@example.com").await;

    let body = json!({"nombre": "Eva", "correo": "ANA@example.com", "password": "another one"});
    let again = world.post_open("/auth/register", body).await;

    assert_eq!(again.problem(), problem(409, "already_exists", &["correo"]));
    assert_eq!(world.log_in("ana@EXAMPLE.com", PASSWORD).await.status, 200);
}

async fn s1_1_wrong_fields_are_named(database: Database) {
    let world = World::start(database).await;
    let good = json!({"nombre": "Ana", "correo": "ana@example.com", "password": PASSWORD});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };

    for (body, fields) in [
        (with("nombre", json!("")), vec!["nombre"]),
        (with("nombre", json!("a\r\nb")), vec!["nombre"]),
        (with("correo", json!("ana")), vec!["correo"]),
        (with("correo", json!("a@b\r\nBcc: c")), vec!["correo"]),
        (with("password", json!("short")), vec!["password"]),
        (with("password", json!("x".repeat(257))), vec!["password"]),
        (with("role", json!("owner")), vec!["role"]),
        (with("email", json!("eva@example.com")), vec!["correo"]),
    ] {
        let answer = world.post_open("/auth/register", body.clone()).await;

        assert_eq!(
            answer.problem(),
            problem(422, "invalid_input", &fields),
            "{body}"
        );
    }
    assert_eq!(
        world.get("/api/v1/tenants").await.json()["items"],
        json!([])
    );
}

async fn s1_1_off_loopback_the_first_registration_needs_the_bootstrap_token(database: Database) {
    let mut setup = open();
    let token = bootstrap_token(setup.accounts.tokens.access_keys());
    setup.accounts.bootstrap_token = Some(token.clone());
    let world = World::with(database, setup).await;
    let with = |token: Option<&str>| {
        let mut body = json!({"nombre": "Ana", "correo": "a@example.com", "password": PASSWORD});
        if let Some(token) = token {
            body["bootstrap_token"] = token.into();
        }
        world.post_open("/auth/register", body)
    };

    let without = with(None).await;
    let wrong = with(Some("tfb_guess")).await;
    let right = with(Some(token.expose_secret())).await;
    let later = json!({"nombre": "Eva", "correo": "e@example.com", "password": PASSWORD});
    let later = world.post_open("/auth/register", later).await;

    let refused = problem(403, "bootstrap_token_needed", &[]);
    assert_eq!(without.problem(), refused);
    assert_eq!(wrong.problem(), refused);
    assert_eq!(right.json()["platform_admin"], true);
    assert_eq!(later.json()["platform_admin"], false);
}

async fn s1_2_a_log_in_brings_a_pair_of_tokens(database: Database) {
    let world = World::start(database).await;
    world.registered("ana@example.com").await;

    let answer = world.log_in("ana@example.com", PASSWORD).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "no-store");
    allow_duplicates! {
        assert_json_snapshot!(
            answer.json(),
            {".access_token" => "[jwt]", ".refresh_token" => "[jwt]"},
            @r#"
        {
          "access_token": "[jwt]",
          "expires_in": 900,
          "refresh_token": "[jwt]",
          "token_type": "bearer"
        }
        "#
        );
    }
}

async fn s1_2_who_does_not_exist_and_who_errs_look_alike(database: Database) {
    let world = World::start(database).await;
    world.registered("ana@example.com").await;

    let nobody = world.log_in("eva@example.com", PASSWORD).await;
    let wrong = world.log_in("ana@example.com", "wrong horse").await;

    assert_eq!(nobody.problem(), problem(401, "invalid_credentials", &[]));
    assert_eq!(nobody.text, wrong.text);
}

async fn s1_5_passwords_are_stored_as_argon2id(database: Database) {
    let world = World::start(database).await;
    world.registered("ana@example.com").await;

    let login = world
        .store
        .login_of("ana@example.com")
        .await
        .unwrap()
        .unwrap();

    assert!(login.password_hash.starts_with("$argon2id$v=19$"));
    assert!(!format!("{login:?}").contains("argon2id"));
}

async fn s3_1_the_form_of_the_seed_logs_in(database: Database) {
    let world = World::start(database).await;
    world.registered("admin@example.com").await;
    let log_in = |form: Vec<(&'static str, &'static str)>| {
        let request = world.anonymous(Method::POST, "/api/auth/login");
        send(request.form(&form))
    };

    let seed = log_in(vec![
        ("username", "admin@example.com"),
        ("password", PASSWORD),
    ])
    .await;
    let grant = log_in(vec![
        ("grant_type", "password"),
        ("username", "admin@example.com"),
        ("password", PASSWORD),
        ("scope", ""),
    ]);
    let grant = grant.await;
    let wrong = log_in(vec![
        ("username", "admin@example.com"),
        ("password", "wrong"),
    ])
    .await;
    let other = log_in(vec![("user", "admin@example.com"), ("password", PASSWORD)]).await;

    assert_eq!(seed.json()["expires_in"], 900);
    assert!(seed.json()["refresh_token"].is_string());
    assert_eq!(grant.status, 200, "{}", grant.text);
    assert_eq!(wrong.problem(), problem(401, "invalid_credentials", &[]));
    assert_eq!(other.problem(), problem(422, "invalid_input", &["user"]));
}

async fn s3_2_a_refresh_token_is_rotated_from_query_body_and_form(database: Database) {
    let world = World::with(database, no_grace()).await;
    let person = world.registered("ana@example.com").await;

    let path = format!("/api/auth/refresh?refresh_token={}", person.refresh);
    let by_query = send(world.anonymous(Method::POST, &path)).await.json();
    let by_body = world
        .refresh(&text(&by_query, "refresh_token"))
        .await
        .json();
    let form = [("refresh_token", text(&by_body, "refresh_token"))];
    let by_form = send(world.anonymous(Method::POST, "/auth/refresh").form(&form)).await;
    let missing = send(world.anonymous(Method::POST, "/auth/refresh")).await;

    assert_eq!(by_form.status, 200, "{}", by_form.text);
    let access = text(&by_form.json(), "access_token");
    let me = world.ask(&access, Method::GET, "/api/v1/me").await;
    assert_eq!(me.status, 200);
    assert_eq!(
        missing.problem(),
        problem(422, "invalid_input", &["refresh_token"])
    );
}

async fn s3_2_a_replay_ends_the_family(database: Database) {
    let world = World::with(database, no_grace()).await;
    let person = world.registered("ana@example.com").await;
    let elsewhere = world.log_in("ana@example.com", PASSWORD).await.json();
    let second = world.refresh(&person.refresh).await.json();

    let replay = world.refresh(&person.refresh).await;

    assert_eq!(replay.problem(), problem(401, "log_in_again", &[]));
    let heir = world.refresh(&text(&second, "refresh_token")).await;
    assert_eq!(heir.problem(), problem(401, "log_in_again", &[]));
    let access = text(&second, "access_token");
    assert_eq!(
        world.ask(&access, Method::GET, "/api/v1/me").await.status,
        401
    );
    let other = world.refresh(&text(&elsewhere, "refresh_token")).await;
    assert_eq!(other.status, 200);
    let log = world.get("/api/v1/audit?action=auth.replay").await.json();
    assert_eq!(log["items"].as_array().unwrap().len(), 1);
}

async fn s3_2_within_the_grace_a_token_gets_one_sibling_pair(database: Database) {
    let clock = TestClock::start();
    let setup = Setup {
        clock: Some(clock.clone()),
        ..Setup::default()
    };
    let world = World::with(database, setup).await;
    let person = world.registered("ana@example.com").await;

    let first = world.refresh(&person.refresh).await;
    clock.advance(Duration::from_secs(9));
    let sibling = world.refresh(&person.refresh).await;
    let third = world.refresh(&person.refresh).await;

    assert_eq!((first.status, sibling.status), (200, 200));
    assert_eq!(third.problem(), problem(401, "log_in_again", &[]));
    for pair in [&first, &sibling] {
        let next = world.refresh(&text(&pair.json(), "refresh_token")).await;
        assert_eq!(next.status, 200, "a third use ends nothing: {}", next.text);
    }
    // The grace counts from the first use; the sibling has not prolonged it.
    clock.advance(Duration::from_secs(1));
    let late = world.refresh(&person.refresh).await;
    assert_eq!(late.problem(), problem(401, "log_in_again", &[]));
    let access = text(&first.json(), "access_token");
    let ended = world.ask(&access, Method::GET, "/api/v1/me").await;
    assert_eq!(ended.status, 401);
}

async fn s3_2_of_simultaneous_uses_with_no_grace_none_survives(database: Database) {
    let world = World::with(database, no_grace()).await;
    let person = world.registered("ana@example.com").await;

    let uses = (0..16).map(|_| world.refresh(&person.refresh));
    let answers = futures::future::join_all(uses).await;

    let pairs: Vec<_> = answers.iter().filter(|it| it.status == 200).collect();
    assert_eq!(pairs.len(), 1, "no second pair");
    let heir = world
        .refresh(&text(&pairs[0].json(), "refresh_token"))
        .await;
    assert_eq!(heir.problem(), problem(401, "log_in_again", &[]));
}

async fn s3_2_of_simultaneous_uses_within_the_grace_two_pairs_come(database: Database) {
    let world = World::start(database).await;
    let person = world.registered("ana@example.com").await;

    let uses = (0..16).map(|_| world.refresh(&person.refresh));
    let answers = futures::future::join_all(uses).await;

    let pairs: Vec<_> = answers.iter().filter(|it| it.status == 200).collect();
    assert_eq!(pairs.len(), 2, "one pair and its one sibling");
    for pair in pairs {
        let next = world.refresh(&text(&pair.json(), "refresh_token")).await;
        assert_eq!(next.status, 200, "{}", next.text);
    }
}

async fn s4_1_an_access_token_ends_and_a_refresh_token_slides(database: Database) {
    let clock = TestClock::start();
    let mut setup = Setup {
        clock: Some(clock.clone()),
        ..Setup::default()
    };
    setup.accounts.tokens.lifetimes.access = Duration::from_secs(10);
    let world = World::with(database, setup).await;
    let person = world.registered("ana@example.com").await;
    let me = async |access: String| world.ask(&access, Method::GET, "/api/v1/me").await.status;

    clock.advance(Duration::from_secs(9));
    assert_eq!(me(person.access.clone()).await, 200);
    clock.advance(Duration::from_secs(1));
    assert_eq!(me(person.access.clone()).await, 401);

    let mut refresh = person.refresh;
    for _ in 0..3 {
        clock.advance(Duration::from_hours(6 * 24));
        let pair = world.refresh(&refresh).await;
        assert_eq!(pair.status, 200, "{}", pair.text);
        assert_eq!(pair.json()["expires_in"], 10);
        assert_eq!(me(text(&pair.json(), "access_token")).await, 200);
        refresh = text(&pair.json(), "refresh_token");
    }
    clock.advance(Duration::from_hours(7 * 24));
    let idle = world.refresh(&refresh).await;
    assert_eq!(idle.problem(), problem(401, "log_in_again", &[]));
}

async fn s4_1_keys_are_rotated_without_a_log_out(database: Database) {
    let keyed = |secrets: [&str; 2]| {
        let [access, refresh] = secrets.map(|text| SigningKeys::parse(&text.into()).unwrap());
        let mut setup = Setup::default();
        setup.accounts.tokens = Tokens::new(access, refresh, Lifetimes::default());
        setup
    };
    let mut world = World::with(database, keyed(["old a", "old r"])).await;
    let person = world.registered("ana@example.com").await;
    let (_, program) = world
        .service_token(&person.tenant, &["channels:read"])
        .await;

    world.restart(keyed(["new a,old a", "new r,old r"])).await;
    let pair = world.refresh(&person.refresh).await.json();
    let (access, refresh) = (text(&pair, "access_token"), text(&pair, "refresh_token"));
    for token in [&person.access, &access, &program] {
        assert_eq!(
            world.ask(token, Method::GET, "/api/v1/me").await.status,
            200
        );
    }

    world.restart(keyed(["new a", "new r"])).await;
    assert_eq!(
        world.ask(&access, Method::GET, "/api/v1/me").await.status,
        200
    );
    assert_eq!(world.refresh(&refresh).await.status, 200);
    let old = world.ask(&person.access, Method::GET, "/api/v1/me").await;
    assert_eq!(old.status, 401);
    // The database has its digest, so it outlives the key that signed it.
    assert_eq!(
        world.ask(&program, Method::GET, "/api/v1/me").await.status,
        200
    );
}

async fn s4_2_logging_out_ends_the_family_by_either_token(database: Database) {
    let world = World::start(database).await;
    let first = world.registered("ana@example.com").await;
    let second = world.log_in("ana@example.com", PASSWORD).await.json();
    let (access, refresh) = (
        text(&second, "access_token"),
        text(&second, "refresh_token"),
    );

    let by_access = world
        .ask(&first.access, Method::POST, "/api/auth/logout")
        .await;
    let by_refresh = world
        .post_open("/auth/logout", json!({"refresh_token": refresh}))
        .await;
    let again = world
        .post_open("/auth/logout", json!({"refresh_token": refresh}))
        .await;
    let nobody = send(world.anonymous(Method::POST, "/auth/logout")).await;

    assert_eq!((by_access.status, by_access.text.as_str()), (204, ""));
    assert_eq!((by_refresh.status, again.status), (204, 204));
    assert_eq!(nobody.problem(), problem(401, "unauthorized", &[]));
    for token in [&first.access, &access] {
        assert_eq!(
            world.ask(token, Method::GET, "/api/v1/me").await.status,
            401
        );
    }
    for token in [&first.refresh, &refresh] {
        let answer = world.refresh(token).await;
        assert_eq!(answer.problem(), problem(401, "log_in_again", &[]));
    }
}

async fn no_token_passes_in_the_place_of_another(database: Database) {
    let world = World::start(database).await;
    let person = world.registered("ana@example.com").await;
    let (_, program) = world
        .service_token(&person.tenant, &["channels:read"])
        .await;
    let made = world
        .ask(&program, Method::POST, "/auth/service-token/refresh")
        .await;
    let made = text(&made.json(), "access_token");

    let bearer = world.ask(&person.refresh, Method::GET, "/api/v1/me").await;
    assert_eq!(bearer.status, 401);
    for token in [&person.access, &program, &made] {
        assert_eq!(world.refresh(token).await.status, 401);
    }
    for token in [&person.access, &person.refresh, &made] {
        let answer = world
            .ask(token, Method::POST, "/auth/service-token/refresh")
            .await;
        assert_eq!(answer.status, 401, "{}", answer.text);
    }
}
