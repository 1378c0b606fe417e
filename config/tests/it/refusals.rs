//! Wrong and contradictory settings: one message each, with setting, source and what is allowed.

use crate::Start;

#[test]
fn a_wrong_value_names_setting_source_and_what_is_allowed() {
    let start = Start::new().env("TOKENFLEET_WORKER__CONCURRENCY", "many");

    assert_eq!(
        start.refusal(),
        "setting worker.concurrency (environment variable TOKENFLEET_WORKER__CONCURRENCY): \
         \"many\" is no whole number; allowed: a whole number from 1 to 10000"
    );
}

#[test]
fn a_wrong_value_in_a_file_names_the_file() {
    let start = Start::new().file("tokenfleet.toml", "[worker]\ndrain = 25\n");

    assert_eq!(
        start.refusal(),
        "setting worker.drain (file DIR/tokenfleet.toml): \"25\" has no unit; allowed: a duration \
         from 0s to 1h, such as 30s, 10m, 2h or 1d"
    );
}

#[test]
fn an_unknown_variable_of_ours_is_refused_with_the_nearest_name() {
    let start = Start::new().env("TOKENFLEET_WORKER__CONCURENCY", "3");

    assert_eq!(
        start.refusal(),
        "environment variable TOKENFLEET_WORKER__CONCURENCY is no setting of tokenfleet; did you \
         mean TOKENFLEET_WORKER__CONCURRENCY?"
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_key() {
    let start = Start::new().file("tokenfleet.toml", "[worker]\nconcurency = 3\n");

    assert_eq!(
        start.refusal(),
        "key worker.concurency (file DIR/tokenfleet.toml) is no setting of tokenfleet; did you mean \
         worker.concurrency?"
    );
}

#[test]
fn a_lease_that_does_not_outlast_a_request_is_refused() {
    let start = Start::new().env("TOKENFLEET_WORKER__REFRESH_LEASE", "50s");

    let refusal = start.refusal();

    assert!(
        refusal.starts_with(
            "setting worker.refresh_lease (environment variable TOKENFLEET_WORKER__REFRESH_LEASE) \
             is 50s, but must be longer than 50s"
        ),
        "{refusal}"
    );
}

#[test]
fn each_contradiction_has_its_own_message() {
    let contradictions = [
        (
            Start::new().env("TIKTOK_CLIENT_KEY", "key"),
            "providers.tiktok.client_secret (TIKTOK_CLIENT_SECRET) is not",
        ),
        (
            Start::new().env("JWT_SECRET", "a").env("SECRET_KEY", "b"),
            "JWT_SECRET and SECRET_KEY set the same thing",
        ),
        (
            Start::new()
                .file("f", "x")
                .env("JWT_SECRET", "a")
                .env("JWT_SECRET_FILE", "f"),
            "JWT_SECRET and JWT_SECRET_FILE set the same thing",
        ),
        (
            Start::new().env("TOKENFLEET_WORKER__TAKEOVER_GRACE", "60s"),
            "must not be shorter than worker.refresh_lease",
        ),
        (
            Start::new().env("META_BASE_URL", "http://graph.example"),
            "setting providers.meta.base_url (environment variable META_BASE_URL) is http://",
        ),
        (
            Start::new().env("DB_PORT", "5432"),
            "DB_PORT set, but DB_HOST is missing",
        ),
        (
            Start::new().env("TOKENFLEET_PROVIDERS__OAUTH2__ACME__CLIENT_SECRET", "s"),
            "providers.oauth2.acme.client_id is not",
        ),
        (
            Start::new().env("TOKENFLEET_PROVIDERS__OAUTH2__ACME__AUTH_STYLE", "digest"),
            "setting providers.oauth2.acme.auth_style (environment variable \
             TOKENFLEET_PROVIDERS__OAUTH2__ACME__AUTH_STYLE): \"digest\" is none of them; allowed: \
             basic, body",
        ),
        (
            Start::new().env("TOKENFLEET_PROVIDERS__OAUTH2__ACME__TOKEN_URL", "acme"),
            "setting providers.oauth2.acme.token_url (environment variable \
             TOKENFLEET_PROVIDERS__OAUTH2__ACME__TOKEN_URL): \"acme\" is no address",
        ),
        (
            Start::new().env(
                "TOKENFLEET_PROVIDERS__OAUTH2__ACME__TOKEN_URL",
                "http://acme.example/token",
            ),
            "is http:// to another machine, where tokens would travel in the clear",
        ),
        (
            Start::new().file(
                "tokenfleet.toml",
                "[providers.oauth2.acme]\nclient_id = 'id'\ntoken_uri = 'https://acme.example'\n",
            ),
            "key providers.oauth2.acme.token_uri (file DIR/tokenfleet.toml) is no setting",
        ),
        (
            Start::new().env(
                "TOKENFLEET_PROVIDERS__OAUTH2__ACME_CORPORATION_AND_ITS_THIRTY_FRIENDS__CLIENT_ID",
                "id",
            ),
            "names a provider that is not 1 to 32 of a-z, 0-9 and _",
        ),
        (
            Start::new().env("DATABASE_URL", "mysql://u:hush@h/d"),
            "the database \"mysql\" is not supported; allowed: sqlite:PATH",
        ),
        (
            Start::new().env("TOKENFLEET_MASTER_KEYS", "a:c2hvcnQ="),
            "key a has 5 bytes, not 32",
        ),
        (
            Start::new().env("JWT_SECRET_FILE", "absent"),
            "cannot read DIR/absent (named by environment variable JWT_SECRET_FILE)",
        ),
        (
            Start::new().file(
                "tokenfleet.toml",
                "[providers.tiktok]\nclient_secret_file = 'absent'\n",
            ),
            "cannot read DIR/absent (named by providers.tiktok.client_secret_file in file DIR/",
        ),
        (
            Start::new().env("TOKENFLEET_CONFIG", "absent.toml"),
            "cannot read DIR/absent.toml (named by environment variable TOKENFLEET_CONFIG)",
        ),
        (
            Start::new().file(".env", "GOOD=1\nthis is no assignment\n"),
            "DIR/.env has a line that is not NAME=value (after GOOD)",
        ),
        (
            Start::new().file("tokenfleet.toml", "a = 1\n[worker\n"),
            "DIR/tokenfleet.toml is not valid TOML at line 2",
        ),
    ];

    for (start, expected) in contradictions {
        let refusal = start.refusal();

        assert!(refusal.contains(expected), "{refusal}\nlacks {expected}");
    }
}

#[test]
fn no_message_shows_a_secret() {
    let secrets = [
        Start::new().env("TOKENFLEET_ADMIN_TOKEN", "hush-hush"),
        Start::new().env("TOKENFLEET_MASTER_KEYS", "hush-hush"),
        Start::new().env("DATABASE_URL", "postgres://u:hush-hush@/d"),
        Start::new().env("REDIS_URL", "redis://:hush-hush@:x/"),
        Start::new().file("tokenfleet.toml", "[auth]\njwt_secret = 'hush-hush\n"),
        Start::new().file(".env", "JWT_SECRET='hush-hush\n"),
    ];

    for start in secrets {
        let error = start.load().err().map(|error| format!("{error} {error:?}"));

        assert!(
            !error.as_deref().unwrap_or_default().contains("hush-hush"),
            "{error:?}"
        );
    }
}

#[test]
fn a_short_provider_timeout_is_a_warning() {
    let start = Start::new().env("TOKENFLEET_WORKER__PROVIDER_TIMEOUT", "5s");

    let warnings = start.loaded().warnings;

    assert!(
        warnings.len() == 1 && warnings[0].contains("rotates refresh tokens"),
        "{warnings:?}"
    );
}
