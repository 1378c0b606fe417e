//! The fleet under test: simulated providers, a database, a Redis, and a process at each place.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use simulator::{Latency, Running as Simulated, Simulator, SimulatorConfig};
use tempfile::TempDir;
use testkit::redis::{RedisServer, free_port};
use vault::KeyRing;

use crate::ground::{Base, Dispatcher};
use crate::link::Link;
use crate::place::{Command, Links, Place};
use crate::plan::{Database, Seat, Shape};

/// How long a provider's answer may take.
pub(crate) const PROVIDER_TIMEOUT: Duration = Duration::from_secs(3);
/// The shortest that the settings allow: connecting (1 s), answering (3 s) and 10 s, and a little.
pub(crate) const LEASE: Duration = Duration::from_secs(16);
/// Bearer token of the platform admin.
pub(crate) const ADMIN_TOKEN: &str = "an-admin-token-for-chaos";

/// How long providers think: long enough that something is always under way.
const LATENCY: Latency = Latency {
    fixed: Duration::from_millis(50),
    jitter: Duration::from_millis(600),
};
/// How long the slow ones take: longer than anybody waits.
const SLOW: Duration = Duration::from_secs(5);

/// All of it; it ends when this is dropped.
pub(crate) struct Fleet {
    pub(crate) places: Vec<Place>,
    pub(crate) simulator: Simulated,
    pub(crate) base: Base,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) keys: SecretString,
    /// Of each worker and provider.
    concurrency: u16,
    /// Where the API answers.
    pub(crate) api: String,
    pub(crate) dir: TempDir,
}

/// Which process sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sender {
    /// Index of its place.
    pub(crate) place: usize,
    /// Its life there, the first being 1.
    pub(crate) life: u32,
}

impl Fleet {
    /// Starts what the fleet stands on, and makes its places; nobody sits there yet.
    ///
    /// # Errors
    ///
    /// If a server does not start.
    pub(crate) async fn new(seed: u64, shape: &Shape, program: &Path) -> anyhow::Result<Arc<Self>> {
        let dir = tempfile::Builder::new().prefix("chaos-").tempdir()?;
        let simulator = Simulator::start(SimulatorConfig {
            seed,
            latency: LATENCY,
            slow: SLOW,
            ..SimulatorConfig::default()
        })
        .await?;
        let (base, dispatcher) = ground(shape.database, dir.path()).await?;
        let mut fleet = Self {
            places: Vec::new(),
            simulator,
            base,
            dispatcher,
            keys: KeyRing::generate("chaos"),
            concurrency: shape.concurrency,
            api: format!("127.0.0.1:{}", free_port()?),
            dir,
        };
        for seat in seats(shape) {
            let place = fleet.place(seat, program).await?;
            fleet.places.push(place);
        }
        Ok(Arc::new(fleet))
    }

    /// The place of a seat.
    pub(crate) fn at(&self, seat: Seat) -> &Place {
        let found = self.places.iter().find(|place| place.seat == seat);
        found.expect("the plan has only seats of the fleet")
    }

    /// Whether every process works.
    pub(crate) fn is_ready(&self) -> bool {
        self.places.iter().all(Place::is_ready)
    }

    /// What its processes did that none should.
    pub(crate) fn faults(&self) -> impl Iterator<Item = String> {
        self.places.iter().flat_map(Place::faults)
    }

    /// Whose connection from this port it was.
    pub(crate) fn sender(&self, port: u16, at: Timestamp) -> Option<Sender> {
        let mut places = self.places.iter().enumerate();
        places.find_map(|(place, it)| {
            let life = it.links.provider.life_at(port, at)?;
            Some(Sender { place, life })
        })
    }

    async fn place(&self, seat: Seat, program: &Path) -> anyhow::Result<Place> {
        let data_dir = self.dir.path().join(machine(seat));
        let links = Links {
            provider: Link::to(self.simulator.addr()).await?,
            redis: link(self.dispatcher.address().await).await?,
            database: link(self.base.address()?).await?,
        };
        let (arguments, ready): (&[&str], _) = match seat {
            Seat::Worker(_) => (&["worker"], "working"),
            Seat::Scheduler(_) => (&["scheduler"], "looking for due channels"),
            Seat::Api => (&["api", "--bind", &self.api], "the API is up"),
            Seat::Up => (&["up", "--bind", &self.api], "Ctrl-C stops it."),
        };
        let command = Command {
            program: program.to_owned(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            variables: self.variables(&links, &data_dir)?,
            ready,
        };
        Ok(Place::new(seat, data_dir, links, command))
    }

    /// Times are as short as the settings let them be; nothing else differs from a real fleet.
    fn variables(
        &self,
        links: &Links,
        data_dir: &Path,
    ) -> anyhow::Result<Vec<(&'static str, String)>> {
        let data_dir = data_dir.to_str().context("the directory is no UTF-8")?;
        let provider = format!("http://127.0.0.1:{}", links.provider.port());
        let timeout = format!("{}s", PROVIDER_TIMEOUT.as_secs());
        let lease = format!("{}s", LEASE.as_secs());
        let concurrency = self.concurrency.to_string();
        let mut variables: Vec<(&'static str, String)> = [
            ("TOKENFLEET_ADMIN_TOKEN", ADMIN_TOKEN),
            ("JWT_SECRET", "what-signs-access-tokens-in-chaos"),
            ("REFRESH_TOKEN_SECRET", "what-signs-refresh-tokens-in-chaos"),
            ("TOKENFLEET_API__RATE_LIMIT__PER_MINUTE", "10000000"),
            ("TOKENFLEET_SCHEDULER__INTERVAL", "200ms"),
            ("TOKENFLEET_QUEUE__LEASE", "5s"),
            ("TOKENFLEET_RETENTION__ATTEMPTS_PER_CHANNEL", "100000"),
            ("TOKENFLEET_PROVIDERS__CONNECT_TIMEOUT", "1s"),
            ("TOKENFLEET_WORKER__PROVIDER_TIMEOUT", &timeout),
            ("FACTURIFY_TIMEOUT", &timeout),
            ("TOKENFLEET_WORKER__REFRESH_LEASE", &lease),
            ("TOKENFLEET_WORKER__TAKEOVER_GRACE", &lease),
            ("TOKENFLEET_WORKER__CONCURRENCY", &concurrency),
            ("TOKENFLEET_WORKER__RETRY_BASE", "200ms"),
            ("TOKENFLEET_WORKER__RETRY_CAP", "5s"),
            ("TOKENFLEET_DATA_DIR", data_dir),
            ("HOME", data_dir),
            ("TOKENFLEET_LOG", "info"),
            ("TIKTOK_CLIENT_KEY", simulator::TIKTOK_CLIENT_KEY),
            ("TIKTOK_CLIENT_SECRET", simulator::TIKTOK_CLIENT_SECRET),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        let keys = self.keys.expose_secret().to_owned();
        variables.push(("TOKENFLEET_MASTER_KEYS", keys));
        variables.push(("TIKTOK_BASE_URL", format!("{provider}/tiktok")));
        variables.extend(generic(&provider));
        if let Some(redis) = &links.redis {
            let url = format!("redis://127.0.0.1:{}/0", redis.port());
            variables.push(("REDIS_URL", url));
        }
        if let Some(database) = &links.database {
            let url = self.base.url();
            let (_, name) = url.rsplit_once('/').context("an address has a path")?;
            let url = format!("postgres://tokenfleet@127.0.0.1:{}/{name}", database.port());
            variables.push(("DATABASE_URL", url));
        }
        Ok(variables)
    }
}

/// Two generic providers: one rotates and takes a second use for theft, one does not rotate.
fn generic(provider: &str) -> [(&'static str, String); 8] {
    let id = simulator::OAUTH2_CLIENT_ID.to_owned();
    let secret = simulator::OAUTH2_CLIENT_SECRET.to_owned();
    [
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO__TOKEN_URL",
            format!("{provider}/oauth2/demo/token"),
        ),
        ("TOKENFLEET_PROVIDERS__OAUTH2__DEMO__CLIENT_ID", id.clone()),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO__CLIENT_SECRET",
            secret.clone(),
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__TOKEN_URL",
            format!("{provider}/oauth2/demo_body/token"),
        ),
        ("TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__CLIENT_ID", id),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__CLIENT_SECRET",
            secret,
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__AUTH_STYLE",
            "body".to_owned(),
        ),
        (
            "TOKENFLEET_PROVIDERS__OAUTH2__DEMO_BODY__ROTATION",
            "never".to_owned(),
        ),
    ]
}

async fn ground(database: Database, dir: &Path) -> anyhow::Result<(Base, Dispatcher)> {
    Ok(match database {
        Database::Postgres => {
            let redis = RedisServer::start().await?;
            (
                Base::postgres().await?,
                Dispatcher::Ours(tokio::sync::Mutex::new(redis)),
            )
        }
        Database::Sqlite => {
            let data_dir: PathBuf = dir.join(machine(Seat::Up));
            (
                Base::Sqlite {
                    file: data_dir.join("tokenfleet.db"),
                },
                Dispatcher::OfUp {
                    socket: data_dir.join("redis/redis.sock"),
                },
            )
        }
    })
}

async fn link(server: Option<SocketAddr>) -> anyhow::Result<Option<Link>> {
    Ok(match server {
        Some(server) => Some(Link::to(server).await?),
        None => None,
    })
}

fn seats(shape: &Shape) -> Vec<Seat> {
    match shape.database {
        Database::Sqlite => vec![Seat::Up],
        Database::Postgres => {
            let workers = (1..=shape.workers).map(Seat::Worker);
            let schedulers = (1..=shape.schedulers).map(Seat::Scheduler);
            workers.chain(schedulers).chain([Seat::Api]).collect()
        }
    }
}

/// Two workers share a data directory, as on one machine, where each can prove the other dead;
/// of the others every process has its own.
fn machine(seat: Seat) -> String {
    match seat {
        Seat::Worker(number) => format!("machine-{}", number.div_ceil(2)),
        other => other.to_string(),
    }
}
