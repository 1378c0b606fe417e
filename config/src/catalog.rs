//! The table of all settings, in the order in which people read about them.

use std::time::Duration;

use crate::kind::Kind::{
    self, Address, Choice, DatabaseUrl, Decimal, Endpoint, GraphVersion, List, LogFilter,
    MasterKeys, Networks, Origins, Path, RedisUrl, Secret, Switch, Text, Web, Whole, Word,
};
use crate::setting::{Alias, Setting, minutes, named, seconds};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const SECRET: Kind = Secret { min: 1 };
const ADMIN_TOKEN: Kind = Secret { min: 16 };

/// Every setting there is.
pub const ALL: &[Setting] = &[
    s("app_name", Text, "The name that pages and the API's description show.").also(&[named("APP_NAME")]),
    s("data_dir", Path, "Directory of what `up` keeps: database, Redis data, keys, lock files. Made with mode 0700."),
    s("master_keys", MasterKeys, "Keys that wrap the keys of all envelopes. All of them open; the first one seals until the database names another. `up` makes one if there is none."),

    s("log.filter", LogFilter, "Which lines are logged.").also(&[named("TOKENFLEET_LOG")]),
    s("log.format", Choice(&["auto", "text", "json"]), "Form of the lines; `auto` is text on a terminal, else JSON.").also(&[named("TOKENFLEET_LOG_FORMAT")]),

    s("database.url", DatabaseUrl, "The database. Unset, `up` and `demo` use a SQLite file in the data directory.").also(&[named("DATABASE_URL")]),
    s("database.user", Text, "Part of the address if `database.url` is unset.").also(&[named("DB_USER")]),
    s("database.password", SECRET, "Part of the address if `database.url` is unset.").also(&[named("DB_PASSWORD")]),
    s("database.host", Text, "Part of the address if `database.url` is unset.").also(&[named("DB_HOST")]),
    s("database.port", PORT, "Part of the address if `database.url` is unset.").also(&[named("DB_PORT")]),
    s("database.name", Text, "Part of the address if `database.url` is unset.").also(&[named("DB_NAME")]),
    s("database.max_connections", whole(1, 1000), "Connections of one process to PostgreSQL."),

    s("redis.url", RedisUrl, "The Redis or Valkey server. Unset, `up` and `demo` start a private one.").also(&[named("REDIS_URL")]),
    s("redis.host", Text, "Part of the address if `redis.url` is unset.").also(&[named("REDIS_HOST")]),
    s("redis.port", PORT, "Part of the address if `redis.url` is unset.").also(&[named("REDIS_PORT")]),
    s("redis.db", whole(0, 65_535), "Part of the address if `redis.url` is unset.").also(&[named("REDIS_DB")]),
    s("redis.password", SECRET, "Part of the address if `redis.url` is unset.").also(&[named("REDIS_PASSWORD")]),
    s("redis.prefix", Word { max: 32 }, "First part of every key; fleets that share a server need different ones."),
    s("redis.decode_responses", Switch, "Accepted for the sake of older `.env` files; means nothing here.").also(&[named("REDIS_DECODE_RESPONSES")]),

    s("api.bind", Address, "Where the API listens. Port 0 takes a free one."),
    s("api.public_url", Web, "Address under which people reach the API; links are built from it."),
    s("api.connect_link_expires_in", span(MINUTE, WEEK), "How long a connect link can be opened, unless its maker says otherwise."),
    s("api.admin_token", ADMIN_TOKEN, "Bearer token of the platform admin. Unset, `up` makes one in the data directory.").also(&[named("TOKENFLEET_ADMIN_TOKEN")]),
    s("api.metrics_token", ADMIN_TOKEN, "Bearer token for `/metrics` where the API does not listen on loopback."),
    s("api.cors_origins", Origins, "Origins of browsers that may call the API; none by default."),
    s("api.trusted_proxies", Networks, "Proxies whose `X-Forwarded-For` is believed."),
    s("api.audit_reads_every", span(Duration::ZERO, DAY), "How often the audit log gets a line about reads of one channel's token by one account, with their number; `0s` tells each read."),
    s("api.rate_limit.auth_per_minute", whole(1, 1_000_000), "Calls a minute to log-in and the like, per address and per account."),
    s("api.rate_limit.token_reads_per_minute", whole(1, 10_000_000), "Reads of channels' tokens a minute, per account."),
    s("api.rate_limit.per_minute", whole(1, 10_000_000), "All other calls a minute, per account."),

    s("worker.concurrency", whole(1, 10_000), "Requests at once to a provider, per refresh queue and worker process; further jobs take their lease or store their answer meanwhile: as many (at most 256), or what the provider answers in 50 ms (at most 512)."),
    s("worker.max_attempts", whole(1, 25), "Attempts of a job, the first included."),
    s("worker.retry_base", span(MILLISECOND, HOUR), "Upper end of the first pause between attempts; it doubles with each."),
    s("worker.retry_cap", span(MILLISECOND, DAY), "Upper end of every pause between attempts."),

    s("worker.provider_timeout", span(SECOND, HOUR), "How long a provider's answer may take. Under 30 s a rotating provider may commit what we no longer hear."),
    s("worker.refresh_lease", span(SECOND, DAY), "How long a worker owns a channel (in the database); longer than connect and provider time-out together plus 10 s."),
    s("worker.takeover_grace", span(SECOND, DAY), "How long the unanswered refresh of a rotating provider is left to its owner; not shorter than the lease."),
    s("worker.drain", span(Duration::ZERO, HOUR), "How long running jobs may take after SIGTERM; requests that were sent are awaited beyond it."),

    s("breaker.window", span(SECOND, HOUR), "How long a provider's answers count for its breaker."),
    s("breaker.minimum", whole(1, 1_000_000), "Answers within the window below which no breaker opens for failures."),
    s("breaker.share", whole(1, 100), "Percent of the answers that must be failures (no answer, 5xx) for the breaker to open: then jobs wait, and spend no attempt."),
    s("breaker.misconfigured", whole(1, 64), "Channels that a provider must refuse for the app's sake (wrong id or secret) for the breaker to open."),
    s("breaker.unknown", whole(1, 64), "Channels that must meet the same unknown answer for the breaker to open."),
    s("breaker.denied", whole(2, 64), "Channels in a row whose grants a provider must refuse, although they worked before, for the breaker to open; until one works, or for an hour, none of them is believed to need a person."),
    s("breaker.probe_every", span(Duration::from_millis(10), MINUTE), "Shortest time between two looks of the whole fleet whether a provider is back; it grows tenfold while it is not."),
    s("breaker.ramp", span(MILLISECOND, HOUR), "How long the fleet takes to return to full speed; opening again within it is the same incident."),

    s("queue.lease", span(Duration::from_secs(5), HOUR), "How long a silent worker keeps its jobs (in Redis)."),
    s("queue.keep_completed", whole(0, 100_000), "Completed jobs that stay visible, per tenant."),
    s("queue.keep_failed", whole(0, 100_000), "Failed jobs that stay visible, per tenant."),

    s("scheduler.interval", span(Duration::from_millis(10), HOUR), "Pause between two looks for due channels and schedules."),

    s("retention.attempts_per_channel", whole(1, 100_000), "Attempts that a channel's history keeps."),
    s("retention.max_age", span(HOUR, CENTURY), "Age at which attempts, events and batches are forgotten."),
    s("retention.audit_max_age", span(HOUR, CENTURY), "Age at which lines of the audit log are forgotten."),

    s("providers.connect_timeout", span(SECOND, MINUTE), "How long a connection to a provider may take."),
    s("providers.allow_private", Switch, "Whether tenants may name providers at private addresses."),
    s("providers.meta.app_id", Text, "Meta app.").also(&[named("META_APP_ID")]),
    s("providers.meta.app_secret", SECRET, "Its secret.").also(&[named("META_APP_SECRET")]),
    s("providers.meta.base_url", Web, "Address of the Graph API.").also(&[named("META_BASE_URL")]),
    s("providers.meta.graph_version", GraphVersion, "Version of the Graph API.").also(&[named("META_GRAPH_VERSION")]),
    s("providers.meta.refreshes_per_second", RATE, RATE_DOC),
    s("providers.meta.authorize_url", Endpoint, "Page where people agree; unset, that of Facebook Login in the Graph API's version.").also(&[named("META_AUTHORIZE_URL")]),
    s("providers.meta.scopes", List, "Scopes that the connect flow asks for; more need Meta's app review."),
    s("providers.meta.whatsapp_config_id", Text, "Configuration of Facebook Login for Business under which WhatsApp is connected.").also(&[named("WHATSAPP_CONFIG_ID")]),
    s("providers.instagram.base_url", Web, "Address of the Instagram API.").also(&[named("INSTAGRAM_BASE_URL")]),
    s("providers.instagram.refreshes_per_second", RATE, RATE_DOC),
    s("providers.instagram.app_id", Text, "Instagram app, for the connect flow; not the Meta app.").also(&[named("INSTAGRAM_APP_ID")]),
    s("providers.instagram.app_secret", SECRET, "Its secret.").also(&[named("INSTAGRAM_APP_SECRET")]),
    s("providers.instagram.authorize_url", Endpoint, "Page where people agree.").also(&[named("INSTAGRAM_AUTHORIZE_URL")]),
    s("providers.instagram.code_url", Endpoint, "Where the code of an agreement is exchanged.").also(&[named("INSTAGRAM_CODE_URL")]),
    s("providers.instagram.scopes", List, "Scopes that the connect flow asks for."),
    s("providers.tiktok.client_key", Text, "TikTok for Developers app.").also(&[named("TIKTOK_CLIENT_KEY")]),
    s("providers.tiktok.client_secret", SECRET, "Its secret.").also(&[named("TIKTOK_CLIENT_SECRET")]),
    s("providers.tiktok.base_url", Web, "Address of TikTok's API v2.").also(&[named("TIKTOK_BASE_URL")]),
    s("providers.tiktok.refreshes_per_second", RATE, RATE_DOC),
    s("providers.tiktok.authorize_url", Endpoint, "Page where people agree.").also(&[named("TIKTOK_AUTHORIZE_URL")]),
    s("providers.tiktok.scopes", List, "Scopes that the connect flow asks for."),
    s("providers.tiktok_business.app_id", Text, "TikTok API for Business app; not the same as the client key.").also(&[named("TIKTOK_APP_ID")]),
    s("providers.tiktok_business.app_secret", SECRET, "Its secret.").also(&[named("TIKTOK_APP_SECRET")]),
    s("providers.tiktok_business.base_url", Web, "Address of TikTok's API for Business.").also(&[named("TIKTOK_BUSINESS_BASE_URL")]),
    s("providers.tiktok_business.refreshes_per_second", RATE, RATE_DOC),
    s("providers.tiktok_business.authorize_url", Endpoint, "Page where people agree.").also(&[named("TIKTOK_BUSINESS_AUTHORIZE_URL")]),
    s("providers.tiktok_business.scopes", List, "Scopes that the connect flow asks for."),
    s("providers.tiktok_legacy.base_url", Web, "Address of TikTok's API v1.").also(&[named("TIKTOK_LEGACY_BASE_URL")]),
    s("providers.tiktok_legacy.refreshes_per_second", RATE, RATE_DOC),
    s("providers.facturify.base_url", Web, "Address of Facturify; production is `https://api.facturify.com`.").also(&[named("FACTURIFY_BASE_URL")]),
    s("providers.facturify.api_key", SECRET, "Key of the platform's own account.").also(&[named("FACTURIFY_API_KEY")]),
    s("providers.facturify.api_secret", SECRET, "Its secret.").also(&[named("FACTURIFY_API_SECRET")]),
    s("providers.facturify.timeout", plain_seconds(HOUR), "How long an answer may take.").also(&[seconds("FACTURIFY_TIMEOUT")]),
    s("providers.facturify.max_retries", whole(0, 24), "Retries after the first call.").also(&[named("FACTURIFY_MAX_RETRIES")]),
    s("providers.facturify.retry_backoff", Decimal { min: 1.0, max: 10.0 }, "Factor between the pauses of retries.").also(&[named("FACTURIFY_RETRY_BACKOFF")]),
    s("providers.facturify.token_refresh_buffer", plain_seconds(DAY), "How long before its end the 12 h token is refreshed.").also(&[seconds("FACTURIFY_TOKEN_REFRESH_BUFFER")]),
    s("providers.facturify.refresh_method", Choice(&["POST", "GET"]), "Method of the refresh call that is tried first.").also(&[named("FACTURIFY_REFRESH_METHOD")]),
    s("providers.facturify.refreshes_per_second", RATE, RATE_DOC),
    s("providers.service_token.base_url", Web, "Address for service-token channels that bring none.").also(&[named("SERVICE_TOKEN_BASE_URL")]),
    s("providers.oauth2.*.token_url", Endpoint, "Token endpoint of a generic OAuth 2.0 provider. This and what follows may be left out where the catalogue knows the name."),
    s("providers.oauth2.*.authorize_url", Endpoint, "Its authorization endpoint, for the connect flow."),
    s("providers.oauth2.*.client_id", Text, "The app."),
    s("providers.oauth2.*.client_secret", SECRET, "Its secret; unset for a public client."),
    s("providers.oauth2.*.auth_style", Choice(&["basic", "body"]), "Where the app names itself: in a Basic header, which is usual, or in the body."),
    s("providers.oauth2.*.body", Choice(&["form", "json"]), "Encoding of the request; usually `form`."),
    s("providers.oauth2.*.scopes", List, "Scopes that the connect flow asks for."),
    s("providers.oauth2.*.authorize_params", List, "What else that page wants, as `name=value`, such as `access_type=offline`."),
    s("providers.oauth2.*.pkce", Switch, "Whether that page takes a `code_challenge` (RFC 7636); `true` unless the catalogue knows better."),
    s("providers.oauth2.*.account", Text, "Member of the token answer that names the account, such as `team.id`; unset, the subject of an id token."),
    s("providers.oauth2.*.rotation", Choice(&["always", "sometimes", "never"]), "Whether a refresh token is spent by its use; `sometimes`, which counts where nobody knows, is treated as `always`."),
    s("providers.oauth2.*.default_expires_in", plain_seconds(CENTURY), "Lifetime of an access token where the answer tells none."),
    s("providers.oauth2.*.refreshes_per_second", RATE, RATE_DOC),
    s("providers.oauth2.*.reauth_errors", List, "Errors that only a person can help with, beside `invalid_grant`: a code, or `code: words of the message`."),
    s("providers.oauth2.*.misconfigured_errors", List, "Errors that mean that the app or its secret is wrong."),
    s("providers.oauth2.*.retry_errors", List, "Errors that pass."),
    s("providers.oauth2.*.rate_limit_errors", List, "Errors that mean too many requests."),

    s("auth.jwt_secret", Secret { min: 1 }, "Signs access tokens; several with commas: the first signs, all verify. `up` makes one if there is none.").also(&[named("JWT_SECRET"), named("SECRET_KEY")]),
    s("auth.jwt_expires_in", span(SECOND, DAY), "Lifetime of an access token.").also(&[named("JWT_EXPIRES_IN"), minutes("ACCESS_TOKEN_EXPIRE_MINUTES")]),
    s("auth.refresh_token_secret", Secret { min: 1 }, "Signs refresh tokens; several as above. `up` makes one if there is none.").also(&[named("REFRESH_TOKEN_SECRET")]),
    s("auth.refresh_token_expires_in", span(SECOND, CENTURY), "Lifetime of a refresh token.").also(&[named("REFRESH_TOKEN_EXPIRES_IN")]),
    s("auth.refresh_token_grace", span(Duration::ZERO, HOUR), "How long a spent refresh token gets one more pair; `0s` is strict.").also(&[named("REFRESH_TOKEN_GRACE")]),
    s("auth.onetime_token_expires_in", plain_seconds(DAY), "Lifetime of a one-time token.").also(&[seconds("ONETIME_TOKEN_EXPIRE_SECONDS")]),
    s("auth.invitation_expires_in", span(MINUTE, CENTURY), "How long an invitation can be accepted."),
    s("auth.registration", Choice(&["closed", "open"]), "Whether people may register themselves after the first one.").also(&[named("REGISTRATION")]),

    s("webhooks.allow_private", Switch, "Whether webhooks may go to private addresses."),
    s("webhooks.timeout", span(SECOND, HOUR), "How long a receiver may take to answer."),
    s("webhooks.retry_base", span(MILLISECOND, HOUR), "First pause between two tries of an event; each is six times as long as the one before, up to 10 h."),
    s("webhooks.max_attempts", whole(1, 25), "Tries of an event at one endpoint, the first included; 8 take about a day."),
    s("webhooks.disable_after", span(SECOND, CENTURY), "How long every call to an endpoint may fail until it is not called any more."),

    s("client.server", Web, "Server that the commands for people talk to, such as `tenant` and `channel`; else that of the last log-in, else the API's own address.").also(&[named("TOKENFLEET_SERVER")]),
];

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_mins(1);
const WEEK: Duration = Duration::from_hours(24 * 7);
const CENTURY: Duration = Duration::from_hours(24 * 36_500);
const RATE: Kind = Decimal {
    min: 0.0,
    max: 1_000_000.0,
};
const RATE_DOC: &str = "Requests a second that the whole fleet sends for refreshes of this app; 0 for no limit of our own. Below it the fleet adapts to what the provider throttles.";
const PORT: Kind = whole(1, 65_535);

const fn s(key: &'static str, kind: Kind, doc: &'static str) -> Setting {
    Setting::new(key, kind, doc)
}

const fn whole(min: i64, max: i64) -> Kind {
    Whole { min, max }
}

const fn span(min: Duration, max: Duration) -> Kind {
    Kind::Span {
        min,
        max,
        plain_seconds: false,
    }
}

const fn plain_seconds(max: Duration) -> Kind {
    Kind::Span {
        min: SECOND,
        max,
        plain_seconds: true,
    }
}

/// The setting that this concrete key is, and what stands for its `*`.
#[must_use]
pub fn find(key: &str) -> Option<&'static Setting> {
    ALL.iter().find(|setting| setting.matches(key))
}

/// Every name in the environment with the setting that it sets; names with `*` are left out.
pub(crate) fn names() -> impl Iterator<Item = (Alias, String, &'static Setting)> {
    ALL.iter()
        .filter(|setting| !setting.key.contains('*'))
        .flat_map(|setting| {
            let canonical = std::iter::once((named(""), setting.canonical_name(), setting));
            let aliases = setting
                .aliases
                .iter()
                .map(move |alias| (*alias, alias.name.to_owned(), setting));
            aliases.chain(canonical)
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_settings_share_a_key_or_a_name() {
        let mut keys = BTreeSet::new();
        let mut all_names = BTreeSet::new();

        for setting in ALL {
            assert!(keys.insert(setting.key), "{}", setting.key);
        }
        for (_, name, setting) in names() {
            assert!(all_names.insert(name.clone()), "{name}");
            if setting.kind.is_secret() {
                assert!(all_names.insert(format!("{name}_FILE")), "{name}_FILE");
            }
        }
    }

    #[test]
    fn every_line_about_a_setting_is_a_sentence() {
        for setting in ALL {
            assert!(
                setting.doc.ends_with('.'),
                "{}: {}",
                setting.key,
                setting.doc
            );
        }
    }
}
