//! `tokenfleet keys retire`: a key that nothing needs any more.

use std::process::ExitCode;

use anyhow::bail;
use store::Retirement;

use super::place::{Place, told};
use crate::output::say;

/// Which key.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The key's id
    id: String,
}

/// Retires a key.
///
/// # Errors
///
/// If it seals, or something still needs it: says what, and how much.
pub(super) async fn run(place: &Place, args: &Args) -> anyhow::Result<ExitCode> {
    let id = &args.id;
    match place.store.retire_key(id).await? {
        Retirement::Retired => {
            say(format_args!(
                "nothing needs '{id}': take it out of {} and restart the processes one by one",
                place.origin
            ));
            Ok(ExitCode::SUCCESS)
        }
        Retirement::Active => {
            bail!("'{id}' is the key that seals; run `tokenfleet keys rotate` to another one first")
        }
        Retirement::Unknown => bail!("the fleet does not know a key '{id}'"),
        Retirement::Needed { sealed, processes } if processes.is_empty() => bail!(
            "'{id}' is still needed by {} channels and {} webhooks; run `tokenfleet keys rotate`",
            sealed.channels,
            sealed.webhooks
        ),
        Retirement::Needed { sealed, processes } => bail!(
            "'{id}' is still needed by {} channels and {} webhooks, and {} processes seal with \
             it: {}; run `tokenfleet keys rotate`",
            sealed.channels,
            sealed.webhooks,
            processes.len(),
            told(&processes)
        ),
    }
}
