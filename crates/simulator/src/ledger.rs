//! Every request to a provider, in a bounded record and in totals.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::token::hex;
use crate::{FaultKind, grants};

const SHARDS: usize = 16;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It got what it asked for.
    Ok,
    /// It was told why not.
    Refused,
    /// It was told to come back later (HTTP 429).
    Throttled,
    /// It met a 5xx.
    Failed,
    /// Its connection was cut by a fault, or by the simulator's own end.
    Cut,
    /// Its sender left before the answer.
    Abandoned,
}

/// One request to a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Counts all requests, from 1, in the order in which they came.
    pub seq: u64,
    /// The provider's name.
    pub provider: &'static str,
    /// Which of its endpoints; `unknown` if it has none like this.
    pub endpoint: &'static str,
    /// Whose credentials were presented; `None` if nobody's.
    pub grant: Option<String>,
    /// The generation of the presented token, or for a key that of the newest token.
    pub generation: Option<u32>,
    /// [`crate::fingerprint`] of the presented token or key.
    pub token: Option<String>,
    /// Port of the sender's end of its connection: who puts something in between can tell
    /// senders apart by it.
    pub port: u16,
    /// Milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Milliseconds since the Unix epoch.
    pub finished_ms: i64,
    /// HTTP status; `None` if there was no answer.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's own code for a refusal, such as `190/463` or `invalid_grant`.
    pub code: Option<&'static str>,
    /// What the simulator did to it.
    pub fault: Option<FaultKind>,
    /// Whether the grant has new credentials by it, answered or not.
    pub refreshed: bool,
    /// Whether a spent refresh token was presented.
    pub reuse: bool,
    /// Whether another request for the same grant was under way at the same time.
    pub overlap: bool,
}

/// Which entries to show.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this grant only.
    pub grant: Option<String>,
    /// Of this provider only.
    pub provider: Option<String>,
    /// The newest so many; `None` shows all that are kept.
    pub limit: Option<usize>,
}

/// What happened since the start or the last clearing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// All requests to providers.
    pub requests: u64,
    /// Requests that brought new credentials.
    pub refreshes: u64,
    /// Requests that presented a spent refresh token.
    pub reuses: u64,
    /// Requests that met another one of the same grant under way.
    pub overlaps: u64,
    /// Entries that can be read.
    pub kept: usize,
    /// The same by provider.
    pub providers: BTreeMap<&'static str, ProviderTotals>,
    /// Generations of grants that were presented for a refresh at least once.
    pub generations: u64,
    /// Of these, more than once: retries, or two refreshers.
    pub generations_repeated: u64,
    /// Of these, refreshed more than once.
    pub generations_doubled: u64,
    /// The first 1,000 of the repeated ones.
    pub repeated: Vec<RepeatedPair>,
}

/// A generation of a grant that was presented for a refresh more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepeatedPair {
    /// The grant's id.
    pub grant: String,
    /// The generation of the presented token.
    pub generation: u32,
    /// How often it was presented.
    pub requests: u32,
    /// How often that brought new credentials.
    pub refreshes: u32,
}

/// The requests to one provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProviderTotals {
    /// All of them.
    pub requests: u64,
    /// Those that brought new credentials, answered or not.
    pub refreshes: u64,
    /// Those that presented a spent refresh token.
    pub reuses: u64,
    /// Those that met another one of the same grant under way.
    pub overlaps: u64,
    /// Those that met a fault by the simulator's will.
    pub faults: u64,
    /// [`Outcome::Ok`].
    pub ok: u64,
    /// [`Outcome::Refused`].
    pub refused: u64,
    /// [`Outcome::Throttled`].
    pub throttled: u64,
    /// [`Outcome::Failed`].
    pub failed: u64,
    /// [`Outcome::Cut`].
    pub cut: u64,
    /// [`Outcome::Abandoned`].
    pub abandoned: u64,
}

/// An [`Entry`] as it is kept: no text of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) seq: u64,
    pub(crate) provider: usize,
    pub(crate) endpoint: &'static str,
    pub(crate) grant: Option<u32>,
    pub(crate) generation: Option<u32>,
    pub(crate) token: Option<[u8; 32]>,
    pub(crate) port: u16,
    pub(crate) started_ms: i64,
    pub(crate) finished_ms: i64,
    pub(crate) status: Option<u16>,
    pub(crate) outcome: Outcome,
    pub(crate) code: Option<&'static str>,
    pub(crate) fault: Option<FaultKind>,
    pub(crate) refreshed: bool,
    pub(crate) reuse: bool,
    pub(crate) overlap: bool,
}

impl Record {
    fn entry(&self, provider: &'static str) -> Entry {
        Entry {
            seq: self.seq,
            provider,
            endpoint: self.endpoint,
            grant: self.grant.map(|number| grants::id(provider, number)),
            generation: self.generation,
            token: self.token.map(|digest| hex(&digest)),
            port: self.port,
            started_ms: self.started_ms,
            finished_ms: self.finished_ms,
            status: self.status,
            outcome: self.outcome,
            code: self.code,
            fault: self.fault,
            refreshed: self.refreshed,
            reuse: self.reuse,
            overlap: self.overlap,
        }
    }
}

/// The record of all requests.
pub(crate) struct Ledger {
    names: Vec<&'static str>,
    next: AtomicU64,
    shard_capacity: usize,
    shards: Vec<Mutex<VecDeque<Record>>>,
    totals: Vec<Mutex<ProviderTotals>>,
}

impl Ledger {
    /// An empty one for the providers with these names; it keeps `capacity` entries or a few more.
    pub(crate) fn new(names: Vec<&'static str>, capacity: usize) -> Self {
        Self {
            next: AtomicU64::new(1),
            shard_capacity: capacity.div_ceil(SHARDS),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            totals: names.iter().map(|_| Mutex::default()).collect(),
            names,
        }
    }

    /// The number of the next request.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps a request that ended.
    pub(crate) fn push(&self, record: Record) {
        add(&mut lock(&self.totals[record.provider]), &record);
        if self.shard_capacity == 0 {
            return;
        }
        let at = record.seq % u64::try_from(SHARDS).expect("16 is a u64");
        let mut shard = lock(&self.shards[usize::try_from(at).expect("at is below 16")]);
        if shard.len() >= self.shard_capacity {
            shard.pop_front();
        }
        shard.push_back(record);
    }

    /// The kept entries that pass, oldest first.
    pub(crate) fn entries(&self, filter: &Filter) -> Vec<Entry> {
        let wanted = filter.grant.as_deref().map(grants::parse_id);
        let mut found = Vec::new();
        for shard in &self.shards {
            let passes = |record: &&Record| {
                let name = self.names[record.provider];
                let of_grant = wanted.is_none_or(|wanted| {
                    wanted.is_some_and(|(p, n)| p == name && record.grant == Some(n))
                });
                of_grant && filter.provider.as_deref().is_none_or(|p| p == name)
            };
            found.extend(lock(shard).iter().filter(passes).copied());
        }
        found.sort_unstable_by_key(|record| record.seq);
        let skipped = found.len() - filter.limit.unwrap_or(found.len()).min(found.len());
        let shown = found.iter().skip(skipped);
        shown
            .map(|record| record.entry(self.names[record.provider]))
            .collect()
    }

    /// Totals by provider and over all; what grants know is left empty.
    pub(crate) fn summary(&self) -> Summary {
        let totals = self.names.iter().zip(&self.totals);
        let providers: BTreeMap<_, _> = totals.map(|(name, sum)| (*name, *lock(sum))).collect();
        let sum = |of: fn(&ProviderTotals) -> u64| providers.values().map(of).sum();
        Summary {
            requests: sum(|p| p.requests),
            refreshes: sum(|p| p.refreshes),
            reuses: sum(|p| p.reuses),
            overlaps: sum(|p| p.overlaps),
            kept: self.shards.iter().map(|shard| lock(shard).len()).sum(),
            providers,
            ..Summary::default()
        }
    }

    /// Forgets all that ended.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            lock(shard).clear();
        }
        for totals in &self.totals {
            *lock(totals) = ProviderTotals::default();
        }
    }
}

fn add(totals: &mut ProviderTotals, record: &Record) {
    totals.requests += 1;
    totals.refreshes += u64::from(record.refreshed);
    totals.reuses += u64::from(record.reuse);
    totals.overlaps += u64::from(record.overlap);
    totals.faults += u64::from(record.fault.is_some());
    *match record.outcome {
        Outcome::Ok => &mut totals.ok,
        Outcome::Refused => &mut totals.refused,
        Outcome::Throttled => &mut totals.throttled,
        Outcome::Failed => &mut totals.failed,
        Outcome::Cut => &mut totals.cut,
        Outcome::Abandoned => &mut totals.abandoned,
    } += 1;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
