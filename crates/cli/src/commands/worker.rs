//! `tokenfleet worker`: workers alone.

use std::process::ExitCode;
use std::sync::Arc;

use config::Override;
use queue::QueueName;

use crate::args::Global;
use crate::data_dir::DataDir;
use crate::fleet::{Presence, Roles};
use crate::{logging, mapping, parts, signals};

const EXAMPLES: &str = "\
It needs DATABASE_URL, REDIS_URL and TOKENFLEET_MASTER_KEYS. Any number may run, on any number of
machines. After SIGTERM it claims nothing more, finishes what runs within --drain, waits for
requests already sent (provider timeout + 10 s), gives the rest back and exits with 0.

Examples:
  tokenfleet worker
  tokenfleet worker --queue refresh:tiktok --concurrency 32";

/// What a worker can be told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Work on this queue only; may be given several times [default: all]
    #[arg(long = "queue", value_name = "NAME")]
    queues: Vec<QueueName>,
    /// Jobs at once per queue
    #[arg(long, value_name = "N")]
    concurrency: Option<String>,
    /// How long running jobs may take after SIGTERM
    #[arg(long, value_name = "DURATION")]
    drain: Option<String>,
}

/// Runs until a signal.
///
/// # Errors
///
/// What kept it from starting.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let concurrency = args
        .concurrency
        .map(|n| Override::new("worker.concurrency", "--concurrency", n));
    let drain = args
        .drain
        .map(|time| Override::new("worker.drain", "--drain", time));
    let loaded = global.load(concurrency.into_iter().chain(drain).collect())?;
    logging::to_stderr(&loaded.settings.log)?;
    logging::warn_of(&loaded);
    let database = parts::database_url(&loaded, "worker")?;
    let redis = parts::redis_url(&loaded, "worker")?;
    let keys = parts::master_keys(&loaded, "worker")?;
    let dir = DataDir::open(&loaded.settings.data_dir)?;
    let shutdown = signals::shutdown()?;

    let process = parts::start_process(&dir)?;
    let cache = parts::open_cache(&loaded, &redis)?;
    worker::give_copies_again(&process, &cache).await;
    let store = parts::open_store(&loaded, &database).await?;
    let vault = parts::open_vault(&loaded, &keys, &store).await?;
    let with = Some(Arc::clone(&vault));
    let presence = Presence::new(store.clone(), process.uid(), "worker", with);
    let queues = (!args.queues.is_empty()).then_some(args.queues);
    let deps = worker::Deps {
        store: store.clone(),
        queues: parts::open_queues(&loaded, &redis, "worker").await?,
        cache,
        vault: Arc::clone(&vault),
        providers: parts::open_providers(&loaded)?,
        webhooks: mapping::webhooks(&loaded.settings)?,
        process,
        settings: mapping::worker(&loaded.settings, queues),
    };
    tracing::info!(queues = ?worker::queue_names(&deps)?.iter().map(ToString::to_string).collect::<Vec<_>>(), "working");
    let roles = Roles {
        worker: Some(deps),
        ..Roles::default()
    };
    roles.run(presence, shutdown).await?;
    store.close().await;
    Ok(ExitCode::SUCCESS)
}
