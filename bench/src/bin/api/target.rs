//! The servers that are measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::routing::get;
use domain::{ChannelState, ChannelUid, Generation, Grant, Name, ProviderName};
use secrecy::ExposeSecret as _;
use store::{Facts, NewChannel, Store, StoreOptions};
use tempfile::TempDir;
use testkit::redis::RedisServer;
use tokenfleet_bench::database::Scratch;
use tokenfleet_bench::process::Process;
use tokio::net::{TcpListener, TcpStream};
use vault::{KeyRing, Vault};

use crate::Args;

const ADMIN: &str = "an-admin-token-for-the-bench";
const LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A server, and what it is asked.
pub(crate) struct Target {
    process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<[Vec<u8>]>,
}

impl Target {
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn of(process: Process, address: SocketAddr, paths: impl Iterator<Item = String>) -> Self {
        let request = |path: String| {
            let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n");
            format!("{head}Authorization: Bearer {ADMIN}\r\n\r\n").into_bytes()
        };
        Self {
            process,
            address,
            requests: paths.map(request).collect(),
        }
    }
}

/// A bare axum server in a process of its own.
pub(crate) struct Hello(pub(crate) Target);

impl Hello {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let address = free_address()?;
        let program = std::env::current_exe()?;
        let arguments = ["--hello", &address.to_string()];
        let process = Process::start(&program, &arguments, &[])?;
        answering(address).await?;
        let paths = std::iter::once("/".to_owned());
        Ok(Self(Target::of(process, address, paths)))
    }
}

/// Serves "hello" until the process is ended.
pub(crate) async fn serve_hello(address: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let router = Router::new().route("/", get(async || "hello"));
    Ok(axum::serve(listener, router).await?)
}

/// The API, and channels whose tokens live.
pub(crate) struct Tokens {
    pub(crate) target: Target,
    pub(crate) database: Scratch,
    _redis: RedisServer,
    _dir: TempDir,
}

impl Tokens {
    pub(crate) async fn start(args: &Args) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let database = Scratch::of(&args.database, dir.path()).await?;
        let keys = KeyRing::generate("bench");
        let vault = Vault::new(KeyRing::parse(&keys)?, "bench")?;
        let names = fill(&database.url, &vault, args.channels).await?;
        let redis = RedisServer::start().await?;
        let home = dir.path().to_str().context("a path of text")?.to_owned();
        let variables = [
            ("DATABASE_URL", database.url.clone()),
            ("REDIS_URL", redis.url()),
            ("TOKENFLEET_MASTER_KEYS", keys.expose_secret().to_owned()),
            ("TOKENFLEET_ADMIN_TOKEN", ADMIN.to_owned()),
            (
                "TOKENFLEET_API__RATE_LIMIT__TOKEN_READS_PER_MINUTE",
                "10000000".to_owned(),
            ),
            ("TOKENFLEET_DATA_DIR", home.clone()),
            ("TOKENFLEET_LOG", "warn".to_owned()),
            (
                "JWT_SECRET",
                "a-secret-of-the-bench-that-is-long-enough".to_owned(),
            ),
            (
                "REFRESH_TOKEN_SECRET",
                "another-secret-of-the-bench-long-enough".to_owned(),
            ),
            ("HOME", home),
        ];
        let address = free_address()?;
        let bind = address.to_string();
        let process = Process::start(&args.binary, &["api", "--bind", &bind], &variables)?;
        answering(address).await?;
        let paths = names
            .into_iter()
            .map(|name| format!("/api/v1/tenants/acme/channels/{name}/token"));
        Ok(Self {
            target: Target::of(process, address, paths),
            database,
            _redis: redis,
            _dir: dir,
        })
    }
}

/// Stores channels of one tenant; their names.
async fn fill(url: &str, vault: &Vault, count: u32) -> anyhow::Result<Vec<Name>> {
    let store = Store::connect(StoreOptions {
        url: url.to_owned(),
        max_connections: 2,
        clock: None,
    })
    .await?;
    store.migrate_up().await?;
    store.active_key("bench").await?;
    let tenant = store.create_tenant(Some("acme".parse()?), None).await?.uid;
    let end = store.now().await?.plus(Duration::from_hours(12));
    let channel = |_| {
        let (uid, id) = (ChannelUid::generate(), Name::generate("channel"));
        let grant = Grant {
            access_token: Some(format!("act.{uid}.{uid}").into()),
            refresh_token: Some(format!("rft.{uid}.{uid}").into()),
            ..Grant::default()
        };
        NewChannel {
            uid,
            tenant,
            provider: ProviderName::from_static("tiktok"),
            app_identity: "tiktok:bench".to_owned(),
            display_name: id.to_string(),
            id,
            local_name: None,
            sealed: vault.seal(uid, Generation(1), &grant),
            facts: Facts {
                state: ChannelState::Active,
                reason: None,
                access_expires_at: Some(end),
                refresh_expires_at: None,
                refresh_due_at: Some(end),
                external_id: None,
                has_refresh_material: true,
            },
        }
    };
    let mut names = Vec::new();
    for stored in store
        .import_channels((0..count).map(channel).collect())
        .await
    {
        names.push(stored?.id);
    }
    store.close().await;
    Ok(names)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?)
}

async fn answering(address: SocketAddr) -> anyhow::Result<()> {
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        ensure!(begun.elapsed() < LIMIT, "no server came up at {address}");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
