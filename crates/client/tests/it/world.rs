//! An API on a private database and a private Redis, behind a [`Front`].

use std::sync::Arc;
use std::time::Duration;

use api::{Accounts, ApiSettings, Deps, Health};
use cache::{Cache, CacheOptions};
use client::{Call, Client, FixedToken, Server};
use identity::{Lifetimes, PasswordCost, Passwords, SigningKeys, Tokens};
use providers::{ProviderSettings, Providers};
use queue::{ConnectOptions, Queues};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::json;
use testkit::redis::RedisServer;
use testkit::{Database, TestClock};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use vault::{KeyRing, Vault};

use crate::front::Front;

const ADMIN: &str = "test-admin-token";
pub(crate) const EMAIL: &str = "ana@example.com";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running API, the way to it, and the clock by which its tokens begin and end.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) front: Front,
    pub(crate) clock: TestClock,
    _redis: RedisServer,
    _database: Database,
    _running: DropGuard,
}

/// What a test may set.
pub(crate) struct Setup {
    /// Lifetime of an access token.
    pub(crate) access: Duration,
    pub(crate) grace: Duration,
    /// Whether time passes by the machine's clock instead of [`World::clock`].
    pub(crate) real_time: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            access: Duration::from_mins(15),
            grace: Duration::from_secs(10),
            real_time: false,
        }
    }
}

impl World {
    pub(crate) async fn start(database: Database) -> Self {
        Self::with(database, Setup::default()).await
    }

    pub(crate) async fn with(database: Database, setup: Setup) -> Self {
        let clock = TestClock::start();
        let mut accounts = accounts(setup.access);
        accounts.refresh_grace = setup.grace;
        let store = if setup.real_time {
            database.store().await
        } else {
            accounts.clock = Arc::new(clock.clone());
            database.store_at(&clock).await
        };
        let redis = RedisServer::start().await.unwrap();
        let queues = Queues::connect(ConnectOptions::new(redis.url()));
        let ring = KeyRing::parse(&KeyRing::generate("k1")).unwrap();
        let mut settings = ApiSettings::new(ADMIN.into());
        settings.rate_limits.per_minute = 10_000_000;
        settings.rate_limits.auth_per_minute = 1_000_000;
        let deps = Deps {
            store,
            queues: queues.await.unwrap(),
            cache: Cache::open(CacheOptions::new(redis.url())).unwrap(),
            vault: Arc::new(Vault::new(ring, "k1").unwrap()),
            providers: Arc::new(Providers::new(ProviderSettings::default()).unwrap()),
            accounts,
            settings,
            health: Health::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (front, address) =
            Front::before(&format!("http://{}", listener.local_addr().unwrap())).await;
        let shutdown = CancellationToken::new();
        tokio::spawn(api::run(deps, listener, shutdown.clone()));
        let server = Server::new(&address).unwrap();
        register(&server).await;
        Self {
            server,
            front,
            clock,
            _redis: redis,
            _database: database,
            _running: shutdown.drop_guard(),
        }
    }

    /// A client of the platform admin.
    pub(crate) fn admin(&self) -> Client {
        self.server.client(FixedToken(ADMIN.into()))
    }

    /// A service token with these scopes in the tenant `acme`.
    pub(crate) async fn service_token(&self, scopes: &[domain::Scope]) -> client::ServiceToken {
        let admin = self.admin();
        let id = Some("acme".to_owned());
        let new = client::NewTenant { id, name: None };
        admin.create_tenant(new).await.unwrap();
        let new = client::NewServiceToken {
            name: "bot".to_owned(),
            days: Some(30),
            scopes: scopes.to_vec(),
            tenant_id: Some("acme".to_owned()),
        };
        admin.create_service_token(new).await.unwrap()
    }
}

pub(crate) fn password() -> SecretString {
    PASSWORD.into()
}

async fn register(server: &Server) {
    let body = json!({ "nombre": "Ana", "correo": EMAIL, "password": PASSWORD });
    let call = Call::outside(Method::POST, &["auth", "register"]).body(body);
    server.call(&call, None).await.unwrap();
}

/// Accounts whose passwords cost next to nothing.
fn accounts(access: Duration) -> Accounts {
    let keys = |secret: &str| SigningKeys::parse(&secret.into()).unwrap();
    let lifetimes = Lifetimes {
        access,
        ..Lifetimes::default()
    };
    let tokens = Tokens::new(keys("access"), keys("refresh"), lifetimes);
    let cheap = PasswordCost {
        memory_kib: 8,
        passes: 1,
    };
    Accounts::new(tokens, Passwords::new(cheap))
}
