//! An API on a private database and a private Redis, and a client that talks to it.

use std::sync::Arc;
use std::time::Duration;

use api::{Accounts, ApiSettings, Deps, Health};
use cache::{Cache, CacheOptions};
use domain::Name;
use identity::{Lifetimes, PasswordCost, Passwords, SigningKeys, Tokens};
use providers::{ProviderSettings, Providers};
use queue::{ConnectOptions, Queues};
use reqwest::Method;
use serde_json::{Value, json};
use store::{Channel, Store, Tenant};
use testkit::redis::RedisServer;
use testkit::{Database, TestClock};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vault::{KeyRing, Vault};

use crate::contract;

pub(crate) const ADMIN: &str = "test-admin-token";

/// Every credential that the tests plant; no answer may contain one.
pub(crate) const PLANTED: [&str; 4] = [
    "planted-access-token",
    "planted-refresh-token",
    "planted-api-key",
    "planted-api-secret",
];

/// A running API and everything under it.
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) vault: Arc<Vault>,
    pub(crate) providers: Arc<Providers>,
    pub(crate) redis: RedisServer,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinHandle<()>,
    client: reqwest::Client,
    _database: Database,
}

/// What a test may set.
pub(crate) struct Setup {
    pub(crate) health: Health,
    pub(crate) accounts: Accounts,
    pub(crate) settings: ApiSettings,
    /// What database and tokens go by instead of the machine's clock.
    pub(crate) clock: Option<TestClock>,
    pub(crate) providers: ProviderSettings,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            health: Health::default(),
            accounts: accounts(),
            settings: settings(),
            clock: None,
            providers: ProviderSettings::default(),
        }
    }
}

/// Settings that let the tests ask as often as they like.
pub(crate) fn settings() -> ApiSettings {
    let mut settings = ApiSettings::new(ADMIN.into());
    settings.rate_limits.per_minute = 10_000_000;
    settings.rate_limits.auth_per_minute = 1_000_000;
    settings
}

/// Accounts whose passwords cost next to nothing.
fn accounts() -> Accounts {
    let keys = |secret: &str| SigningKeys::parse(&secret.into()).unwrap();
    let tokens = Tokens::new(keys("access"), keys("refresh"), Lifetimes::default());
    let cheap = PasswordCost {
        memory_kib: 8,
        passes: 1,
    };
    Accounts::new(tokens, Passwords::new(cheap))
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{} is not JSON: {error}: {:?}", self.status, self.text))
    }

    /// One header.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Status, code and the names of the fields of a problem.
    pub(crate) fn problem(&self) -> (u16, String, Vec<String>) {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["status"], self.status);
        assert!(body["title"].is_string() && body["detail"].is_string());
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let fields = errors
            .iter()
            .map(|error| error["field"].as_str().unwrap().to_owned());
        let code = body["code"].as_str().unwrap().to_owned();
        (self.status, code, fields.collect())
    }
}

/// A problem as [`Answer::problem`] tells it.
pub(crate) fn problem(status: u16, code: &str, fields: &[&str]) -> (u16, String, Vec<String>) {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    (status, code.to_owned(), fields)
}

impl World {
    pub(crate) async fn start(database: Database) -> Self {
        Self::with(database, Setup::default()).await
    }

    /// A world that is set up otherwise.
    pub(crate) async fn with(database: Database, setup: Setup) -> Self {
        let mut accounts = setup.accounts;
        let store = match setup.clock {
            Some(clock) => {
                accounts.clock = Arc::new(clock.clone());
                database.store_at(&clock).await
            }
            None => database.store().await,
        };
        let redis = RedisServer::start().await.unwrap();
        let queues = Queues::connect(ConnectOptions::new(redis.url()));
        let queues = queues.await.unwrap();
        let cache = Cache::open(CacheOptions::new(redis.url())).unwrap();
        let ring = KeyRing::parse(&KeyRing::generate("k1")).unwrap();
        let vault = Arc::new(Vault::new(ring, "k1").unwrap());
        let providers = Arc::new(Providers::new(setup.providers).unwrap());
        let deps = Deps {
            store: store.clone(),
            queues: queues.clone(),
            cache,
            vault: Arc::clone(&vault),
            providers: Arc::clone(&providers),
            accounts,
            settings: setup.settings,
            health: setup.health,
        };
        let (base, shutdown, server) = serve(deps).await;
        Self {
            base,
            store,
            queues,
            vault,
            providers,
            redis,
            shutdown,
            server,
            client: client(),
            _database: database,
        }
    }

    /// Another process of the API on the same database and Redis; its address.
    pub(crate) async fn beside(&self, settings: ApiSettings) -> String {
        let deps = Deps {
            store: self.store.clone(),
            queues: self.queues.clone(),
            cache: Cache::open(CacheOptions::new(self.redis.url())).unwrap(),
            vault: Arc::clone(&self.vault),
            providers: Arc::clone(&self.providers),
            accounts: accounts(),
            settings,
            health: Health::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(api::run(deps, listener, self.shutdown.clone()));
        base
    }

    /// A request with the admin token to the process at this address.
    pub(crate) fn request_at(
        &self,
        base: &str,
        method: Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{base}{path}"));
        request.bearer_auth(ADMIN)
    }

    /// Ends the API and starts another one on the same database and Redis.
    pub(crate) async fn restart(&mut self, setup: Setup) {
        self.shutdown.cancel();
        let deps = Deps {
            store: self.store.clone(),
            queues: self.queues.clone(),
            cache: Cache::open(CacheOptions::new(self.redis.url())).unwrap(),
            vault: Arc::clone(&self.vault),
            providers: Arc::clone(&self.providers),
            accounts: setup.accounts,
            settings: setup.settings,
            health: setup.health,
        };
        (self.base, self.shutdown, self.server) = serve(deps).await;
    }

    /// A request with the admin token.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.anonymous(method, path).bearer_auth(ADMIN)
    }

    /// A request without any token.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// A `POST` without a body.
    pub(crate) async fn post(&self, path: &str) -> Answer {
        send(self.request(Method::POST, path)).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn put_json(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn patch_json(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PATCH, path).json(&body)).await
    }

    /// A tenant with this id.
    pub(crate) async fn tenant(&self, id: &str) -> Tenant {
        let answer = self.post_json("/api/v1/tenants", json!({"id": id})).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let id: Name = id.parse().unwrap();
        self.store.tenant(&id).await.unwrap().unwrap()
    }

    /// A TikTok channel whose token lives for so long; 0 is one that is due at once.
    pub(crate) async fn tiktok(&self, tenant: &Tenant, id: &str, expires_in: u32) -> Channel {
        let mut credentials = json!({
            "access_token": "planted-access-token",
            "refresh_token": "planted-refresh-token",
        });
        if expires_in > 0 {
            credentials["expires_in"] = json!(expires_in);
        }
        self.import(tenant, id, "tiktok", credentials).await
    }

    /// A channel of a provider with these credentials.
    pub(crate) async fn import(
        &self,
        tenant: &Tenant,
        id: &str,
        provider: &str,
        credentials: Value,
    ) -> Channel {
        let path = format!("/api/v1/tenants/{}/channels", tenant.id);
        let body = json!({
            "id": id, "provider": provider, "display_name": id, "credentials": credentials,
        });
        let answer = self.post_json(&path, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        self.channel(tenant, id).await
    }

    /// A channel as the database has it.
    pub(crate) async fn channel(&self, tenant: &Tenant, id: &str) -> Channel {
        let id: Name = id.parse().unwrap();
        self.store.channel(tenant.uid, &id).await.unwrap().unwrap()
    }

    /// Asks again and again until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        for _ in 0..200 {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} did not come to be as wanted within 10 s");
    }
}

async fn serve(deps: Deps) -> (String, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(api::run(deps, listener, shutdown.clone()));
    (base, shutdown, server)
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Sends a request, reads its answer, and looks for credentials in it.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let answer = reveal(request).await;
    for secret in PLANTED.iter().chain([&ADMIN]) {
        assert!(!answer.text.contains(secret), "{secret} in {}", answer.text);
    }
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    answer
}

/// Sends a request whose answer may show a credential, reads it, and holds it against the
/// document.
pub(crate) async fn reveal(request: reqwest::RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let response = client.execute(request).await.unwrap();
    let answer = Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    };
    contract::hold(&method, &path, &answer);
    answer
}

fn client() -> reqwest::Client {
    // Only one of the tests of a process is the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(90))
        .build()
        .unwrap()
}
