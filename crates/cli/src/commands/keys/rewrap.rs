//! One round over everything that another key has sealed.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::ChannelUid;
use indicatif::ProgressBar;
use store::{Rewrapped, SealedGrant, Store};
use vault::{OpenError, Vault};

/// How fast it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tempo {
    /// Envelopes per transaction.
    pub(super) batch: u32,
    /// Pause between two transactions.
    pub(super) pause: Duration,
}

/// What one round found.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Envelopes that are stored under the new key.
    pub(super) rewrapped: u64,
    /// Envelopes that were in use or replaced just then: the next round looks again.
    pub(super) contended: u64,
    /// Keys that are not here, and how much they sealed.
    pub(super) lacking: BTreeMap<String, u64>,
    /// Channels whose envelope does not open with its key.
    pub(super) damaged: Vec<ChannelUid>,
}

impl Round {
    /// Whether nothing is left under another key.
    pub(super) fn is_empty(&self) -> bool {
        self.contended == 0 && self.lacking.is_empty() && self.damaged.is_empty()
    }
}

/// Wraps every envelope of another key anew that can be opened.
///
/// # Errors
///
/// If the database fails; what was wrapped stays so.
pub(super) async fn round(
    store: &Store,
    vault: &Vault,
    tempo: Tempo,
    bar: &ProgressBar,
) -> anyhow::Result<Round> {
    let target = vault.active_id();
    let mut round = Round::default();
    let mut after = None;
    loop {
        let found = store.sealed_by_others(&target, after, tempo.batch).await?;
        let Some(last) = found.last() else {
            return Ok(round);
        };
        after = Some(last.uid);
        let rewrapped = round.rewrap(vault, found);
        let wanted = u64::try_from(rewrapped.len()).unwrap_or(u64::MAX);
        let stored = store.store_rewrapped(rewrapped).await?;
        round.rewrapped += stored;
        round.contended += wanted - stored;
        bar.inc(stored);
        tokio::time::sleep(tempo.pause).await;
    }
}

impl Round {
    /// Wraps what opens, and notes what does not.
    fn rewrap(&mut self, vault: &Vault, found: Vec<SealedGrant>) -> Vec<Rewrapped> {
        let mut done = Vec::with_capacity(found.len());
        for before in found {
            match vault.rewrap(before.uid, &before.sealed) {
                Ok(after) => done.push(Rewrapped { before, after }),
                Err(OpenError::UnknownKey { key_id }) => {
                    *self.lacking.entry(key_id).or_default() += 1;
                }
                Err(OpenError::Unreadable { .. }) => self.damaged.push(before.uid),
            }
        }
        done
    }
}
