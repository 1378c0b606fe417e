//! `tokenfleet keys`: the master keys, and moving from one to the next under a running fleet.

mod generate;
mod place;
mod retire;
mod rewrap;
mod rotate;
mod status;

use std::process::ExitCode;

use clap::Subcommand;

use self::place::Place;
use crate::args::Global;
use crate::logging;

const EXAMPLES: &str = "\
The commands work on the database and the keys themselves: on DATABASE_URL and
TOKENFLEET_MASTER_KEYS, else on those of `up` in the data directory.

From one key to the next:
  1. tokenfleet keys generate      a new key; add it to TOKENFLEET_MASTER_KEYS, after the others
                                   (for `up` with keys of its own: keys generate --save)
  2. restart the processes one by one, so that each of them has it
  3. tokenfleet keys rotate        seals with it, and wraps what the old one sealed; may be stopped
                                   and run again at any time, the fleet works on
  4. tokenfleet keys retire k1     refused while anything needs k1; then take it out of the setting

Examples:
  tokenfleet keys status
  tokenfleet keys rotate --to k2 --pause-ms 20
  tokenfleet keys status --json";

/// What to do with the keys.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a new key and print it; nothing uses it yet
    Generate(generate::Args),
    /// Seal with another key, and wrap with it what older ones sealed
    Rotate(rotate::Args),
    /// Note that a key is needed no more; refused while something needs it
    Retire(retire::Args),
    /// Every key: what it sealed, and who has it
    Status(status::Args),
}

/// Works on the keys.
///
/// # Errors
///
/// If keys or database cannot be used, or the action is refused.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let loaded = global.load(Vec::new())?;
    logging::to_stderr(&loaded.settings.log)?;
    if let Action::Generate(args) = args.action {
        return generate::run(&loaded, args).await;
    }
    let place = Place::open(&loaded).await?;
    let ended = match &args.action {
        Action::Rotate(args) => rotate::run(&place, args).await,
        Action::Retire(args) => retire::run(&loaded, &place, args).await,
        Action::Status(args) => status::run(&place, args).await,
        Action::Generate(_) => Ok(ExitCode::SUCCESS),
    };
    place.store.close().await;
    ended
}
