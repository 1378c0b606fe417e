//! Which source wins, and what each may hold.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use crate::{Start, config, told};

fn text(value: &str) -> String {
    value.to_owned()
}

#[test]
fn no_settings_at_all_are_good_settings() {
    let loaded = Start::new().loaded();

    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.settings.worker.concurrency, 3);
    assert_eq!(
        loaded.settings.worker.refresh_lease,
        Duration::from_secs(90)
    );
    assert_eq!(
        told(&loaded, "worker.refresh_lease"),
        (text("90s"), Some(text("default")))
    );
    assert_eq!(told(&loaded, "database.url"), (text("not set"), None));
}

#[test]
fn a_flag_beats_the_environment_and_that_beats_dotenv_and_that_the_file() {
    let start = Start::new().file("tokenfleet.toml", "[worker]\nconcurrency = 4\n");
    let concurrency = |start: &Start| start.settings().worker.concurrency;

    assert_eq!(concurrency(&start), 4);
    let start = start.file(".env", "TOKENFLEET_WORKER__CONCURRENCY=5\n");
    assert_eq!(concurrency(&start), 5);
    let start = start.env("TOKENFLEET_WORKER__CONCURRENCY", "6");
    assert_eq!(concurrency(&start), 6);
    let start = start.flag("worker.concurrency", "7");
    assert_eq!(concurrency(&start), 7);
    assert_eq!(
        told(&start.loaded(), "worker.concurrency"),
        (text("7"), Some(text("flag --flag")))
    );
}

#[test]
fn the_names_of_the_seeds_work() {
    let start = Start::new()
        .env("DATABASE_URL", "postgresql://u:p@db:5432/fleet")
        .env("REDIS_URL", "redis://localhost:6379")
        .env("META_APP_ID", "1234567890")
        .env("META_APP_SECRET", "meta-secret")
        .env("TIKTOK_CLIENT_KEY", "key")
        .env("TIKTOK_CLIENT_SECRET", "secret")
        .env("TIKTOK_APP_ID", "app")
        .env("TIKTOK_APP_SECRET", "secret")
        .env("FACTURIFY_TIMEOUT", "20")
        .env("FACTURIFY_TOKEN_REFRESH_BUFFER", "90")
        .env("FACTURIFY_RETRY_BACKOFF", "1.5")
        .env("JWT_SECRET", "jwt")
        .env("JWT_EXPIRES_IN", "1h")
        .env("REFRESH_TOKEN_SECRET", "other")
        .env("REFRESH_TOKEN_EXPIRES_IN", "30d")
        .env("ONETIME_TOKEN_EXPIRE_SECONDS", "15")
        .env("REDIS_DECODE_RESPONSES", "true");

    let settings = start.settings();

    let url = settings.database.url.expect("it is set");
    assert_eq!(url.expose_secret(), "postgres://u:p@db:5432/fleet");
    assert_eq!(
        settings.providers.meta.app_id.as_deref(),
        Some("1234567890")
    );
    assert_eq!(
        settings.providers.tiktok_business.app_id.as_deref(),
        Some("app")
    );
    let facturify = settings.providers.facturify;
    assert_eq!(facturify.timeout, Duration::from_secs(20));
    assert_eq!(facturify.token_refresh_buffer, Duration::from_secs(90));
    assert_eq!(settings.auth.jwt_expires_in, Duration::from_hours(1));
    assert_eq!(
        settings.auth.refresh_token_expires_in,
        Duration::from_hours(720)
    );
    assert_eq!(
        settings.auth.onetime_token_expires_in,
        Duration::from_secs(15)
    );
}

#[test]
fn small_letters_and_parts_of_addresses_work_as_in_older_dotenv_files() {
    let start = Start::new().file(
        ".env",
        "app_name=Token Service API\nsecret_key=clave\naccess_token_expire_minutes=15\n\
         onetime_token_expire_seconds=10\ndb_user=postgres\ndb_password='p@ss#1'\ndb_host=db\n\
         db_port=5432\ndb_name=token_service\nredis_host=redis\nredis_port=6380\nredis_db=2\n",
    );

    let loaded = start.loaded();

    let exposed = |url: &Option<secrecy::SecretString>| {
        url.as_ref().map(|url| url.expose_secret().to_owned())
    };
    let settings = &loaded.settings;
    assert_eq!(settings.app_name, "Token Service API");
    assert_eq!(settings.auth.jwt_expires_in, Duration::from_mins(15));
    assert_eq!(
        exposed(&settings.database.url).as_deref(),
        Some("postgres://postgres:p%40ss%231@db:5432/token_service")
    );
    assert_eq!(
        exposed(&settings.redis.url).as_deref(),
        Some("redis://redis:6380/2")
    );
    assert_eq!(
        told(&loaded, "database.url"),
        (
            text("postgres://postgres:***@db:5432/token_service"),
            Some(text(
                "put together from DB_USER, DB_PASSWORD, DB_HOST, DB_PORT, DB_NAME"
            ))
        )
    );
}

#[test]
fn an_address_beats_its_parts_with_a_warning() {
    let start = Start::new()
        .env("DATABASE_URL", "sqlite:fleet.db")
        .env("DB_HOST", "db");

    let loaded = start.loaded();

    assert_eq!(told(&loaded, "database.url").0, "sqlite:fleet.db");
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
}

#[test]
fn every_secret_can_lie_in_a_file() {
    let start = Start::new()
        .file("secret", "from-a-file\n")
        .file(
            "tokenfleet.toml",
            "[providers.tiktok]\nclient_key = 'k'\nclient_secret_file = 'secret'\n",
        )
        .env("META_APP_ID", "1")
        .env("META_APP_SECRET_FILE", "secret");

    let providers = start.settings().providers;

    for secret in [providers.meta.app_secret, providers.tiktok.client_secret] {
        assert_eq!(secret.expect("it is set").expose_secret(), "from-a-file");
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let start = Start::new().env("META_APP_ID", "").env("DATABASE_URL", "");

    assert_eq!(start.settings().providers.meta.app_id, None);
}

#[test]
fn the_file_is_found_in_the_data_directory_last() {
    let start = Start::new()
        .env("TOKENFLEET_DATA_DIR", "data")
        .file("data/tokenfleet.toml", "app_name = 'data'\n");
    assert_eq!(start.settings().app_name, "data");

    let start = start.file("tokenfleet.toml", "app_name = 'here'\n");
    assert_eq!(start.settings().app_name, "here");

    let start = start
        .file("named.toml", "app_name = 'named'\n")
        .env("TOKENFLEET_CONFIG", "named.toml");
    assert_eq!(start.settings().app_name, "named");
    assert_eq!(start.settings().data_dir, start.dir.path().join("data"));
}

#[test]
fn a_generic_provider_is_described_in_file_and_environment() {
    let start = Start::new()
        .file(
            "tokenfleet.toml",
            "[providers.oauth2.acme]\ntoken_url = 'https://acme.example/token/'\nclient_id = 'id'\n\
             scopes = ['a', 'b']\nreauth_errors = ['dead', 'bad: so, and so']\nrotation = 'never'\ndefault_expires_in = '1h'\n",
        )
        .env("TOKENFLEET_PROVIDERS__OAUTH2__ACME__CLIENT_SECRET", "hush");

    let loaded = start.loaded();

    let acme = loaded
        .settings
        .providers
        .oauth2
        .get("acme")
        .expect("it is described");
    let token_url = "https://acme.example/token/";
    assert_eq!(acme.token_url.as_deref(), Some(token_url));
    assert_eq!(acme.reauth_errors, ["dead", "bad: so, and so"]);
    assert_eq!(acme.scopes, ["a", "b"]);
    assert_eq!(acme.rotation, Some(config::Rotation::Never));
    assert_eq!(acme.auth_style, None);
    assert_eq!(acme.default_expires_in, Some(Duration::from_hours(1)));
    assert_eq!(
        told(&loaded, "providers.oauth2.acme.client_secret").0,
        "set"
    );
}

#[test]
fn every_setting_of_the_table_has_a_place_in_the_types() {
    let key = "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let mut start = Start::new();
    for setting in config::catalog::ALL {
        let value = match setting.kind {
            config::Kind::Switch => "true",
            config::Kind::Choice(words) => words[0],
            config::Kind::Whole { .. } => "10",
            config::Kind::Decimal { .. } => "2.0",
            config::Kind::Address => "127.0.0.1:80",
            config::Kind::Web | config::Kind::Endpoint | config::Kind::Origins => {
                "https://x.example"
            }
            config::Kind::Networks => "10.0.0.0/8",
            config::Kind::GraphVersion => "v25.0",
            config::Kind::LogFilter => "info",
            config::Kind::DatabaseUrl => "sqlite:x",
            config::Kind::RedisUrl => "redis://x",
            config::Kind::MasterKeys => key,
            config::Kind::Span { .. } => match setting.key {
                "worker.refresh_lease" | "worker.takeover_grace" => "10m",
                _ => "60s",
            },
            _ => "a-text-that-is-long-enough",
        };
        let value = if setting.key.starts_with("retention.") && setting.key.ends_with("max_age") {
            "1d"
        } else {
            value
        };
        start = start.flag(&setting.key.replace('*', "acme"), value);
    }

    let loaded = start.loaded();

    assert!(loaded.effective.iter().all(|line| line.source.is_some()
        || line.key.starts_with("database.")
        || line.key.starts_with("redis.")));
}
