//! `tokenfleet demo`: `up` with simulated providers and channels that come due at once.

mod progress;
mod seed;
mod summary;
mod visitor;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use config::{LoadOptions, Loaded, Override, Settings};
use secrecy::ExposeSecret as _;
use simulator::{Latency, Running};
use store::Store;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::args::Global;
use crate::commands::simulate::{self, Conduct};
use crate::data_dir::DataDir;
use crate::local::{Local, listen};
use crate::output::{program, say};
use crate::remote;
use crate::{logging, signals};

const EXAMPLES: &str = "\
It runs in a temporary directory with its own database and Redis, and reads no settings but
TOKENFLEET_LOG and --set: no fleet of yours is touched.

Examples:
  tokenfleet demo
  tokenfleet demo --channels 3000 --once
  tokenfleet demo --fault status_500=0.2 --fault tiktok.status_429=0.1
  tokenfleet demo --data-dir /tmp/demo --set worker.concurrency=8";

/// The variables that a demo reads.
const VARIABLES: [&str; 2] = ["TOKENFLEET_LOG", "TOKENFLEET_LOG_FORMAT"];
const LOG: &str = "demo.log";
/// A provider around the corner; `--latency-ms` makes it slower.
const LATENCY: Latency = Latency {
    fixed: Duration::from_millis(10),
    jitter: Duration::from_millis(30),
};

/// What the demo can be told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Channels that come due at once
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    channels: u32,
    /// Tenants that they belong to
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    tenants: u32,
    /// End when every due channel was refreshed: with 0, or with 1 if one was not
    #[arg(long)]
    once: bool,
    /// Give up after so many seconds
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    timeout: u64,
    #[command(flatten)]
    conduct: Conduct,
}

/// Runs until every due channel was refreshed (`--once`), or until a signal.
///
/// # Errors
///
/// What kept it from starting.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let place = Place::new(global.data_dir.as_deref())?;
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let simulator = args.conduct.start(free, LATENCY).await?;
    let loaded = load(global, &simulator, place.path())?;
    let dir = DataDir::claim(place.path())?;
    logging::to_file(&loaded.settings.log, &dir.path().join(LOG))?;
    let shutdown = signals::shutdown()?;
    let listener = listen_somewhere(&loaded).await?;
    let local = Local::open(&loaded, &dir, listener).await?;

    let seeding = std::time::Instant::now();
    let fleet = match seed::seed(&local, &simulator, args.channels, args.tenants).await {
        Ok(fleet) => fleet,
        Err(error) => {
            local.close().await;
            return Err(error);
        }
    };
    let took = seeding.elapsed();
    announce(&local, &dir, &fleet, took).await?;
    let show = Show {
        once: args.once,
        limit: Duration::from_secs(args.timeout),
        fleet,
    };
    let complete = show.run(local, loaded, shutdown).await?;
    simulator.shutdown().await;
    Ok(if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The demo once everything is made.
struct Show {
    once: bool,
    limit: Duration,
    fleet: seed::Fleet,
}

impl Show {
    /// Lets the fleet work and shows it; whether every due channel was refreshed.
    async fn run(
        self,
        local: Local,
        loaded: Loaded,
        shutdown: CancellationToken,
    ) -> anyhow::Result<bool> {
        let store = local.store.clone();
        // Not the signal's own token: the last look comes before the database is closed.
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { local.run(&loaded, stop).await }
        });
        let complete = tokio::select! {
            complete = self.watch(&store, &shutdown) => complete,
            // A role ended by itself; why is what the fleet ends with.
            () = stop.cancelled() => Ok(false),
        };
        if !self.once && !shutdown.is_cancelled() && complete.is_ok() {
            say("\nThe fleet keeps running; Ctrl-C stops it.");
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = stop.cancelled() => {}
            }
        }
        stop.cancel();
        running.await.context("the fleet panicked")??;
        complete
    }

    async fn watch(&self, store: &Store, shutdown: &CancellationToken) -> anyhow::Result<bool> {
        let look = tokio::select! {
            look = progress::watch(store, &self.fleet, self.limit) => look?,
            () = shutdown.cancelled() => self.fleet.look(store).await?,
        };
        summary::show(store, &self.fleet, &look).await?;
        Ok(look.is_complete())
    }
}

/// Where the demo keeps its files: a directory that was named, or one that goes with it.
enum Place {
    Named(PathBuf),
    Temporary(TempDir),
}

impl Place {
    fn new(named: Option<&Path>) -> anyhow::Result<Self> {
        match named {
            Some(path) => Ok(Self::Named(path.to_owned())),
            None => tempfile::Builder::new()
                .prefix("tokenfleet-demo-")
                .tempdir()
                .map(Self::Temporary)
                .context("cannot make a temporary directory"),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Temporary(dir) => dir.path(),
        }
    }
}

/// Settings that point at the simulator, with retries that come sooner.
fn load(global: &Global, simulator: &Running, dir: &Path) -> anyhow::Result<Loaded> {
    let options = LoadOptions::of_process()?;
    let dir = options.cwd.join(dir);
    let own = [
        ("data_dir", dir.to_string_lossy().into_owned()),
        ("worker.concurrency", "32".to_owned()),
        ("worker.max_attempts", "10".to_owned()),
        ("worker.retry_base", "200ms".to_owned()),
        ("worker.retry_cap", "5s".to_owned()),
        ("scheduler.interval", "200ms".to_owned()),
    ];
    let own = own.map(|(key, value)| Override::new(key, "demo", value));
    let set = global.overrides(Vec::new());
    let set = set.into_iter().filter(|set| set.key != "data_dir");
    let variables = options
        .env
        .only(&VARIABLES)
        .and(simulate::settings(simulator));
    Ok(Settings::load(&LoadOptions {
        config_file: global.config.clone(),
        overrides: own.into_iter().chain(set).collect(),
        env: variables,
        cwd: dir,
    })?)
}

/// At the address of the settings; a demo that was told none takes another port if that is in
/// use, for it should not fail because an `up` runs.
async fn listen_somewhere(loaded: &Loaded) -> anyhow::Result<TcpListener> {
    let told = loaded.overridden().any(|line| line.key == "api.bind");
    match listen(loaded).await {
        Err(_) if !told => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("there is no free loopback port"),
        other => other,
    }
}

async fn announce(
    local: &Local,
    dir: &DataDir,
    fleet: &seed::Fleet,
    took: Duration,
) -> anyhow::Result<()> {
    let url = remote::url_of(local.address);
    say(format_args!(
        "{} channels of {} tenants, {} of them due, made in {:.1} s",
        fleet.channels.len(),
        fleet.tenants.len(),
        fleet.due(),
        took.as_secs_f64()
    ));
    say(format_args!("the dashboard is at {url}/"));
    if let Some(login) = visitor::register(local).await? {
        say(format_args!(
            "  log in as {} with the password {}",
            login.email,
            login.password.expose_secret()
        ));
    }
    say(format_args!("the API is up at {url}; a ready log-in:"));
    if let Some(token) = &local.admin_token_file {
        say(format_args!(
            "  curl -s -H \"Authorization: Bearer $(cat {})\" {url}/api/v1/jobs/status",
            token.display()
        ));
        say(format_args!(
            "  {} channel list {} --server {url} --token-file {}",
            program(),
            fleet
                .tenants
                .first()
                .map_or("", |tenant| tenant.id.as_str()),
            token.display()
        ));
    }
    say(format_args!("log: {}\n", dir.path().join(LOG).display()));
    Ok(())
}
