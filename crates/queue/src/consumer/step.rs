//! A worker's turn, as a call of Redis.

use std::time::Duration;

use redis::Cmd;

use super::settle::Settle;
use crate::error::QueueError;
use crate::job::JobView;
use crate::queues::Core;
use crate::record::{Owner, put};
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
    pub(crate) lost: Pairs,
    /// Jobs to be run.
    pub(crate) jobs: Pairs,
}

/// What is asked of Redis in one turn.
#[derive(Debug)]
pub(crate) struct Order {
    /// Jobs to be settled.
    pub(crate) settles: Vec<Settle>,
    /// Most jobs to be claimed.
    pub(crate) want: usize,
    /// Whether to look for jobs that are due and leases that have ended. A claim that finds too
    /// little tells when the next one is, looked or not.
    pub(crate) look: bool,
}

/// Keys and records, alternating; [`Core::claims`] reads them.
pub(crate) type Pairs = Vec<Vec<u8>>;

impl Core {
    /// Settles jobs, and claims others.
    ///
    /// After an error nobody knows whether it was done: what it may have claimed is
    /// found by `recover`, and what it may have settled is settled again.
    pub(crate) async fn step(&self, owner: &Owner, order: &Order) -> Result<Turn, QueueError> {
        let settings = &self.settings;
        let mut cmd = self.script(&STEP);
        cmd.arg(order.want)
            .arg(millis(settings.lease))
            .arg(owner)
            .arg(settings.keep_completed)
            .arg(settings.keep_failed)
            .arg(settings.poison_after)
            .arg(u8::from(order.look));
        let sent = add_settles(&mut cmd, &order.settles);
        let answer: (String, u8, i64, Pairs, Pairs) = self.call_once(&STEP, &cmd).await?;
        let (letters, more, next_ms, lost, jobs) = answer;
        if letters.len() != sent.len() {
            return Err(QueueError::Answer(self.name.to_string()));
        }
        let mut in_order = vec![0; sent.len()];
        for (at, letter) in sent.into_iter().zip(letters.into_bytes()) {
            in_order[at] = letter;
        }
        Ok(Turn {
            letters: in_order,
            more: more == 1,
            next_in: u64::try_from(next_ms).ok().map(Duration::from_millis),
            lost,
            jobs,
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

/// Adds settles as `lua/turn.lua` takes them; answers in which order they went.
///
/// Nearly all jobs are done at the version they were claimed at, and many of them were
/// claimed together: those need no more than their ids.
fn add_settles(cmd: &mut Cmd, settles: &[Settle]) -> Vec<usize> {
    let (mut plain, mut order): (Vec<usize>, Vec<usize>) =
        (0..settles.len()).partition(|at| settles[*at].is_plain());
    plain.sort_by_key(|at| settles[*at].claim());
    cmd.arg(order.len());
    let mut line = Vec::new();
    for at in &order {
        settles[*at].encode(&mut line);
        cmd.arg(&*line);
    }
    for group in plain.chunk_by(|a, b| settles[*a].claim() == settles[*b].claim()) {
        let (fence, tenant) = settles[group[0]].claim();
        line.clear();
        put(&mut line, fence, 7);
        cmd.arg(&*line).arg(tenant).arg(group.len());
        for at in group {
            cmd.arg(settles[*at].id.local());
        }
    }
    order.append(&mut plain);
    order
}

/// A duration as scripts take it.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
