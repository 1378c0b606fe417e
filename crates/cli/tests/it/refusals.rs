//! What cannot work is refused with one message that says what to do.

use std::net::TcpListener;

use sea_orm::{ConnectionTrait as _, Database};
use testkit::redis::RedisServer;

use crate::harness::{ADMIN_TOKEN, MASTER_KEYS, Site, path_of};

const UP: [&str; 3] = ["up", "--bind", "127.0.0.1:0"];

/// A site on which each single role could start, but for what a test changes.
fn site_of_roles() -> Site {
    Site::new()
        .env("DATABASE_URL", "sqlite:fleet.db")
        .env("REDIS_URL", "redis://127.0.0.1:1")
        .env("TOKENFLEET_MASTER_KEYS", MASTER_KEYS)
        .env("TOKENFLEET_ADMIN_TOKEN", ADMIN_TOKEN)
        .signing()
}

#[track_caller]
fn assert_refused(site: &Site, arguments: &[&str], parts: &[&str]) {
    let message = site.refusal(arguments);
    for part in parts {
        assert!(message.contains(part), "{message}\nlacks {part}");
    }
}

#[test]
fn a_second_up_in_one_data_directory() {
    let site = Site::new();
    let up = site.start(&UP, "Ctrl-C stops it.");

    let process = format!("another tokenfleet (process {})", up.pid());
    assert_refused(&site, &UP, &[&process, "TOKENFLEET_DATA_DIR"]);

    up.stop();
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let bind = taken.local_addr().expect("it is bound").to_string();
    let site = Site::new();

    let parts = ["cannot listen at", &bind, "TOKENFLEET_API__BIND"];
    assert_refused(&site, &["up", "--bind", &bind], &parts);

    assert!(
        !site.path("tokenfleet-data/redis").exists(),
        "nothing was started"
    );
}

#[test]
fn a_data_directory_that_cannot_be_made() {
    let site = Site::new().env("TOKENFLEET_DATA_DIR", "/proc/nowhere");

    assert_refused(&site, &UP, &["/proc/nowhere", "TOKENFLEET_DATA_DIR"]);
}

#[test]
fn no_redis_server_installed() {
    let site = Site::new();
    let path = path_of(&site, &[]);
    let site = site.env("PATH", path);

    let parts = [
        "redis-server is not installed",
        "apt-get install",
        "REDIS_URL",
    ];
    assert_refused(&site, &UP, &parts);
}

#[test]
fn a_bad_master_key() {
    let site = Site::new().env("TOKENFLEET_MASTER_KEYS", "k1:c2hvcnQ=");

    let parts = ["TOKENFLEET_MASTER_KEYS", "5 bytes", "openssl rand"];
    assert_refused(&site, &UP, &parts);
    assert!(
        !site.path("tokenfleet-data").exists(),
        "nothing was changed"
    );
}

#[test]
fn a_master_key_other_than_the_one_that_sealed() {
    let site = Site::new();
    site.start(&UP, "Ctrl-C stops it.").stop();
    let other = MASTER_KEYS.replacen("k1", "k2", 1);
    let site = site.env("TOKENFLEET_MASTER_KEYS", other);

    assert_refused(&site, &UP, &["'k1'", "holds only k2"]);
}

#[test]
fn another_master_key_under_a_known_id() {
    let site = Site::new();
    site.start(&UP, "Ctrl-C stops it.").stop();
    let namesake = "k1:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
    let site = site.env("TOKENFLEET_MASTER_KEYS", namesake);

    assert_refused(
        &site,
        &UP,
        &["TOKENFLEET_MASTER_KEYS", "another key under the id 'k1'"],
    );
}

#[test]
fn a_lease_shorter_than_the_provider_timeout_allows() {
    let site = Site::new().env("TOKENFLEET_WORKER__REFRESH_LEASE", "45s");

    let parts = [
        "worker.refresh_lease",
        "TOKENFLEET_WORKER__REFRESH_LEASE",
        "longer than 50s",
    ];
    assert_refused(&site, &UP, &parts);
}

#[test]
fn a_database_that_is_not_migrated() {
    let site = site_of_roles();

    for role in ["worker", "scheduler", "api"] {
        let parts = ["run `tokenfleet migrate up` first"];
        assert_refused(&site, &[role, "--set", "api.bind=127.0.0.1:0"], &parts);
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version() {
    let site = site_of_roles();
    site.ok(&["migrate", "up"]);
    let url = format!("sqlite:{}", site.path("fleet.db").display());
    let database = Database::connect(url).await.expect("the file is there");
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)";
    database
        .execute_unprepared(newer)
        .await
        .expect("the table is there");

    for command in [
        &["up", "--bind", "127.0.0.1:0"][..],
        &["worker"],
        &["migrate", "up"],
    ] {
        assert_refused(&site, command, &["m9999_future", "a newer one"]);
    }
    assert_eq!(site.run(&["migrate", "status"]).code, Some(1));
}

#[tokio::test]
async fn a_redis_that_evicts() {
    let redis = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"])
        .await
        .expect("redis-server is installed");
    let site = site_of_roles().env("REDIS_URL", redis.url());
    site.ok(&["migrate", "up"]);

    for command in [&UP[..], &["worker"], &["scheduler"]] {
        assert_refused(&site, command, &["allkeys-lru", "noeviction", "REDIS_URL"]);
    }
    let found = site.run(&["doctor", "--json"]);
    assert_eq!(found.code, Some(1));
    assert!(found.out.contains("allkeys-lru"), "{}", found.out);
}

#[test]
fn a_single_role_without_what_it_needs() {
    let needs = [
        ("worker", "DATABASE_URL"),
        ("worker", "REDIS_URL"),
        ("worker", "TOKENFLEET_MASTER_KEYS"),
        ("scheduler", "DATABASE_URL"),
        ("scheduler", "REDIS_URL"),
        ("api", "DATABASE_URL"),
        ("api", "REDIS_URL"),
        ("api", "TOKENFLEET_MASTER_KEYS"),
        ("api", "TOKENFLEET_ADMIN_TOKEN"),
        ("api", "JWT_SECRET"),
        ("api", "REFRESH_TOKEN_SECRET"),
    ];

    for (role, missing) in needs {
        let site = site_of_roles().env(missing, "");

        assert_refused(&site, &[role], &[&format!("{role} needs"), missing]);
    }
}

#[test]
fn an_unreachable_server_is_told_without_its_password() {
    let site = site_of_roles().env("DATABASE_URL", "postgres://u:hush@127.0.0.1:1/d");

    let message = site.refusal(&["worker"]);

    assert!(
        message.contains("postgres://u:***@127.0.0.1:1/d"),
        "{message}"
    );
    assert!(!message.contains("hush"), "{message}");
    let told = message.matches("Connection refused").count();
    assert_eq!(told, 1, "the cause, once: {message}");
}

#[tokio::test]
async fn a_queue_that_does_not_exist() {
    let redis = RedisServer::start()
        .await
        .expect("redis-server is installed");
    let site = site_of_roles().env("REDIS_URL", redis.url());
    site.ok(&["migrate", "up"]);

    let parts = ["refresh:myspace", "refresh:tiktok"];
    assert_refused(&site, &["worker", "--queue", "refresh:myspace"], &parts);
}

#[test]
fn wrong_usage_is_two() {
    let site = Site::new();

    for wrong in [
        &["tenant"][..],
        &["frobnicate"],
        &["up", "--no-such-flag"],
        &["demo", "--channels", "0"],
        &["tenant", "delete", "acme"],
        &["migrate", "down"],
        &["job", "cancel"],
        &["job", "cancel", "--all-tenants"],
        &[
            "job",
            "cancel",
            "--tenant",
            "acme",
            "--all-tenants",
            "--yes",
        ],
        &["schedule", "set", "acme", "--every", "often"],
        &["up", "--set", "nonsense"],
        &["up", "--concurrency", "many"],
        &["up", "--set", "worker.nonsense=1"],
    ] {
        assert_eq!(site.run(wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn no_server_and_no_token() {
    let site = Site::new();

    let parts = ["no bearer token", "--token-file", "TOKENFLEET_ADMIN_TOKEN"];
    assert_refused(&site, &["tenant", "list"], &parts);
    let site = site.env("TOKENFLEET_ADMIN_TOKEN", ADMIN_TOKEN);
    let server = ["tenant", "list", "--server", "http://127.0.0.1:1"];
    assert_refused(&site, &server, &["no server answers at http://127.0.0.1:1"]);
}

#[test]
fn a_generic_provider_that_nobody_describes() {
    let id = "TOKENFLEET_PROVIDERS__OAUTH2__ACME__CLIENT_ID";
    let url = "TOKENFLEET_PROVIDERS__OAUTH2__ACME__TOKEN_URL";
    let acme = || Site::new().env(id, "app-1");
    let check = ["config", "check"];

    for arguments in [&UP[..], &check[..]] {
        let told = [
            "setting providers.oauth2.acme.client_id = app-1",
            id,
            "providers.oauth2.acme.token_url is not set, and the catalogue has no acme",
            "allowed: an https:// address",
        ];
        assert_refused(&acme(), arguments, &told);
        let in_the_clear = ["providers.oauth2.acme.token_url", url, "in the clear"];
        let wrong = acme().env(url, "http://acme.example/token");
        assert_refused(&wrong, arguments, &in_the_clear);
        let style = "TOKENFLEET_PROVIDERS__OAUTH2__ACME__AUTH_STYLE";
        let unknown_style = acme().env(style, "digest");
        assert_refused(&unknown_style, arguments, &[style, "allowed: basic, body"]);
    }
}
