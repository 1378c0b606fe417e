//! `tokenfleet migrate`: the database's schema.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use secrecy::SecretString;
use store::{MigrationStatus, Store};

use crate::args::Global;
use crate::data_dir::DataDir;
use crate::output::say;
use crate::{logging, parts};

const EXAMPLES: &str = "\
It works on DATABASE_URL, else on the database of `up` in the data directory.

Examples:
  tokenfleet migrate status       exits with 1 if something is pending
  tokenfleet migrate up           several processes may do so at once
  tokenfleet migrate down --steps 1 --yes";

/// What to do with the schema.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Apply what is pending
    Up,
    /// Take the latest migrations back, with the data in their tables
    Down {
        /// How many
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// The data in their tables may be lost
        #[arg(long, required = true)]
        yes: bool,
    },
    /// List all migrations
    Status,
}

/// Works on the schema.
///
/// # Errors
///
/// If the database cannot be reached or a migration fails.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let loaded = global.load(Vec::new())?;
    logging::to_stderr(&loaded.settings.log)?;
    let url: SecretString = match &loaded.settings.database.url {
        Some(url) => url.clone(),
        None => DataDir::open(&loaded.settings.data_dir)?.database_url(),
    };
    let store = parts::open_database(&loaded, &url).await?;
    let ended = act(&store, &args.action).await;
    store.close().await;
    ended
}

async fn act(store: &Store, action: &Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::Up => {
            store.migrate_up().await.map_err(parts::explain_schema)?;
            say("the schema is up to date");
        }
        Action::Down { steps, .. } => {
            let context = || format!("cannot take {steps} migrations back");
            store.migrate_down(*steps).await.with_context(context)?;
            say(format_args!("{steps} taken back"));
        }
        Action::Status => return status(store).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn status(store: &Store) -> anyhow::Result<ExitCode> {
    let mut as_it_should_be = true;
    for migration in store.migrations().await? {
        let (state, name) = match &migration {
            MigrationStatus::Applied(name) => ("applied", name),
            MigrationStatus::Pending(name) => ("pending", name),
            MigrationStatus::Newer(name) => ("newer", name),
        };
        as_it_should_be &= state == "applied";
        say(format_args!("{state:8} {name}"));
    }
    Ok(if as_it_should_be {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
