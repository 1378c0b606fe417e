//! One breaker and one budget, as this process knows them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache::{Cache, CacheError, Slip, Swapped};
use domain::{
    Advice, Alert, AppUsage, Breaker, BreakerRules, ChannelUid, Clock as _, Met, SystemClock,
    Tally, Timestamp,
};
use providers::Upstream;
use tokio::time::Instant;

use super::alert::Alerts;
use super::turns::Turns;
use crate::monotonic::{Monotonic, uptime};

/// What is known is good for so long; then one job looks.
const FRESH: Duration = Duration::from_secs(1);
/// Changes of others that a change of ours is made anew after.
const TRIES: usize = 20;

/// Whether something that is shared was there to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Granted,
    Not,
}

/// What fails together, and is called together.
#[derive(Debug)]
pub(super) struct Line {
    name: String,
    upstream: Upstream,
    rules: BreakerRules,
    budget: Option<f64>,
    cache: Cache,
    alerts: Option<Arc<Alerts>>,
    known: Mutex<Known>,
    /// Held by the one that talks to Redis about the breaker.
    telling: tokio::sync::Mutex<()>,
    turns: Turns,
}

/// What this process knows, and has not told.
#[derive(Debug, Default)]
struct Known {
    breaker: Breaker,
    clock: Option<Monotonic>,
    asked_at: Option<Instant>,
    tally: Tally,
}

impl Line {
    pub(super) fn new(name: String, upstream: Upstream, rules: BreakerRules, cache: Cache) -> Self {
        Self {
            turns: Turns::new(name.clone(), cache.clone()),
            name,
            upstream,
            rules,
            budget: None,
            cache,
            alerts: None,
            known: Mutex::default(),
            telling: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn with(mut self, budget: Option<f64>, alerts: Arc<Alerts>) -> Self {
        self.budget = budget;
        self.alerts = Some(alerts);
        self
    }

    pub(super) const fn rules(&self) -> &BreakerRules {
        &self.rules
    }

    pub(super) const fn has_own_keys(&self) -> bool {
        self.upstream.own_keys
    }

    /// When each request of a limited rate may leave.
    pub(super) const fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Redis' time; this machine's as long as Redis was never asked.
    pub(super) fn now(&self) -> Timestamp {
        let clock = self.known().clock;
        clock.map_or_else(|| SystemClock.now(), |clock| clock.now())
    }

    pub(super) fn advice(&self) -> Advice {
        let now = self.now();
        self.known().breaker.advice(self.budget, now)
    }

    /// Since when it is open, if it is.
    pub(super) fn open_since(&self) -> Option<Timestamp> {
        match self.advice() {
            Advice::Open { since, .. } => Some(since),
            Advice::Go { .. } | Advice::Held { .. } => None,
        }
    }

    /// Whether refusals of grants are the app's trouble at the moment.
    pub(super) fn doubts_refusals(&self) -> bool {
        self.known().breaker.doubts_refusals()
    }

    /// Remembers what a channel met until it is told.
    pub(super) fn note(&self, met: Met, channel: ChannelUid, sample: Option<String>, probe: bool) {
        let mut known = self.known();
        if probe {
            known.tally.probe = Some(met.as_probe());
        }
        known.tally.add(met, channel, sample);
    }

    /// Remembers until it is told how much of the app's budget at the provider is spent.
    pub(super) fn hear(&self, percent: u8) {
        let budget = self.budget;
        self.known().tally.hear(AppUsage { percent, budget });
    }

    /// Looks what the fleet knows, unless it was looked a moment ago.
    pub(super) async fn refresh_knowledge(&self) {
        if self.is_fresh() {
            return;
        }
        let _turn = self.telling.lock().await;
        if !self.is_fresh() {
            self.exchange().await;
        }
    }

    /// Tells what was met, if something was, and lets an incident come to its end.
    pub(super) async fn tell_if_needed(&self) {
        if let Some(alerts) = &self.alerts {
            alerts.retry().await;
        }
        let needed = {
            let known = self.known();
            !known.tally.is_empty() || known.breaker.is_recovering()
        };
        if needed {
            self.tell().await;
        }
    }

    /// Tells what was met; afterwards this process knows what the fleet knows. Several
    /// callers share one round trip.
    pub(super) async fn tell(&self) {
        let _turn = self.telling.lock().await;
        let told = {
            let known = self.known();
            known.tally.is_empty() && !known.breaker.is_recovering()
        };
        if !told {
            self.exchange().await;
        }
    }

    /// Takes the probe that is due; of the whole fleet one does.
    pub(super) async fn take_probe(&self) -> Taken {
        let _turn = self.telling.lock().await;
        let mut taken = false;
        let change = |breaker: &mut Breaker, now| {
            taken = breaker.take_probe(now, &self.rules);
            taken
        };
        match self.change(change).await {
            Ok(()) if taken => Taken::Granted,
            // Without Redis one process cannot know what the others do.
            Ok(()) | Err(_) => Taken::Not,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fresh(&self) -> bool {
        let asked_at = self.known().asked_at;
        asked_at.is_some_and(|at| at.elapsed() < FRESH)
    }

    /// Puts what was met into what the fleet knows. Needs the turn.
    async fn exchange(&self) {
        let tally = std::mem::take(&mut self.known().tally);
        let mut alerts = Vec::new();
        let change = |breaker: &mut Breaker, now| {
            if tally.is_empty() && !breaker.is_recovering() {
                return false;
            }
            alerts = breaker.take_in(&tally, now, &self.rules);
            true
        };
        if let Err(error) = self.change(change).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "breakers are not shared at the moment"
            );
            self.go_alone(&tally);
            return;
        }
        self.raise(alerts).await;
    }

    /// Changes the fleet's breaker, based on what is there now; `false` leaves it.
    async fn change(
        &self,
        mut change: impl FnMut(&mut Breaker, Timestamp) -> bool,
    ) -> Result<(), CacheError> {
        let asked_at = uptime();
        self.known().asked_at = Some(Instant::now());
        let mut slip = self.cache.slip(Breaker::BOARD, &self.name).await?;
        for _ in 0..TRIES {
            let mut breaker = read(&slip);
            let clock = Monotonic::since(Timestamp::from_millis(slip.now_ms), asked_at);
            let now = Timestamp::from_millis(slip.now_ms);
            if !change(&mut breaker, now) {
                self.learn(breaker, clock);
                return Ok(());
            }
            let text = serde_json::to_string(&breaker).expect("plain data");
            let swap =
                self.cache
                    .swap_slip((Breaker::BOARD, &self.name), slip.text.as_deref(), &text);
            match swap.await? {
                Swapped::Done => {
                    self.learn(breaker, clock);
                    return Ok(());
                }
                Swapped::Found(found) => slip = found,
            }
        }
        // Others are busy with it; the next round tries again.
        Err(CacheError::Away)
    }

    fn learn(&self, breaker: Breaker, clock: Monotonic) {
        let mut known = self.known();
        known.breaker = breaker;
        known.clock = Some(clock);
    }

    /// Redis is away: this process knows at least what it met itself.
    fn go_alone(&self, tally: &Tally) {
        let now = self.now();
        let alerts = self.known().breaker.take_in(tally, now, &self.rules);
        for alert in &alerts {
            Alerts::log(&self.name, alert);
        }
    }

    async fn raise(&self, alerts: Vec<Alert>) {
        for alert in alerts {
            Alerts::log(&self.name, &alert);
            if let Some(alerts) = &self.alerts {
                alerts.tell(&self.upstream, alert).await;
            }
        }
    }
}

/// What the slip says; one of another version says nothing.
fn read(slip: &Slip) -> Breaker {
    let text = slip.text.as_deref().unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests;
