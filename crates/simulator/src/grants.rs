//! The grants that live in the simulator, sharded so that no lock is held for long.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use domain::{GrantKind, Timestamp};
use serde::Serialize;

use crate::scenario::Effect;
use crate::usage::{Sums, Usage};
use crate::{Minted, RepeatedPair, Scenario};

const SHARDS: u32 = 64;
/// Tokens that one grant remembers; the one out of use for longest is forgotten
/// first, and taken for expired.
const ISSUED_MAX: usize = 32;

/// One account's consent at one provider, with everything issued under it.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) number: u32,
    /// Index of the provider in the registry.
    pub(crate) provider: usize,
    pub(crate) kind: Option<GrantKind>,
    /// The name under which tenants import it, if that is not the provider's own.
    pub(crate) guise: Option<&'static str>,
    pub(crate) scenario: Scenario,
    /// How often the scenario has acted.
    pub(crate) acted: u32,
    /// Of the newest credentials; the first have 1, none have 0.
    pub(crate) generation: u32,
    pub(crate) issued: Vec<Issued>,
    /// The end of the newest refresh token, where there is one.
    pub(crate) refresh_expires_at: Option<Timestamp>,
    /// Seconds that every later access token lives, in place of the provider's setting.
    pub(crate) renewed_secs: Option<u64>,
    /// Whether the person or the provider ended the grant.
    pub(crate) revoked: bool,
    /// The tail of a declared credential, such as `ok-demo` of `key_ok-demo`.
    pub(crate) declared: Option<Box<str>>,
    pub(crate) usage: Usage,
}

/// A token with a life of its own.
#[expect(
    clippy::struct_field_names,
    reason = "the name of an instant says when"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) purpose: u8,
    pub(crate) generation: u32,
    pub(crate) issued_at: Timestamp,
    /// `None` if it never expires.
    pub(crate) expires_at: Option<Timestamp>,
}

impl Issued {
    /// Whether it is past its end.
    pub(crate) fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl Grant {
    /// A grant without credentials.
    pub(crate) fn new(number: u32, provider: usize) -> Self {
        Self {
            number,
            provider,
            kind: None,
            guise: None,
            scenario: Scenario::default(),
            acted: 0,
            generation: 0,
            issued: Vec::new(),
            refresh_expires_at: None,
            renewed_secs: None,
            revoked: false,
            declared: None,
            usage: Usage::default(),
        }
    }

    /// Notes a token as issued.
    pub(crate) fn issue(&mut self, token: Issued) {
        if self.issued.len() == ISSUED_MAX {
            self.issued.remove(0);
        }
        self.issued.push(token);
    }

    /// The newest token for this purpose.
    pub(crate) fn newest(&self, purpose: u8) -> Option<Issued> {
        let mut newest_first = self.issued.iter().rev();
        newest_first.find(|t| t.purpose == purpose).copied()
    }

    /// The token for this purpose that was issued with this generation.
    pub(crate) fn issued_with(&self, purpose: u8, generation: u32) -> Option<Issued> {
        let mut newest_first = self.issued.iter().rev();
        newest_first
            .find(|t| t.purpose == purpose && t.generation == generation)
            .copied()
    }

    /// What the scenario does to a request at `endpoint`; a refresh uses it up once.
    pub(crate) fn act(&mut self, endpoint: &str, refreshes: bool) -> Effect {
        let effect = self.scenario.effect(self.acted);
        match effect {
            Effect::Ok => return effect,
            Effect::Fault(_) if !refreshes => return Effect::Ok,
            Effect::Special(special) if special.at.is_some_and(|at| at != endpoint) => {
                return Effect::Ok;
            }
            Effect::Fault(_) | Effect::Special(_) => {}
        }
        self.acted += u32::from(refreshes);
        effect
    }
}

/// What is known about one grant.
#[derive(Debug, Serialize)]
pub struct GrantView {
    /// The grant's id, `<provider>-<number>`.
    pub id: String,
    /// The provider's name.
    pub provider: &'static str,
    /// What Meta tells apart.
    pub kind: Option<GrantKind>,
    /// What its refreshes go through.
    pub scenario: String,
    /// Of the newest credentials; the first have 1.
    pub generation: u32,
    /// Whether it was ended: by hand, or because a spent token was used again.
    pub revoked: bool,
    /// The end of the newest access token; `None` if it has none, or there is no token.
    pub expires_at: Option<Timestamp>,
    /// The end of the newest refresh token, where there is one.
    pub refresh_expires_at: Option<Timestamp>,
    /// Requests that named it.
    pub requests: u64,
    /// Requests that brought it new credentials.
    pub refreshes: u64,
    /// Requests that presented a spent refresh token of it.
    pub reuses: u64,
    /// Requests that met another one of it under way.
    pub overlaps: u64,
    /// Its newest tokens by name, as [`crate::fingerprint`]s.
    pub fingerprints: BTreeMap<String, String>,
    /// Its newest tokens themselves, only if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revealed: Option<Minted>,
}

/// All grants.
pub(crate) struct Grants {
    shards: Vec<Mutex<HashMap<u32, Grant>>>,
    next: AtomicU32,
    declared: RwLock<HashMap<(usize, Box<str>), u32>>,
}

impl Grants {
    /// No grants; the first number is 1.
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            next: AtomicU32::new(1),
            declared: RwLock::default(),
        }
    }

    /// The first of `count` numbers that nobody else gets.
    pub(crate) fn reserve(&self, count: u32) -> u32 {
        self.next.fetch_add(count, Ordering::Relaxed)
    }

    /// Adds a grant, or replaces the one with its number.
    pub(crate) fn insert(&self, grant: Grant) {
        self.shard(grant.number).insert(grant.number, grant);
    }

    /// Does something with a grant while nobody else does; `None` if there is none
    /// with this number at this provider.
    pub(crate) fn with<R>(
        &self,
        provider: usize,
        number: u32,
        act: impl FnOnce(&mut Grant) -> R,
    ) -> Option<R> {
        let mut shard = self.shard(number);
        let grant = shard.get_mut(&number)?;
        (grant.provider == provider).then(|| act(grant))
    }

    /// The grant that a declared credential stands for; made by `make` if it is the first time.
    pub(crate) fn declared(
        &self,
        provider: usize,
        tail: &str,
        make: impl FnOnce(u32) -> Option<Grant>,
    ) -> Option<u32> {
        let key = (provider, Box::from(tail));
        let known = self.declared.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.get(&key) {
            return Some(*number);
        }
        drop(known);
        let mut known = self
            .declared
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.get(&key) {
            return Some(*number);
        }
        let mut grant = make(self.reserve(1))?;
        grant.declared = Some(key.1.clone());
        let number = grant.number;
        self.insert(grant);
        known.insert(key, number);
        Some(number)
    }

    /// Calls `see` with every grant, shard by shard, in no order.
    pub(crate) fn each(&self, mut see: impl FnMut(&mut Grant)) {
        for shard in &self.shards {
            lock(shard).values_mut().for_each(&mut see);
        }
    }

    /// The numbers of all grants, oldest first.
    pub(crate) fn numbers(&self, provider: Option<usize>) -> Vec<u32> {
        let mut numbers = Vec::new();
        self.each(|grant| {
            if provider.is_none_or(|wanted| wanted == grant.provider) {
                numbers.push(grant.number);
            }
        });
        numbers.sort_unstable();
        numbers
    }

    /// How often generations were presented, and up to `limit` of those that
    /// were presented more than once.
    pub(crate) fn usage(
        &self,
        limit: usize,
        name: impl Fn(usize) -> &'static str,
    ) -> (Sums, Vec<RepeatedPair>) {
        let mut sums = Sums::default();
        let mut repeated = Vec::new();
        self.each(|grant| {
            sums.merge(grant.usage.sums());
            let pairs = grant.usage.pairs().filter(|pair| pair.requests > 1);
            repeated.extend(pairs.map(|pair| (grant.number, grant.provider, *pair)));
        });
        repeated.sort_unstable_by_key(|(number, _, pair)| (*number, pair.generation));
        repeated.truncate(limit);
        let pairs = repeated
            .into_iter()
            .map(|(number, provider, pair)| RepeatedPair {
                grant: id(name(provider), number),
                generation: pair.generation,
                requests: pair.requests,
                refreshes: pair.refreshes,
            });
        (sums, pairs.collect())
    }

    fn shard(&self, number: u32) -> MutexGuard<'_, HashMap<u32, Grant>> {
        let at = usize::try_from(number % SHARDS).expect("a number below 64 is a usize");
        lock(&self.shards[at])
    }
}

/// The id of a grant, as people and programs see it.
pub(crate) fn id(provider: &str, number: u32) -> String {
    format!("{provider}-{number}")
}

/// The provider and the number of an id.
pub(crate) fn parse_id(id: &str) -> Option<(&str, u32)> {
    let (provider, number) = id.rsplit_once('-')?;
    Some((provider, number.parse().ok()?))
}

// A panic under the lock leaves one grant half changed, which a simulator survives.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
