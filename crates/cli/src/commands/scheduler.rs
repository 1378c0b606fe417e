//! `tokenfleet scheduler`: the scheduler alone.

use std::process::ExitCode;

use crate::args::Global;
use crate::data_dir::DataDir;
use crate::fleet::{Presence, Roles};
use crate::{logging, mapping, parts, signals};

const EXAMPLES: &str = "\
It needs DATABASE_URL and REDIS_URL. Any number may run: each due channel and each slot of a
schedule is handed out once.

Examples:
  tokenfleet scheduler
  tokenfleet scheduler --set scheduler.interval=500ms";

/// What a scheduler can be told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Runs until a signal.
///
/// # Errors
///
/// What kept it from starting.
pub(crate) async fn run(global: &Global, _: Args) -> anyhow::Result<ExitCode> {
    let loaded = global.load(Vec::new())?;
    logging::to_stderr(&loaded.settings.log)?;
    logging::warn_of(&loaded);
    let database = parts::database_url(&loaded, "scheduler")?;
    let redis = parts::redis_url(&loaded, "scheduler")?;
    let dir = DataDir::open(&loaded.settings.data_dir)?;
    let shutdown = signals::shutdown()?;

    let store = parts::open_store(&loaded, &database).await?;
    let queues = parts::open_queues(&loaded, &redis, "scheduler").await?;
    let process = parts::start_process(&dir)?;
    let presence = Presence::new(store.clone(), process.uid(), "scheduler", None);
    let roles = Roles {
        scheduler: Some(mapping::scheduler(&loaded.settings, store.clone(), queues)),
        ..Roles::default()
    };
    tracing::info!("looking for due channels");
    roles.run(presence, shutdown).await?;
    store.close().await;
    Ok(ExitCode::SUCCESS)
}
