//! A worker's turn, as a call of Redis.

use std::time::Duration;

use super::settle::Settle;
use crate::error::QueueError;
use crate::job::JobView;
use crate::queues::Core;
use crate::record::Owner;
use crate::script::STEP;

/// A job whose lease Redis gave us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// As it was claimed.
    pub(crate) view: JobView,
    /// What tells this claim from all others of the job.
    pub(crate) fence: u64,
}

/// What a turn came to.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Per settle: its letter, `C` if a cancellation came first, `X` if the job was no longer ours.
    pub(crate) letters: Vec<u8>,
    /// More is waiting.
    pub(crate) more: bool,
    /// Until something is due, or a lease ends.
    pub(crate) next_in: Option<Duration>,
    /// Jobs that cost too many workers their lease, or were cancelled and lost: to be ended by us.
    pub(crate) lost: Vec<Claim>,
    /// Jobs to be run.
    pub(crate) jobs: Vec<Claim>,
}

/// Keys and records, alternating.
type Pairs = Vec<Vec<u8>>;

impl Core {
    /// Settles jobs, and claims up to `want` others.
    ///
    /// After an error nobody knows whether it was done: what it may have claimed is
    /// found by `recover`, and what it may have settled is settled again.
    pub(crate) async fn step(
        &self,
        owner: &Owner,
        settles: &[Settle],
        want: usize,
    ) -> Result<Turn, QueueError> {
        let settings = &self.settings;
        let mut cmd = self.script(&STEP);
        cmd.arg(want)
            .arg(millis(settings.lease))
            .arg(owner)
            .arg(settings.keep_completed)
            .arg(settings.keep_failed)
            .arg(settings.poison_after);
        let mut line = Vec::new();
        for settle in settles {
            settle.encode(&mut line);
            cmd.arg(&*line);
        }
        let answer: (String, u8, i64, Pairs, Pairs) = self.call_once(&STEP, &cmd).await?;
        let (letters, more, next_ms, lost, jobs) = answer;
        Ok(Turn {
            letters: letters.into_bytes(),
            more: more == 1,
            next_in: u64::try_from(next_ms).ok().map(Duration::from_millis),
            lost: self.claims(&lost),
            jobs: self.claims(&jobs),
        })
    }

    /// Claims from keys and records; those of another version are left to their lease.
    pub(crate) fn claims(&self, pairs: &[Vec<u8>]) -> Vec<Claim> {
        let mut claims = Vec::with_capacity(pairs.len() / 2);
        for pair in pairs.chunks_exact(2) {
            let key = String::from_utf8_lossy(&pair[0]);
            match self.decode(&pair[1]) {
                Ok(record) => claims.push(Claim {
                    fence: record.fence,
                    view: record.view(&self.name, &key),
                }),
                Err(error) => {
                    tracing::error!(queue = %self.name, job.key = %key, error = %error, "a job cannot be read");
                }
            }
        }
        claims
    }
}

/// A duration as scripts take it.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
