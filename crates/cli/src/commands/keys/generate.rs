//! `tokenfleet keys generate`: a new key that nothing uses yet.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::bail;
use config::Loaded;
use secrecy::ExposeSecret as _;
use vault::KeyRing;

use crate::data_dir::DataDir;
use crate::output::{note, say};
use crate::parts;

/// What the key is called, and where it goes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The key's id, 1 to 32 of A-Z, a-z, 0-9, _ and - [default: k1, k2, …]
    id: Option<String>,
    /// Add it to the keys of `up` in the data directory instead of printing it
    #[arg(long)]
    save: bool,
}

/// Makes a key.
///
/// # Errors
///
/// If the id is in use or none, or the key cannot be kept.
pub(super) async fn run(loaded: &Loaded, args: Args) -> anyhow::Result<ExitCode> {
    let known = known_ids(loaded).await?;
    let id = match args.id {
        Some(id) if known.contains(&id) => {
            bail!("there is a key '{id}' already; an id is never given twice")
        }
        Some(id) => id,
        None => first_free(&known),
    };
    let key = KeyRing::generate(&id);
    KeyRing::parse(&key)?;
    if args.save {
        return save(loaded, &id, &key);
    }
    say(key.expose_secret());
    note(
        "keep it as safe as the database; add it to TOKENFLEET_MASTER_KEYS after the other keys, \
         restart the processes one by one, then run `tokenfleet keys rotate`",
    );
    Ok(ExitCode::SUCCESS)
}

fn save(loaded: &Loaded, id: &str, key: &secrecy::SecretString) -> anyhow::Result<ExitCode> {
    if loaded.settings.master_keys.is_some() {
        bail!(
            "the keys come from {}: add the new one there; --save is for `up` with keys of its own",
            loaded.told("master_keys")
        );
    }
    let path = DataDir::open(&loaded.settings.data_dir)?.add_master_key(key)?;
    say(format_args!(
        "added '{id}' to {}: back it up, restart `up`, then run `tokenfleet keys rotate`",
        path.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The ids that are taken: here, and in the database if there is one.
async fn known_ids(loaded: &Loaded) -> anyhow::Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    if let Some((keys, origin)) = parts::known_master_keys(loaded)? {
        let ring = KeyRing::parse(&keys).map_err(|error| anyhow::anyhow!("{origin}: {error}"))?;
        known.extend(ring.ids().map(str::to_owned));
    }
    if let Some(url) = parts::known_database_url(loaded) {
        let store = parts::open_store(loaded, &url).await?;
        known.extend(store.known_keys().await?.into_iter().map(|key| key.id));
        store.close().await;
    }
    Ok(known)
}

fn first_free(known: &BTreeSet<String>) -> String {
    (1..=known.len() + 1)
        .map(|number| format!("k{number}"))
        .find(|id| !known.contains(id))
        .expect("one number more than there are keys")
}
