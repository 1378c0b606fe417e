//! What a channel can be.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a channel.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    /// Kept fresh by the fleet.
    Active,
    /// Only a person can fix it: the grant is revoked, expired or incomplete.
    NeedsReauth,
    /// Stopped by an operator.
    Paused,
    /// A bug or a change of contract: probed daily and on demand.
    Error,
    /// Nothing to refresh; its health is checked once a day.
    NeverExpires,
    /// On its way out; it is gone once no lease is held. Nobody is shown it.
    #[schemars(skip)]
    Deleting,
}

/// A text that names no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no channel state; one of active, needs_reauth, paused, error, never_expires")]
pub struct UnknownState(pub String);

impl ChannelState {
    /// The states that people see, in the order in which lists show them.
    pub const VISIBLE: [Self; 5] = [
        Self::Active,
        Self::NeedsReauth,
        Self::Paused,
        Self::Error,
        Self::NeverExpires,
    ];

    /// The name in the API and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsReauth => "needs_reauth",
            Self::Paused => "paused",
            Self::Error => "error",
            Self::NeverExpires => "never_expires",
            Self::Deleting => "deleting",
        }
    }
}

impl std::fmt::Display for ChannelState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ChannelState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::VISIBLE
            .into_iter()
            .chain([Self::Deleting])
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_found_by_its_name() {
        for state in ChannelState::VISIBLE {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("Active".parse::<ChannelState>().is_err());
    }
}
