//! What one grant goes through: a fault of its own, or a special answer of its provider.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::FaultKind;
use crate::providers::{Provider, Special};

/// What happens to the refreshes of one grant.
///
/// As text: `ok`, a fault (`status_500`) or a special of the provider
/// (`190_463`); `name:2` happens to the first two refreshes only, the rest are ok.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scenario {
    effect: Effect,
    times: Option<u32>,
}

/// A text that is no scenario of the provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{name}' is no scenario of {provider}; one of {allowed}, each with ':2' for the first two refreshes only"
)]
pub struct ScenarioError {
    name: String,
    provider: &'static str,
    allowed: String,
}

/// What a scenario does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    #[default]
    Ok,
    /// What may happen at any provider.
    Fault(FaultKind),
    /// What only this provider does.
    Special(&'static Special),
}

impl Scenario {
    /// The scenario with this text at this provider.
    pub(crate) fn parse(provider: &dyn Provider, text: &str) -> Result<Self, ScenarioError> {
        let (name, times) = match text.split_once(':') {
            Some((name, times)) => (name, times.parse().ok().map(Some)),
            None => (text, Some(None)),
        };
        let effect = effect(provider, name);
        match (effect, times) {
            (Some(effect), Some(times)) => Ok(Self { effect, times }),
            _ => Err(ScenarioError {
                name: text.to_owned(),
                provider: provider.name(),
                allowed: names(provider).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// What it does to a refresh after it acted so often.
    pub(crate) fn effect(self, acted: u32) -> Effect {
        match self.times {
            Some(times) if acted >= times => Effect::Ok,
            _ => self.effect,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.effect {
            Effect::Ok => "ok",
            Effect::Fault(kind) => kind.as_str(),
            Effect::Special(special) => special.name,
        })?;
        self.times.map_or(Ok(()), |times| write!(f, ":{times}"))
    }
}

impl Serialize for Scenario {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// All scenarios of a provider by name.
pub(crate) fn names(provider: &dyn Provider) -> impl Iterator<Item = &'static str> {
    let specials = provider.specials().iter().map(|special| special.name);
    ["ok"]
        .into_iter()
        .chain(FaultKind::ALL.map(FaultKind::as_str))
        .chain(specials)
}

fn effect(provider: &dyn Provider, name: &str) -> Option<Effect> {
    if name == "ok" {
        return Some(Effect::Ok);
    }
    let special = provider.specials().iter().find(|s| s.name == name);
    special
        .map(Effect::Special)
        .or_else(|| FaultKind::parse(name).map(Effect::Fault))
}
