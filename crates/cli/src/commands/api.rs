//! `tokenfleet api`: the API alone.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use config::Override;

use crate::args::Global;
use crate::data_dir::{self, DataDir};
use crate::fleet::{Presence, Roles};
use crate::local::listen;
use crate::output::say;
use crate::{accounts, logging, mapping, parts, remote, signals};

const EXAMPLES: &str = "\
It needs DATABASE_URL, REDIS_URL, TOKENFLEET_MASTER_KEYS (to seal what is imported),
TOKENFLEET_ADMIN_TOKEN, JWT_SECRET and REFRESH_TOKEN_SECRET. Any number may run.

Examples:
  tokenfleet api
  tokenfleet api --bind 0.0.0.0:8000";

/// What the API can be told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where it listens; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT")]
    bind: Option<String>,
}

/// Runs until a signal.
///
/// # Errors
///
/// What kept it from starting.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let bind = args
        .bind
        .map(|bind| Override::new("api.bind", "--bind", bind));
    let loaded = global.load(bind.into_iter().collect())?;
    logging::to_stderr(&loaded.settings.log)?;
    logging::warn_of(&loaded);
    let database = parts::database_url(&loaded, "api")?;
    let redis = parts::redis_url(&loaded, "api")?;
    let keys = parts::master_keys(&loaded, "api")?;
    let dir = DataDir::open(&loaded.settings.data_dir)?;
    let admin_token = match loaded.settings.api.admin_token.clone() {
        Some(token) => Some(token),
        None => data_dir::read(&dir.admin_token_file())?,
    };
    let admin_token = admin_token.context(
        "api needs the platform admin's bearer token: set TOKENFLEET_ADMIN_TOKEN (at least 16 \
         characters), or TOKENFLEET_ADMIN_TOKEN_FILE; only `up` makes its own",
    )?;
    let accounts = accounts::given(&loaded, &dir, "api")?;
    let listener = listen(&loaded).await?;
    let shutdown = signals::shutdown()?;

    let store = parts::open_store(&loaded, &database).await?;
    let vault = parts::open_vault(&loaded, &keys, &store).await?;
    let process = parts::start_process(&dir)?;
    let with = Some(Arc::clone(&vault));
    let presence = Presence::new(store.clone(), process.uid(), "api", with);
    let deps = api::Deps {
        store: store.clone(),
        queues: parts::open_queues(&loaded, &redis, "api").await?,
        cache: parts::open_cache(&loaded, &redis)?,
        vault,
        providers: parts::open_providers(&loaded)?,
        accounts: accounts.clone(),
        settings: mapping::api(&loaded.settings, admin_token, listener.local_addr()?),
        health: api::Health::default(),
    };
    say(format_args!(
        "the API is up at {}",
        remote::url_of(listener.local_addr()?)
    ));
    accounts::announce(&accounts, &store).await?;
    let roles = Roles {
        api: Some((deps, listener)),
        ..Roles::default()
    };
    roles.run(presence, shutdown).await?;
    store.close().await;
    Ok(ExitCode::SUCCESS)
}
