//! Asks before a request is sent whether its provider may be called, and tells the
//! fleet what came of it.
//!
//! One breaker per app and settings, shared through Redis. While all is well nothing
//! is asked of Redis for a single refresh: what a process met is told a few times a
//! second, and the turns of a budget are drawn by the handful. While Redis is away each process
//! goes by what it knew and what it meets itself.

mod alert;
mod line;
mod met;
mod turns;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache::Cache;
use domain::{
    Advice, BreakerRules, ChannelUid, FreshTokens, Met, ProviderName, Timestamp, full_jitter,
};
use providers::{Provider, Providers, RefreshError};
use store::Store;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use self::alert::Alerts;
use self::line::{Line, Taken};

/// How often a process tells what it met.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// A job waits so long in its slot for the budget; then it goes back to the queue.
const PATIENCE: Duration = Duration::from_secs(10);
/// Jobs rest at least and at most so many probe pauses while a breaker is open.
const RESTS: (u32, u32) = (2, 60);
/// Jobs that a provider held off come back within this after the hold.
const SPREAD: Duration = Duration::from_secs(30);

/// Breakers and budgets, as set by the operator.
#[derive(Clone, Debug, Default)]
pub struct BreakerSettings {
    /// When breakers open, and how they close.
    pub rules: BreakerRules,
    /// Requests a second of the whole fleet, by provider; none is no limit.
    pub budgets: BTreeMap<ProviderName, f64>,
}

/// All breakers of this process.
#[derive(Debug)]
pub(crate) struct Breakers {
    lines: HashMap<ProviderName, Arc<Line>>,
}

/// Whether a request may be sent.
pub(crate) enum Leave {
    /// It may; what comes of it is reported with this.
    Go(Pass),
    /// Not before this time, by Redis' clock.
    Wait(Timestamp),
    /// The process stops.
    Stopped,
}

/// Leave to refresh one channel.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// `None` where nothing is shared with other channels.
    line: Option<Arc<Line>>,
    is_probe: bool,
    /// Its place among those that prepare; `None` where nothing limits the rate.
    place: Mutex<Option<Place>>,
}

/// A place among those that take their lease and wait for their turn.
#[derive(Debug)]
struct Place(Arc<Line>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.turns().had();
    }
}

impl Breakers {
    /// Breakers of these providers, with what the fleet knows of them.
    pub(crate) fn new(
        providers: &Providers,
        settings: &BreakerSettings,
        (cache, store): (&Cache, &Store),
    ) -> Self {
        let alerts = Arc::new(Alerts::new(store.clone()));
        let mut by_name: HashMap<String, Arc<Line>> = HashMap::new();
        let mut lines = HashMap::new();
        for provider in providers.names() {
            let Some(upstream) = providers.get(provider).and_then(|it| it.upstream()) else {
                continue;
            };
            let name = format!("{} {}", upstream.identity, upstream.fingerprint);
            let line = by_name.entry(name.clone()).or_insert_with(|| {
                let budget = settings.budgets.get(provider).copied();
                let line = Line::new(name, upstream, settings.rules, cache.clone());
                Arc::new(line.with(budget, Arc::clone(&alerts)))
            });
            lines.insert(provider.clone(), Arc::clone(line));
        }
        Self { lines }
    }

    /// Tells the fleet what this process met, until `shutdown`, and once more then.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.tell().await;
        }
    }

    /// Tells all that was not told yet.
    pub(crate) async fn tell(&self) {
        for line in self.lines.values() {
            line.tell_if_needed().await;
        }
    }

    /// Asks for leave to refresh a channel of this provider; waits for a while until the budget
    /// has use for one more. Nothing must be held meanwhile that others wait for.
    pub(crate) async fn leave(
        &self,
        provider: &ProviderName,
        (stopping, cancelled): (&CancellationToken, &CancellationToken),
    ) -> Leave {
        let Some(line) = self.lines.get(provider) else {
            return Leave::Go(Pass::default());
        };
        tokio::select! {
            biased;
            asked = tokio::time::timeout(PATIENCE, line.leave()) => {
                asked.unwrap_or_else(|_| Leave::Wait(line.now().plus(full_jitter(PATIENCE))))
            }
            () = stopping.cancelled() => Leave::Stopped,
            // Nothing will be sent: the attempt finds out, and says so.
            () = cancelled.cancelled() => Leave::Go(Pass::default()),
        }
    }
}

impl Line {
    async fn leave(self: &Arc<Self>) -> Leave {
        self.refresh_knowledge().await;
        loop {
            let pass = |is_probe, place| {
                Leave::Go(Pass {
                    line: Some(Arc::clone(self)),
                    is_probe,
                    place: Mutex::new(place),
                })
            };
            match self.advice() {
                Advice::Go { per_second: None } => return pass(false, None),
                Advice::Go {
                    per_second: Some(rate),
                } => {
                    if self.turns().let_in(rate).await == Taken::Granted {
                        return pass(false, Some(Place(Arc::clone(self))));
                    }
                }
                Advice::Held { until } => {
                    return Leave::Wait(self.after_hold(until));
                }
                Advice::Open { since, probe_at } => {
                    if self.now() >= probe_at && self.take_probe().await == Taken::Granted {
                        return pass(true, None);
                    }
                    return Leave::Wait(self.after_rest(since));
                }
            }
        }
    }

    /// Waits for the next turn, if there is a limit; until when to wait instead, if the fleet
    /// leaves the provider alone meanwhile.
    async fn turn(&self) -> Option<Timestamp> {
        loop {
            match self.advice() {
                Advice::Go { per_second: None } => return None,
                Advice::Go {
                    per_second: Some(rate),
                } => {
                    if self.turns().take(rate).await == Taken::Granted {
                        return self.recalled();
                    }
                }
                Advice::Held { until } => return Some(self.after_hold(until)),
                Advice::Open { since, .. } => return Some(self.after_rest(since)),
            }
        }
    }

    /// Until when nothing is sent but probes, if so.
    fn recalled(&self) -> Option<Timestamp> {
        match self.advice() {
            Advice::Go { .. } => None,
            Advice::Held { until } => Some(self.after_hold(until)),
            Advice::Open { since, .. } => Some(self.after_rest(since)),
        }
    }

    /// When a job comes back that a provider held off.
    fn after_hold(&self, until: Timestamp) -> Timestamp {
        until.plus(full_jitter(until.since(self.now()).min(SPREAD)))
    }

    /// When a job comes back to an open breaker: soon at first, later if it stays open.
    fn after_rest(&self, since: Timestamp) -> Timestamp {
        let now = self.now();
        let every = self.rules().probe_every;
        let rest = (now.since(since) / 4).clamp(every * RESTS.0, every * RESTS.1);
        now.plus(rest / 2 + full_jitter(rest / 2))
    }
}

impl Pass {
    /// Waits for the turn of the first request, which must leave at once then. Says until when it
    /// should wait after all, because of what was met since the leave was given or because the
    /// budget has no turn; by Redis' clock.
    pub(crate) async fn turn(&self) -> Option<Timestamp> {
        let line = self.line.as_ref().filter(|_| !self.is_probe)?;
        if line.advice() == (Advice::Go { per_second: None }) {
            return None;
        }
        let turn = tokio::time::timeout(PATIENCE, line.turn()).await;
        drop(self.place().take());
        turn.unwrap_or_else(|_| Some(line.now().plus(full_jitter(PATIENCE))))
    }

    /// Takes one more turn for a further request of the same refresh, which leaves in any case:
    /// what was begun is not left half done. One that cannot wait is counted afterwards.
    pub(crate) async fn another_turn(&self, can_wait: bool) {
        let Some(line) = self.line.as_ref().filter(|_| !self.is_probe) else {
            return;
        };
        let is_limited = matches!(
            line.advice(),
            Advice::Go {
                per_second: Some(_)
            }
        );
        let waited = can_wait && tokio::time::timeout(PATIENCE, line.turn()).await.is_ok();
        if is_limited && !waited {
            line.turns().owe().await;
        }
    }

    /// Remembers what a good answer said of the app's budget at the provider.
    pub(crate) fn heard_usage(&self, percent: u8) {
        if let Some(line) = &self.line {
            line.hear(percent);
        }
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what came of the request; `unexplained` says that a refusal of the grant would come
    /// unexpected. If the breaker is open by that, says until when
    /// the channel should wait with what it has, as if nothing had been sent.
    pub(crate) async fn report(
        &self,
        answer: &Result<FreshTokens, RefreshError>,
        provider: &dyn Provider,
        (channel, unexplained): (ChannelUid, bool),
    ) -> Option<Timestamp> {
        let line = self.line.as_ref()?;
        let met = met::met(answer, provider, line.has_own_keys(), unexplained)?;
        let (is_trouble, is_urgent) = (met.is_trouble(), met.is_urgent());
        let is_denied = matches!(met, Met::Denied { .. });
        let sample = met::sample(answer);
        line.note(met, channel, sample, self.is_probe);
        if !is_urgent && !self.is_probe {
            return None;
        }
        line.tell().await;
        let since = line.open_since()?;
        let waits = is_trouble || (is_denied && line.doubts_refusals());
        waits.then(|| line.after_rest(since))
    }
}
