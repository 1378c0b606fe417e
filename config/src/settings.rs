//! The settings as types: what the roles are built from.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use crate::Providers;

/// All settings. `Debug` shows no secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name that pages show.
    pub app_name: String,
    /// Directory of what `up` keeps; absolute.
    pub data_dir: PathBuf,
    /// Master keys, `id:base64` with commas, checked; `None` if unset.
    pub master_keys: Option<SecretString>,
    /// Log lines.
    pub log: Log,
    /// The database.
    pub database: Database,
    /// The Redis or Valkey server.
    pub redis: Redis,
    /// The API.
    pub api: Api,
    /// Workers.
    pub worker: Worker,
    /// When the fleet leaves a provider alone.
    pub breaker: Breaker,
    /// The queues in Redis.
    pub queue: Queue,
    /// Schedulers.
    pub scheduler: Scheduler,
    /// How much history is kept.
    pub retention: Retention,
    /// The providers' addresses and apps.
    pub providers: Providers,
    /// Tokens and registration of tokenfleet's own users.
    pub auth: Auth,
    /// Outgoing webhooks.
    pub webhooks: Webhooks,
    /// The commands that talk to a server.
    #[serde(default)]
    pub client: Client,
}

/// Log lines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// A filter as `tracing-subscriber` reads it.
    pub filter: String,
    /// The form of the lines.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// Text.
    Text,
    /// One JSON object per line.
    Json,
}

/// The database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://…`; `None` if unset.
    pub url: Option<SecretString>,
    /// Connections of one process to PostgreSQL; at least 1.
    pub max_connections: u32,
}

/// The Redis or Valkey server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://…`, `rediss://…` or `redis+unix:///…`; `None` if unset.
    pub url: Option<SecretString>,
    /// First part of every key.
    pub prefix: String,
}

/// The API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Where it listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Address under which people reach it, without a slash at its end.
    pub public_url: Option<String>,
    /// Bearer token of the platform admin; at least 16 characters.
    pub admin_token: Option<SecretString>,
    /// Bearer token for `/metrics` off loopback.
    pub metrics_token: Option<SecretString>,
    /// Origins of browsers that may call it; `*` means all.
    pub cors_origins: Vec<String>,
    /// Addresses or networks (CIDR) whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// How often the audit log gets a line about reads of one channel's token by one account.
    #[serde(deserialize_with = "millis")]
    pub audit_reads_every: Duration,
    /// How long a connect link can be opened, unless its maker says otherwise.
    #[serde(deserialize_with = "millis")]
    pub connect_link_expires_in: Duration,
    /// Limits on calls.
    pub rate_limit: RateLimit,
}

/// Limits on calls to the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Log-in and the like, per address and per account.
    pub auth_per_minute: u32,
    /// Reads of channels' tokens, per account.
    pub token_reads_per_minute: u32,
    /// Everything else, per account.
    pub per_minute: u32,
}

/// Workers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// Requests at once to a provider, per refresh queue and process; at least 1.
    pub concurrency: usize,
    /// Attempts of a job, the first included; at least 1.
    pub max_attempts: u32,
    /// Upper end of the first pause between attempts.
    #[serde(deserialize_with = "millis")]
    pub retry_base: Duration,
    /// Upper end of every pause; not less than `retry_base`.
    #[serde(deserialize_with = "millis")]
    pub retry_cap: Duration,
    /// Time for a provider's whole answer.
    #[serde(deserialize_with = "millis")]
    pub provider_timeout: Duration,
    /// How long a worker owns a channel, in the database.
    #[serde(deserialize_with = "millis")]
    pub refresh_lease: Duration,
    /// How long a rotating provider's unanswered refresh is left to its owner.
    #[serde(deserialize_with = "millis")]
    pub takeover_grace: Duration,
    /// How long running jobs may take after SIGTERM.
    #[serde(deserialize_with = "millis")]
    pub drain: Duration,
}

/// When the fleet leaves a provider alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// How long answers count.
    #[serde(deserialize_with = "millis")]
    pub window: Duration,
    /// Answers below which nothing opens; at least 1.
    pub minimum: u32,
    /// Percent of the answers that must be failures, 1–100.
    pub share: u32,
    /// Channels that must be refused as misconfigured; at least 1.
    pub misconfigured: u32,
    /// Channels that must meet the same unknown answer; at least 1.
    pub unknown: u32,
    /// Channels in a row whose grants must be refused; at least 2.
    pub denied: u32,
    /// Shortest time between two probes.
    #[serde(deserialize_with = "millis")]
    pub probe_every: Duration,
    /// How long the return to full speed takes.
    #[serde(deserialize_with = "millis")]
    pub ramp: Duration,
}

/// The queues in Redis.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// How long a silent worker keeps its jobs.
    #[serde(deserialize_with = "millis")]
    pub lease: Duration,
    /// Completed jobs that stay visible, per tenant.
    pub keep_completed: u32,
    /// Failed jobs that stay visible, per tenant.
    pub keep_failed: u32,
}

/// Schedulers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduler {
    /// Pause between two looks for what is due.
    #[serde(deserialize_with = "millis")]
    pub interval: Duration,
}

/// How much history is kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Attempts per channel.
    pub attempts_per_channel: u32,
    /// Age at which an attempt is forgotten.
    #[serde(deserialize_with = "millis")]
    pub max_age: Duration,
    /// Age at which a line of the audit log is forgotten.
    #[serde(deserialize_with = "millis")]
    pub audit_max_age: Duration,
}

/// Tokens and registration of tokenfleet's own users.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Signs access tokens.
    pub jwt_secret: Option<SecretString>,
    /// Lifetime of an access token.
    #[serde(deserialize_with = "millis")]
    pub jwt_expires_in: Duration,
    /// Signs refresh tokens.
    pub refresh_token_secret: Option<SecretString>,
    /// Lifetime of a refresh token.
    #[serde(deserialize_with = "millis")]
    pub refresh_token_expires_in: Duration,
    /// How long a spent refresh token gets one more pair; zero is strict.
    #[serde(deserialize_with = "millis")]
    pub refresh_token_grace: Duration,
    /// Lifetime of a one-time token.
    #[serde(deserialize_with = "millis")]
    pub onetime_token_expires_in: Duration,
    /// How long an invitation can be accepted.
    #[serde(deserialize_with = "millis")]
    pub invitation_expires_in: Duration,
    /// Whether people may register themselves after the first one.
    pub registration: Registration,
}

/// Whether people may register themselves after the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Only with an invitation.
    Closed,
    /// Anybody, with a tenant of his own.
    Open,
}

/// Outgoing webhooks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Whether they may go to private addresses.
    pub allow_private: bool,
    /// How long a receiver may take.
    #[serde(deserialize_with = "millis")]
    pub timeout: Duration,
    /// First pause between two tries of an event.
    #[serde(deserialize_with = "millis")]
    pub retry_base: Duration,
    /// Tries of an event, the first included.
    pub max_attempts: u32,
    /// How long an endpoint may fail until it is given up.
    #[serde(deserialize_with = "millis")]
    pub disable_after: Duration,
}

/// The commands that talk to a server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The server's address, without a slash at its end.
    pub server: Option<String>,
}

pub(crate) fn millis<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}
