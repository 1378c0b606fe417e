//! Simulated providers, a database, a Redis, and the processes that use them.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Latency, MintRequest, Minted, Running as Simulated, Simulator, SimulatorConfig};
use testkit::redis::RedisServer;
use testkit::{Database, Outage};
use tokio::task::JoinSet;

use super::Server;
use crate::harness::{ADMIN_TOKEN, MASTER_KEYS, Running, Site};

const UP: [&str; 3] = ["up", "--bind", "127.0.0.1:0"];
const UP_READY: &str = "Ctrl-C stops it.";
const API_READY: &str = "the API is up";
/// Requests at once of an import in bulk.
const AT_ONCE: usize = 8;

/// What processes of one fleet share.
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) simulator: Simulated,
    pub(crate) redis: Option<RedisServer>,
    pub(crate) database: Option<Database>,
}

/// A channel to import into the tenant `acme`.
pub(crate) struct Import {
    pub(crate) id: String,
    pub(crate) body: Value,
}

impl Import {
    /// Minted credentials under the id of their grant.
    pub(crate) fn of(minted: &Minted) -> Self {
        let credentials = minted.import_form();
        Self::new(&minted.id, minted.provider, &credentials)
    }

    /// These credentials.
    pub(crate) fn new(id: &str, provider: &str, credentials: &Value) -> Self {
        Self {
            id: id.to_owned(),
            body: json!({
                "id": id,
                "provider": provider,
                "display_name": format!("The channel {id}"),
                "credentials": credentials,
            }),
        }
    }
}

impl World {
    /// One of which `up` brings database and Redis itself, with quick providers.
    pub(crate) async fn alone() -> Self {
        Self::with(SimulatorConfig::default(), None).await
    }

    /// One on this database and a Redis of its own.
    pub(crate) async fn on(database: Database) -> Self {
        Self::with(SimulatorConfig::default(), Some(database)).await
    }

    /// The same whose providers take their time.
    pub(crate) async fn slow(millis: u64, database: Option<Database>) -> Self {
        let latency = Latency {
            fixed: Duration::from_millis(millis),
            jitter: Duration::ZERO,
        };
        let config = SimulatorConfig {
            latency,
            ..SimulatorConfig::default()
        };
        Self::with(config, database).await
    }

    pub(crate) async fn with(config: SimulatorConfig, database: Option<Database>) -> Self {
        let simulator = Simulator::start(config).await.expect("a free port");
        let mut site = Site::new()
            .env("TOKENFLEET_ADMIN_TOKEN", ADMIN_TOKEN)
            // Tests ask more often than people do.
            .env("TOKENFLEET_API__RATE_LIMIT__PER_MINUTE", "10000000")
            .env("TOKENFLEET_API__RATE_LIMIT__AUTH_PER_MINUTE", "1000000")
            .signing()
            .env("TOKENFLEET_SCHEDULER__INTERVAL", "100ms")
            .env("TOKENFLEET_WORKER__RETRY_BASE", "100ms")
            .env("META_BASE_URL", simulator.base_url("facebook"))
            .env("META_APP_ID", simulator::META_APP_ID)
            .env("META_APP_SECRET", simulator::META_APP_SECRET)
            .env("TIKTOK_BASE_URL", simulator.base_url("tiktok"))
            .env("TIKTOK_CLIENT_KEY", simulator::TIKTOK_CLIENT_KEY)
            .env("TIKTOK_CLIENT_SECRET", simulator::TIKTOK_CLIENT_SECRET)
            .env("FACTURIFY_BASE_URL", simulator.base_url("facturify"));
        let mut redis = None;
        if let Some(database) = &database {
            let started = RedisServer::start().await;
            let server = started.expect("redis-server is installed");
            site = site
                .env("DATABASE_URL", database.url())
                .env("REDIS_URL", server.url())
                .env("TOKENFLEET_MASTER_KEYS", MASTER_KEYS);
            redis = Some(server);
        }
        Self {
            site,
            simulator,
            redis,
            database,
        }
    }

    /// The same with one more variable.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.site = self.site.env(name, value);
        self
    }

    /// Everything in one process, with the tenant `acme`.
    pub(crate) async fn up(&self) -> (Running, Server) {
        let up = self.site.start(&UP, UP_READY);
        let server = Server::new(&up.url(), ADMIN_TOKEN);
        create_acme(&server).await;
        (up, server)
    }

    /// The same on a disk that is soon full.
    pub(crate) fn up_on_a_small_disk(&self, blocks: u32) -> (Running, Server) {
        let up = self.site.start_on_a_small_disk(blocks, &UP, UP_READY);
        let server = Server::new(&up.url(), ADMIN_TOKEN);
        (up, server)
    }

    /// The same again, on the data of before.
    pub(crate) fn up_again(&self) -> (Running, Server) {
        let up = self.site.start(&UP, UP_READY);
        let server = Server::new(&up.url(), ADMIN_TOKEN);
        (up, server)
    }

    /// The API alone, with the tenant `acme`.
    pub(crate) async fn api(&self) -> (Running, Server) {
        let bind = ["api", "--bind", "127.0.0.1:0", "--data-dir", "data-api"];
        let api = self.site.start(&bind, API_READY);
        let server = Server::new(&api.url(), ADMIN_TOKEN);
        create_acme(&server).await;
        (api, server)
    }

    /// A scheduler.
    pub(crate) fn scheduler(&self) -> Running {
        let arguments = ["scheduler", "--data-dir", "data-scheduler"];
        self.site.start(&arguments, "looking for due channels")
    }

    /// A worker with a data directory of this name, and more arguments.
    pub(crate) fn worker(&self, data_dir: &str, more: &[&str]) -> Running {
        let arguments = [&["worker", "--data-dir", data_dir], more].concat();
        self.site.start(&arguments, "working")
    }

    /// Takes the database away.
    pub(crate) async fn outage(&self) -> Outage {
        let database = self.database.as_ref().expect("a database of its own");
        database.outage().await
    }

    /// Mints and imports.
    pub(crate) async fn import(&self, server: &Server, order: &MintRequest) -> Vec<Minted> {
        let minted = self.simulator.mint(order).expect("a sensible order");
        import(server, minted.iter().map(Import::of).collect()).await;
        minted
    }
}

/// Imports all of them, each answered with 201.
pub(crate) async fn import(server: &Server, channels: Vec<Import>) {
    let mut rest = channels.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(channel) = rest.next()
        {
            let server = server.clone();
            running.spawn(async move {
                let path = "/api/v1/tenants/acme/channels";
                let answer = server.post_json(path, &channel.body).await;
                assert_eq!(answer.status, 201, "{}: {}", channel.id, answer.text);
            });
        }
        let Some(ended) = running.join_next().await else {
            return;
        };
        ended.expect("the channel is imported");
    }
}

/// Whether a channel has newer credentials than those it was imported with. The token of a
/// page that was derived anew has no end.
pub(crate) fn is_fresh(channel: &Value) -> bool {
    let alive = channel["state"] == "active" || channel["state"] == "never_expires";
    alive && channel["generation"].as_i64() > Some(1)
}

async fn create_acme(server: &Server) {
    let body = json!({ "id": "acme", "name": "Acme" });
    let answer = server.post_json("/api/v1/tenants", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}
