//! `login`, `user`, `service-token` and `token inspect` against a server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use testkit::Database;

use crate::harness::{Ended, Running, Site, until};

testkit::each_database!(
    s3_5_a_service_token_is_created_from_afar,
    s3_7_a_service_token_is_renewed_only_when_too_little_is_left,
    s4_3_processes_with_one_log_in_and_tokens_of_seconds_are_never_logged_out,
);

const UP: [&str; 3] = ["up", "--bind", "127.0.0.1:0"];
const EMAIL: &str = "ana@example.com";
const PASSWORD: &str = "correct horse\n";

/// A server with one person, the machine of that person, where nothing else is known, and
/// the machine of the server.
fn server_and_desk(server: Site) -> (Running, Site, Site) {
    let up = server.start(&UP, "Ctrl-C stops it.");
    let desk = Site::new();
    let home = desk.path("home").to_string_lossy().into_owned();
    let desk = desk.env("HOME", home).env("TOKENFLEET_SERVER", up.url());
    let register = ["user", "register", "--name", "Ana", "--email", EMAIL];
    good(desk.fed(&register, PASSWORD));
    (up, desk, server)
}

/// The machine of a server on this database.
fn site_on(database: &Database) -> Site {
    Site::new().env("DATABASE_URL", database.url())
}

#[track_caller]
fn good(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    ended.out
}

#[track_caller]
fn refused(ended: &Ended, part: &str) {
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.contains(part), "{}", ended.err);
}

fn log_in(desk: &Site) {
    good(desk.fed(&["login", "--email", EMAIL], PASSWORD));
}

fn saved(desk: &Site) -> Value {
    let text = std::fs::read_to_string(login_file(desk)).expect("it is readable");
    serde_json::from_str(&text).expect("it is JSON")
}

/// The one file in which a log-in is saved.
fn login_file(desk: &Site) -> PathBuf {
    let directory = desk.path("home/.config/tokenfleet");
    let entries = std::fs::read_dir(directory).expect("it is there");
    let mut files = entries.map(|entry| entry.expect("it is readable").path());
    let file = files.find(|path| path.extension().is_some_and(|it| it == "json"));
    file.expect("somebody has logged in")
}

#[test]
fn a_log_in_is_saved_for_its_owner_alone_and_used_until_it_is_ended() {
    let (up, desk, _server) = server_and_desk(Site::new());

    refused(&desk.run(&["tenant", "list"]), "tokenfleet login");
    refused(&desk.fed(&["login", "--email", EMAIL], "wrong\n"), EMAIL);
    log_in(&desk);

    assert_eq!(desk.json(&["user", "me"])["correo"], EMAIL);
    let mode = login_file(&desk)
        .metadata()
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let stale = saved(&desk)["access_token"].as_str().map(str::to_owned);
    desk.ok(&["logout"]);
    refused(&desk.run(&["tenant", "list"]), "tokenfleet login");
    let token = desk.path("stale");
    std::fs::write(&token, stale.expect("it was saved")).expect("writable");
    let path = token.to_string_lossy();
    refused(&desk.run(&["tenant", "list", "--token-file", &path]), "401");
    up.stop();
}

#[test]
fn the_server_of_the_last_log_in_is_the_usual_one() {
    let (up, desk, _server) = server_and_desk(Site::new());
    log_in(&desk);
    desk.ok(&["tenant", "create", "acme"]);

    let desk = desk.env("TOKENFLEET_SERVER", "");

    assert!(desk.ok(&["tenant", "list"]).contains("acme"));
    desk.ok(&["logout"]);
    let (url, refusal) = (up.url(), desk.refusal(&["tenant", "list"]));
    assert!(!refusal.contains(&url), "{refusal}");
    up.stop();
}

async fn s4_3_processes_with_one_log_in_and_tokens_of_seconds_are_never_logged_out(
    database: Database,
) {
    let server = site_on(&database)
        .env("JWT_EXPIRES_IN", "1s")
        .env("REFRESH_TOKEN_GRACE", "0s");
    let (up, desk, _server) = server_and_desk(server);
    log_in(&desk);

    // A server without grace ends the log-in at the second use of a refresh token.
    let mut seen = vec![saved(&desk)["refresh_token"].clone()];
    until("it was renewed three times", || {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| desk.ok(&["user", "me"]));
            }
        });
        let latest = saved(&desk)["refresh_token"].clone();
        if !seen.contains(&latest) {
            seen.push(latest);
        }
        seen.len() > 3
    });

    up.stop();
}

#[test]
fn a_log_in_renews_itself_and_a_dead_one_says_so() {
    let (up, desk, _server) = server_and_desk(Site::new().env("JWT_EXPIRES_IN", "1s"));
    log_in(&desk);
    let first = saved(&desk);
    wait_for_the_end_of(&desk, &first);

    desk.ok(&["tenant", "list"]);

    let second = saved(&desk);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let body = json!({ "refresh_token": second["refresh_token"] });
    let file = desk.path("body");
    std::fs::write(&file, body.to_string()).expect("writable");
    good(desk.fed(&["user", "password"], "correct horse\nbattery staple\n"));
    // Another log-in changes the password, which ends this one.
    let other = Site::new()
        .env("HOME", desk.path("other").to_string_lossy())
        .env("TOKENFLEET_SERVER", up.url());
    good(other.fed(&["login", "--email", EMAIL], "battery staple\n"));
    good(other.fed(&["user", "password"], "battery staple\nthird secret\n"));
    wait_for_the_end_of(&desk, &saved(&desk));
    refused(&desk.run(&["tenant", "list"]), "log in again");
    up.stop();
}

fn wait_for_the_end_of(desk: &Site, login: &Value) {
    let token = login["access_token"].as_str().expect("it was saved");
    let seen = desk.json(&["token", "inspect", token]);
    let end = seen["claims"]["exp"].as_u64().expect("it ends");
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
    };
    until("the access token has expired", || now().as_secs() >= end);
}

#[test]
fn people_are_invited_changed_and_taken_away() {
    let (up, desk, _server) = server_and_desk(Site::new());
    log_in(&desk);
    let me = desk.json(&["user", "me"]);
    let tenant = me["tenant_id"].as_str().expect("a tenant");

    let invite = ["user", "invite", tenant, "eva@example.com", "--name", "Eva"];
    let token = desk.ok(&invite);
    let file = desk.path("invitation");
    std::fs::write(&file, &token).expect("writable");
    let path = file.to_string_lossy();
    let accept = ["user", "accept", "--token-from", &path];
    good(desk.fed(&accept, "battery staple\n"));
    let people = desk.json(&["user", "list", tenant]);
    let eva = people[1]["id"].as_str().expect("two people").to_owned();
    let change = [
        "user",
        "change",
        tenant,
        &eva,
        "--role",
        "operator",
        "--disable",
    ];
    let changed = desk.json(&change);
    let login = desk.fed(&["login", "--email", "eva@example.com"], "battery staple\n");
    desk.ok(&["user", "delete", tenant, &eva, "--yes"]);

    assert_eq!(people[1]["role"], "viewer");
    assert_eq!(desk.json(&["user", "invitations", tenant]), json!([]));
    assert_eq!(changed["role"], "operator");
    refused(&login, "disabled");
    assert_eq!(
        desk.json(&["user", "list", tenant])
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    up.stop();
}

async fn s3_5_a_service_token_is_created_from_afar(database: Database) {
    let (up, desk, _server) = server_and_desk(site_on(&database));

    let url = up.url();
    let create = [
        "service-token",
        "create",
        "--server",
        &url,
        "--email",
        EMAIL,
    ];
    let days = [&create[..], &["--days", "365", "--scope", "refresh"]].concat();
    let token = good(desk.fed(&days, PASSWORD));
    let wrong = desk.fed(&days, "wrong\n");
    let short = desk.fed(&[&create[..], &["--days", "29"]].concat(), PASSWORD);

    let file = desk.path("bot.token");
    std::fs::write(&file, &token).expect("writable");
    let path = file.to_string_lossy();
    let me = desk.json(&["user", "me", "--token-file", &path]);
    assert_eq!(me["scopes"], json!(["refresh"]));
    refused(&wrong, EMAIL);
    refused(&short, "30 to 365");
    let list = [&["service-token", "list", "--email", EMAIL, "--json"][..]].concat();
    let list: Value = serde_json::from_str(&good(desk.fed(&list, PASSWORD))).expect("JSON");
    let id = list[0]["id"].as_str().expect("one token");
    good(desk.fed(&["service-token", "revoke", id, "--email", EMAIL], PASSWORD));
    refused(&desk.run(&["user", "me", "--token-file", &path]), "401");
    up.stop();
}

#[test]
fn s3_6_a_token_is_looked_into_without_the_key() {
    let desk = Site::new();
    // RFC 7519 section 3.1.
    let example = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
        cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    let seen = desk.json(&["token", "inspect", example]);
    let piped = good(desk.fed(&["token", "inspect", "-"], example));

    assert_eq!(seen["expires_at"], "2011-03-22T18:43:00.000Z");
    assert_eq!(seen["expired"], true);
    assert_eq!(seen["claims"]["iss"], "joe");
    assert!(piped.contains("2011-03-22"), "{piped}");
    let refusal = desk.refusal(&["token", "inspect", "nonsense"]);
    assert!(refusal.contains("no JSON Web Token"), "{refusal}");
}

async fn s3_7_a_service_token_is_renewed_only_when_too_little_is_left(database: Database) {
    let (up, desk, _server) = server_and_desk(site_on(&database));
    log_in(&desk);
    let file = desk.path("bot.token");
    let path = file.to_string_lossy();
    let ensure = |min_days: &str| {
        let common = [
            "service-token",
            "ensure",
            "--token-file",
            &path,
            "--days",
            "30",
        ];
        desk.ok(&[&common[..], &["--min-days", min_days]].concat());
        std::fs::read_to_string(&file).expect("it is there")
    };

    let first = ensure("7");
    let kept = ensure("7");
    let renewed = ensure("31");
    // One that was revoked does not count, however long it would have lived.
    let id = desk.json(&["user", "me", "--token-file", &path])["id"].clone();
    desk.ok(&["service-token", "revoke", id.as_str().expect("it has one")]);
    let replaced = ensure("7");
    std::fs::write(desk.path("precious"), "not a token").expect("writable");
    let common = ["service-token", "ensure", "--token-file", "precious"];
    let foreign = desk.run(&common);

    assert_eq!(first, kept);
    assert_ne!(first, renewed);
    assert_ne!(renewed, replaced);
    refused(&foreign, "holds something else");
    let left = std::fs::read_to_string(desk.path("precious"));
    assert_eq!(left.expect("it is there"), "not a token");
    let mode = file.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let seen = desk.json(&["token", "inspect", renewed.trim()]);
    assert!(seen["days_left"] == 29 || seen["days_left"] == 30, "{seen}");
    up.stop();
}
