//! When a fleet leaves a provider alone, how it looks whether it is back, and how it returns.
//!
//! A [`Breaker`] is a value that a fleet shares. Processes tell it what they met
//! ([`Breaker::take_in`]), and ask it before they send ([`Breaker::advice`]).

mod denials;
mod pace;
mod strain;
mod tally;
mod window;
mod words;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

use self::denials::Denials;
use self::pace::{Hold, Pace};
pub use self::strain::AppUsage;
use self::strain::Strain;
pub use self::tally::{Met, NamedDelay, ProbeEnd, Tally};
use self::window::{Suspects, Window};
pub use self::words::{Advice, Alert, BreakerRules, Incident, Trouble};

/// A probe that fails makes the next one come later, up to so many times the first pause.
const SLOWEST_PROBES: u32 = 10;
/// Failed probes after which the pause grows by one more [`BreakerRules::probe_every`].
const PROBES_PER_STEP: u32 = 5;
/// An app that nobody called for so long is not shown any more.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(7 * 24);
/// Kinds of unknown answers that are remembered at a time.
const UNKNOWN_KINDS: usize = 16;

/// What a fleet knows of one app at one provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Breaker {
    /// `Some` while it is open.
    open: Option<Open>,
    /// The trouble of now; it outlives the opening by the ramp.
    incident: Option<Incident>,
    window: Window,
    /// Channels that were refused as misconfigured.
    misconfigured: Suspects,
    /// Channels by the unknown answer that they met.
    unknown: Vec<(String, Suspects)>,
    /// Channels whose grants were refused, one after another.
    #[serde(default)]
    denials: Denials,
    /// Unknown answers that opened it once: from then on they are their channels' own trouble.
    told: Vec<String>,
    /// Unknown answers altogether.
    unknown_answers: u64,
    hold: Option<Hold>,
    pace: Option<Pace>,
    /// The app has nearly spent its budget at the provider.
    #[serde(default)]
    strain: Option<Strain>,
    last_told_at: Timestamp,
}

/// An open breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    since: Timestamp,
    next_probe_at: Timestamp,
    failed_probes: u32,
    /// It opened because grants were refused, one after another.
    #[serde(default)]
    doubts_refusals: bool,
}

impl Breaker {
    /// The board on which the fleet keeps them: each as JSON, under the identity and the
    /// fingerprint of its app with a space between.
    pub const BOARD: &str = "breakers";

    /// Adds what a process met since it told last. An alert is for whoever made the
    /// fleet take the result over, and for nobody else.
    pub fn take_in(&mut self, tally: &Tally, now: Timestamp, rules: &BreakerRules) -> Vec<Alert> {
        self.last_told_at = now;
        self.unknown_answers += u64::try_from(tally.unknown.len()).unwrap_or(u64::MAX);
        let mut alerts = Vec::new();
        match (self.open, tally.probe) {
            (Some(open), Some(ProbeEnd::Denied)) if open.doubts_refusals => {
                self.doubt_on(open, now, rules);
            }
            (Some(_), Some(ProbeEnd::Worked | ProbeEnd::Denied)) => self.close(now, rules),
            (Some(open), Some(ProbeEnd::Failed)) => {
                self.open = Some(Open {
                    failed_probes: open.failed_probes.saturating_add(1),
                    ..open
                });
            }
            // What was sent before it opened tells nothing of now.
            (Some(_), None) => {}
            (None, _) => {
                self.count(tally, now, rules);
                self.heed_usage(tally, now, rules);
                self.slow_down(tally, now, rules);
                if let Some(why) = self.trouble(now, rules) {
                    alerts.extend(self.trip(why, tally, now, rules));
                }
            }
        }
        alerts.extend(self.end_incident(now, rules));
        alerts
    }

    /// What to do with a request that nothing was sent of yet. `budget` is what the
    /// operator allows a second.
    #[must_use]
    pub fn advice(&self, budget: Option<f64>, now: Timestamp) -> Advice {
        if let Some(open) = self.open {
            return Advice::Open {
                since: open.since,
                probe_at: open.next_probe_at,
            };
        }
        match self.hold {
            Some(hold) if hold.until > now => Advice::Held { until: hold.until },
            _ => Advice::Go {
                per_second: Pace::limit(
                    [self.pace, self.strain(now).map(|it| it.pace)],
                    budget,
                    now,
                ),
            },
        }
    }

    /// Takes the next probe, if it is due; whoever took it sends one request and
    /// reports a [`ProbeEnd`].
    pub fn take_probe(&mut self, now: Timestamp, rules: &BreakerRules) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        if now < open.next_probe_at {
            return false;
        }
        let steps = 1 + open.failed_probes / PROBES_PER_STEP;
        open.next_probe_at = now.plus(rules.probe_every * steps.min(SLOWEST_PROBES));
        if let Some(incident) = &mut self.incident {
            incident.probes += 1;
        }
        true
    }

    /// Whether nothing is sent but probes.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether it is open because grants were refused one after another: until it closes, no
    /// refusal is believed.
    #[must_use]
    pub fn doubts_refusals(&self) -> bool {
        self.open.is_some_and(|open| open.doubts_refusals)
    }

    /// The trouble of now, or the one that is nearly over.
    #[must_use]
    pub const fn incident(&self) -> Option<&Incident> {
        self.incident.as_ref()
    }

    /// Answers that no contract knows, since the fleet keeps count.
    #[must_use]
    pub const fn unknown_answers(&self) -> u64 {
        self.unknown_answers
    }

    /// When a process told something last.
    #[must_use]
    pub const fn last_told_at(&self) -> Timestamp {
        self.last_told_at
    }

    /// Whether nobody told anything for so long that its app is no longer in use.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now.since(self.last_told_at) > FORGOTTEN_AFTER
    }

    /// Whether time alone will change it: an incident comes to its end.
    #[must_use]
    pub const fn is_recovering(&self) -> bool {
        self.open.is_none() && self.incident.is_some()
    }

    fn count(&mut self, tally: &Tally, now: Timestamp, rules: &BreakerRules) {
        self.window.add(tally, now, rules.window);
        self.denials.add(tally);
        self.misconfigured
            .add(&tally.misconfigured, now, rules.window);
        for (kind, channel) in &tally.unknown {
            if self.told.contains(kind) {
                continue;
            }
            let known = self.unknown.iter().position(|(known, _)| known == kind);
            let at = known.unwrap_or_else(|| {
                if self.unknown.len() == UNKNOWN_KINDS {
                    self.unknown.remove(0);
                }
                self.unknown.push((kind.clone(), Suspects::default()));
                self.unknown.len() - 1
            });
            self.unknown[at].1.add(&[*channel], now, rules.window);
        }
    }

    /// Whether it should open, and why.
    fn trouble(&self, now: Timestamp, rules: &BreakerRules) -> Option<Trouble> {
        let met = self.window.sum(now, rules.window);
        if self.unknown_kind(rules).is_some() {
            return Some(Trouble::ContractDrift);
        }
        if self.misconfigured.number() >= rules.misconfigured
            && met.is_share(met.refused, rules.share)
        {
            return Some(Trouble::Misconfigured);
        }
        if self.denials.are_doubted(now, rules) {
            return Some(Trouble::Misconfigured);
        }
        let many = met.all() >= rules.minimum && met.failed > 0;
        (many && met.is_share(met.failed, rules.share)).then_some(Trouble::Outage)
    }

    fn unknown_kind(&self, rules: &BreakerRules) -> Option<&str> {
        let many = |(_, channels): &&(String, Suspects)| channels.number() >= rules.unknown;
        self.unknown
            .iter()
            .find(many)
            .map(|(kind, _)| kind.as_str())
    }

    fn trip(
        &mut self,
        why: Trouble,
        tally: &Tally,
        now: Timestamp,
        rules: &BreakerRules,
    ) -> Option<Alert> {
        if let Some(kind) = self.unknown_kind(rules).map(str::to_owned) {
            if self.told.len() == UNKNOWN_KINDS {
                self.told.remove(0);
            }
            self.told.push(kind);
        }
        self.open = Some(Open {
            since: now,
            next_probe_at: now.plus(rules.probe_every),
            failed_probes: 0,
            doubts_refusals: self.denials.are_doubted(now, rules),
        });
        self.forget();
        self.pace = None;
        match &mut self.incident {
            // It closed a moment ago: the same trouble, of which the operator knows.
            Some(incident) => {
                incident.closed_at = None;
                None
            }
            none => {
                let incident = Incident {
                    why,
                    opened_at: now,
                    closed_at: None,
                    sample: tally.sample.clone().unwrap_or_default(),
                    probes: 0,
                };
                *none = Some(incident.clone());
                Some(Alert::Opened(incident))
            }
        }
    }

    fn close(&mut self, now: Timestamp, rules: &BreakerRules) {
        if self.doubts_refusals() {
            self.denials.believe(now, rules);
        }
        self.open = None;
        self.forget();
        self.pace = Some(Pace::ramp(now, rules.ramp));
        if let Some(incident) = &mut self.incident {
            incident.closed_at = Some(now);
        }
    }

    /// What was counted before a change tells nothing of what comes after it.
    fn forget(&mut self) {
        self.window = Window::default();
        self.misconfigured = Suspects::default();
        self.unknown.clear();
        self.denials.forget();
    }

    /// A probe was refused as those before it were. After an hour of that it is the truth.
    fn doubt_on(&mut self, open: Open, now: Timestamp, rules: &BreakerRules) {
        if now.since(open.since) >= denials::patience(rules) {
            return self.close(now, rules);
        }
        self.open = Some(Open {
            failed_probes: open.failed_probes.saturating_add(1),
            ..open
        });
    }

    fn end_incident(&mut self, now: Timestamp, rules: &BreakerRules) -> Option<Alert> {
        let closed_at = self.incident.as_ref()?.closed_at?;
        if now < closed_at.plus(rules.ramp) {
            return None;
        }
        self.incident.take().map(Alert::Ended)
    }

    /// Keeps the delays that the provider names, and goes slower where it throttles now and then.
    fn slow_down(&mut self, tally: &Tally, now: Timestamp, rules: &BreakerRules) {
        if tally.worked > 0 && self.hold.is_some_and(|hold| hold.until <= now) {
            self.hold = None;
        }
        if tally.throttled == 0 {
            return;
        }
        let (met, elapsed) = self.window.recent(now, rules.window);
        if met.throttled >= 2 && met.is_share(met.throttled, 50) {
            let hold = Hold::next(self.hold, tally.delay, now);
            self.hold = Some(hold);
            self.pace = Some(Pace::after_hold(
                met.per_second(elapsed),
                hold.until,
                rules.window,
            ));
            self.window.forget_throttled();
        } else if let Some(pace) = Pace::below(self.pace, met, elapsed, now, rules.window) {
            self.pace = Some(pace);
        }
    }
}

#[cfg(test)]
mod tests;
