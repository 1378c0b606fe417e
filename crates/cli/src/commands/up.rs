//! `tokenfleet up`: scheduler, workers and API in one process.

use std::process::ExitCode;

use config::{Loaded, Override};

use crate::args::Global;
use crate::data_dir::DataDir;
use crate::local::{Local, listen};
use crate::output::{program, say};
use crate::remote;
use crate::{accounts, logging, signals};

const EXAMPLES: &str = "\
Without DATABASE_URL and REDIS_URL it brings its own: a SQLite file and a private redis-server in
the data directory. Without TOKENFLEET_MASTER_KEYS it makes a key there: back that file up.

Examples:
  tokenfleet up
  tokenfleet up --bind 127.0.0.1:9000 --data-dir /var/lib/tokenfleet
  DATABASE_URL=postgres://… REDIS_URL=redis://… tokenfleet up";

/// What `up` can be told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where the API listens; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT")]
    bind: Option<String>,
    /// Jobs at once per refresh queue
    #[arg(long, value_name = "N")]
    concurrency: Option<String>,
    /// How long running jobs may take after SIGTERM
    #[arg(long, value_name = "DURATION")]
    drain: Option<String>,
}

impl Args {
    fn overrides(&self) -> Vec<Override> {
        let set = |key, flag, value: &Option<String>| {
            value.as_ref().map(|value| Override::new(key, flag, value))
        };
        [
            set("api.bind", "--bind", &self.bind),
            set("worker.concurrency", "--concurrency", &self.concurrency),
            set("worker.drain", "--drain", &self.drain),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Runs until a signal.
///
/// # Errors
///
/// What kept it from starting.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let loaded = global.load(args.overrides())?;
    logging::to_stderr(&loaded.settings.log)?;
    logging::warn_of(&loaded);
    let dir = DataDir::claim(&loaded.settings.data_dir)?;
    let shutdown = signals::shutdown()?;
    // Before anything is started: an address in use is found out at once.
    let listener = listen(&loaded).await?;
    let local = Local::open(&loaded, &dir, listener).await?;
    announce(&loaded, &dir, &local);
    accounts::announce(&local.accounts, &local.store).await?;
    local.run(&loaded, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

fn announce(loaded: &Loaded, dir: &DataDir, local: &Local) {
    let url = remote::url_of(local.address);
    say(format_args!(
        "tokenfleet {} is up at {url}",
        env!("CARGO_PKG_VERSION")
    ));
    say(format_args!("  dashboard       {url}/"));
    say(format_args!("  data directory  {}", dir.path().display()));
    let shown = |key: &str, own: &str| {
        let set = loaded.effective.iter().find(|line| line.key == key);
        set.filter(|line| line.source.is_some())
            .map_or_else(|| own.to_owned(), |line| line.value.clone())
    };
    say(format_args!(
        "  database        {}",
        shown("database.url", "its own, in the data directory")
    ));
    say(format_args!(
        "  redis           {}",
        shown("redis.url", "its own, in the data directory")
    ));
    let header = match &local.admin_token_file {
        Some(path) => {
            say(format_args!("  admin token     {}", path.display()));
            format!("Authorization: Bearer $(cat {})", path.display())
        }
        None => "Authorization: Bearer $TOKENFLEET_ADMIN_TOKEN".to_owned(),
    };
    if let Some(path) = &local.made_master_key {
        say(format_args!(
            "  master key      made in {}: back it up, nothing opens without it",
            path.display()
        ));
    }
    let elsewhere = loaded.overridden().any(|line| line.key == "data_dir");
    let data_dir = if elsewhere {
        format!(" --data-dir {}", dir.path().display())
    } else {
        String::new()
    };
    say(format_args!(
        "\nTry it:\n  curl -s {url}/readyz\n  curl -s -H \"{header}\" {url}/api/v1/tenants\n  \
         {} tenant create acme --server {url}{data_dir}\nCtrl-C stops it.",
        program()
    ));
}
