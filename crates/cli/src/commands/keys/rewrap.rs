//! One round over everything that another key has sealed.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{ChannelUid, EndpointUid};
use indicatif::ProgressBar;
use store::{Holding, Rewrapped, SealedValue, Store};
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
    /// Webhook endpoints whose secret does not.
    pub(super) damaged_webhooks: Vec<EndpointUid>,
}

impl Round {
    /// Whether nothing is left under another key.
    pub(super) fn is_empty(&self) -> bool {
        let damaged = self.damaged.len() + self.damaged_webhooks.len();
        self.contended == 0 && self.lacking.is_empty() && damaged == 0
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
    let mut round = Round::default();
    for holding in Holding::ALL {
        round.over(holding, (store, vault), tempo, bar).await?;
    }
    Ok(round)
}

impl Round {
    async fn over(
        &mut self,
        holding: Holding,
        (store, vault): (&Store, &Vault),
        tempo: Tempo,
        bar: &ProgressBar,
    ) -> anyhow::Result<()> {
        let target = vault.active_id();
        let mut after = None;
        loop {
            let found = store
                .sealed_by_others(holding, &target, after, tempo.batch)
                .await?;
            let Some(last) = found.last() else {
                return Ok(());
            };
            after = Some(last.owner);
            let rewrapped = self.rewrap(holding, vault, found);
            let wanted = u64::try_from(rewrapped.len()).unwrap_or(u64::MAX);
            let stored = store.store_rewrapped(holding, rewrapped).await?;
            self.rewrapped += stored;
            self.contended += wanted - stored;
            bar.inc(stored);
            tokio::time::sleep(tempo.pause).await;
        }
    }

    /// Wraps what opens, and notes what does not.
    fn rewrap(
        &mut self,
        holding: Holding,
        vault: &Vault,
        found: Vec<SealedValue>,
    ) -> Vec<Rewrapped> {
        let mut done = Vec::with_capacity(found.len());
        for before in found {
            match vault.rewrap(before.owner, &before.sealed) {
                Ok(after) => done.push(Rewrapped { before, after }),
                Err(OpenError::UnknownKey { key_id }) => {
                    *self.lacking.entry(key_id).or_default() += 1;
                }
                Err(OpenError::Unreadable { .. }) => match holding {
                    Holding::Channels => self.damaged.push(ChannelUid(before.owner)),
                    Holding::Webhooks => self.damaged_webhooks.push(EndpointUid(before.owner)),
                },
            }
        }
        done
    }
}
