//! `tokenfleet keys retire`: a key that nothing needs any more.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use config::Loaded;
use store::{Escrow, Retirement};

use super::place::{Place, told};
use crate::escrow_files::EscrowFiles;
use crate::output::say;
use crate::parts;

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
pub(super) async fn run(loaded: &Loaded, place: &Place, args: &Args) -> anyhow::Result<ExitCode> {
    let id = &args.id;
    let waiting = in_escrow(loaded)
        .await?
        .iter()
        .filter(|key| *key == id)
        .count();
    if waiting > 0 {
        bail!(
            "'{id}' is still needed by {waiting} answers in escrow; workers store them as soon as \
             the database takes them"
        );
    }
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

/// The keys of the answers that wait, here and at other machines. A copy and its file
/// count twice.
///
/// # Errors
///
/// If Redis is set and does not answer: other machines' answers cannot be counted then.
async fn in_escrow(loaded: &Loaded) -> anyhow::Result<Vec<String>> {
    let files = EscrowFiles::in_dir(&loaded.settings.data_dir);
    let mut keys = files.sealed_with;
    keys.extend(files.left);
    if let Some(url) = parts::known_redis_url(loaded).await {
        let copies = parts::open_cache(loaded, &url)?.all_deposits().await;
        let copies = copies.context("the copies of answers in escrow cannot be counted")?;
        let readable = copies.iter().filter_map(|text| Escrow::parse(text).ok());
        keys.extend(readable.map(|escrow| escrow.sealed.key_id));
    }
    Ok(keys)
}
