//! The HTTP API of tokenfleet: one file per resource, one form of error.
//!
//! Handlers extract, call once, and map. What a caller needs stands beside each
//! address in the table of `routes`, and the gate asks for it before the handler
//! runs. A provider is called only to exchange the code of a consent, in `connect`;
//! a refresh is a job, asked for on the channel's row and in the queue. Envelopes are opened in `tokens` alone, for
//! those who may read tokens.

mod access;
mod accounts;
mod answer;
mod attempts;
mod caller;
mod census;
mod connect;
mod cors;
mod dispatch;
mod extract;
mod facturify;
mod gate;
mod guard;
mod health;
mod limits;
mod openapi;
mod origin;
mod outlook;
mod problem;
mod proxies;
mod purge;
mod reads;
mod repeat;
mod routes;
mod server;
mod table;
mod tenancy;
mod throttle;
mod tokens;
mod trail;
mod view;
mod wait;
mod watching;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use cache::Cache;
use providers::Providers;
use queue::{QueueName, Queues};
use secrecy::SecretString;
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vault::Vault;

use crate::accounts::Standings;
use crate::census::Census;
use crate::outlook::Outlook;
use crate::reads::Reads;
use crate::server::Server;
use crate::tenancy::Tenancy;
use crate::tokens::Flights;
use crate::watching::Watchers;

pub use access::Right;
pub use accounts::Accounts;
pub use facturify::FacturifyAccount;
pub use health::Health;
pub use proxies::{InvalidNetwork, Network};
pub use table::Address;
pub use throttle::RateLimits;

/// What the API works with; the process that hosts it opens all of it.
#[derive(Debug)]
pub struct Deps {
    /// The database.
    pub store: Store,
    /// The jobs.
    pub queues: Queues,
    /// Limits, one-time tokens and remembered answers.
    pub cache: Cache,
    /// Seals imported credentials, and opens what is handed out.
    pub vault: Arc<Vault>,
    /// Knows which providers exist and what an import must bring.
    pub providers: Arc<Providers>,
    /// What people and programs are known by.
    pub accounts: Accounts,
    /// What an operator may set.
    pub settings: ApiSettings,
    /// Checks of this process beside its database and Redis, for `/readyz`.
    pub health: Health,
}

/// What an operator may set about the API.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The name that `/` shows.
    pub app_name: String,
    /// The bearer token with every right. An empty one lets nobody in.
    pub admin_token: SecretString,
    /// The address under which people reach the API, without a slash at its end.
    pub public_url: Option<String>,
    /// How long a connect link can be opened, unless its maker says otherwise.
    pub connect_link_ttl: Duration,
    /// Who may read `/metrics`.
    pub metrics_readers: MetricsReaders,
    /// How often somebody may call.
    pub rate_limits: RateLimits,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Origins of browsers that may call: `https://app.example.com`, or `*` for all. None by default.
    pub cors_origins: Vec<String>,
    /// How often the audit log gets a line about reads of one channel's token by one account;
    /// zero tells each.
    pub audit_reads_every: Duration,
    /// How long a one-time token lives.
    pub one_time_ttl: Duration,
    /// The platform's own Facturify account (S0); `None` if it has none.
    pub facturify: Option<FacturifyAccount>,
    /// Whether webhooks may go to private addresses.
    pub webhooks_allow_private: bool,
    /// How long a request may take in all; at least five seconds more than the longest `wait` (60 s).
    pub request_timeout: Duration,
    /// How long a connection may take to bring the head of its next request; longer than the
    /// minute for which balancers keep idle connections.
    pub idle_timeout: Duration,
    /// Completed jobs that a tenant's list shows.
    pub keep_completed: usize,
    /// Failed jobs that a tenant's list shows; cancelled ones count among them.
    pub keep_failed: usize,
}

/// Who may read `/metrics`: figures of all tenants together, and no tenant's name.
#[derive(Clone, Debug)]
pub enum MetricsReaders {
    /// Whoever reaches the server: it listens on loopback.
    Everybody,
    /// Whoever presents this bearer token.
    Bearers(SecretString),
    /// Nobody: there is no token yet.
    Nobody,
}

impl ApiSettings {
    /// The settings of a process of which nothing but its admin token is known.
    #[must_use]
    pub fn new(admin_token: SecretString) -> Self {
        Self {
            app_name: "tokenfleet".to_owned(),
            admin_token,
            public_url: None,
            connect_link_ttl: Duration::from_mins(10),
            metrics_readers: MetricsReaders::Nobody,
            rate_limits: RateLimits::default(),
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            audit_reads_every: Duration::from_hours(1),
            one_time_ttl: Duration::from_secs(10),
            facturify: None,
            webhooks_allow_private: false,
            request_timeout: Duration::from_secs(75),
            idle_timeout: Duration::from_secs(75),
            keep_completed: 10,
            keep_failed: 50,
        }
    }
}

/// What handlers reach, shared by all of them.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

/// [`Deps`], what requests share, and the signal that ends every wait.
pub(crate) struct Shared {
    pub(crate) deps: Deps,
    census: Census,
    flights: Flights,
    outlook: Outlook,
    reads: Reads,
    pub(crate) stopping: CancellationToken,
    standings: Standings,
    tenancy: Tenancy,
    watchers: Watchers,
}

impl App {
    fn new(deps: Deps, stopping: CancellationToken) -> Self {
        Self(Arc::new(Shared {
            deps,
            census: Census::default(),
            flights: Flights::default(),
            outlook: Outlook::default(),
            reads: Reads::default(),
            stopping,
            standings: Standings::default(),
            tenancy: Tenancy::default(),
            watchers: Watchers::default(),
        }))
    }

    /// Every queue: one per provider, that of the sweeps, and that of the visits to webhooks.
    pub(crate) fn queue_names(&self) -> impl Iterator<Item = QueueName> {
        self.job_queue_names().chain([jobs::webhook_queue()])
    }

    /// The queues whose jobs are listed without being asked for by name: a visit to a webhook
    /// comes with every event, and would push the refreshes out of what is kept.
    pub(crate) fn job_queue_names(&self) -> impl Iterator<Item = QueueName> {
        self.refresh_queue_names().chain([jobs::sweep_queue()])
    }

    /// The queues of refreshes, one per provider.
    pub(crate) fn refresh_queue_names(&self) -> impl Iterator<Item = QueueName> {
        self.providers.names().map(jobs::refresh_queue)
    }

    /// How many channels there are.
    pub(crate) fn census(&self) -> &Census {
        &self.0.census
    }

    /// The refreshes that readers of tokens wait for.
    pub(crate) fn flights(&self) -> &Flights {
        &self.0.flights
    }

    /// How fresh the fleet is and what comes, as it was found out lately.
    pub(crate) fn outlook(&self) -> &Outlook {
        &self.0.outlook
    }

    /// What the database said lately of those who ask; to be forgotten by who changes it.
    pub(crate) fn standings(&self) -> &Standings {
        &self.0.standings
    }

    /// What tenants are called, for readers of tokens.
    pub(crate) fn tenancy(&self) -> &Tenancy {
        &self.0.tenancy
    }

    /// Who read which token how often.
    pub(crate) fn reads(&self) -> &Reads {
        &self.0.reads
    }

    /// Those who watch what happens in the queues.
    pub(crate) fn watchers(&self) -> &Watchers {
        &self.0.watchers
    }

    /// Fires when the process ends: who waits for a job answers 202 at once.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }
}

impl Deref for App {
    type Target = Deps;

    fn deref(&self) -> &Deps {
        &self.0.deps
    }
}

/// Every address of the API, with what its caller needs.
#[must_use]
pub fn addresses() -> Vec<Address> {
    routes::table().addresses().collect()
}

/// The `OpenAPI` 3.1 document of the API.
#[must_use]
pub fn document() -> serde_json::Value {
    routes::table().document()
}

/// The API as a service, for a server of the caller's own.
pub fn router(deps: Deps) -> Router {
    routes::all(App::new(deps, CancellationToken::new()))
}

/// Serves the API until `shutdown` fires.
///
/// Then no connection is accepted any more, callers that wait for a job get their
/// 202 at once, and other answers are given ten seconds.
pub async fn run(deps: Deps, listener: TcpListener, shutdown: CancellationToken) {
    let patience = deps.settings.idle_timeout;
    let app = App::new(deps, shutdown.clone());
    tokio::spawn(facturify::attend(app.clone()));
    let server = Server {
        router: routes::all(app),
        patience,
        shutdown,
    };
    server.run(listener).await;
}
