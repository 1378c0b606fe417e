//! The words of breakers: rules, trouble, advice and alerts.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// When a breaker opens, and how it closes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// Answers count for so long.
    pub window: Duration,
    /// Fewer answers than this within the window decide nothing.
    pub minimum: u32,
    /// Percent of the answers that must be failures, 1–100.
    pub share: u32,
    /// Channels that must be refused as misconfigured.
    pub misconfigured: u32,
    /// Channels that must meet the same unknown answer.
    pub unknown: u32,
    /// Channels in a row whose grants must be refused.
    pub denied: u32,
    /// Shortest time between two probes of an open breaker.
    pub probe_every: Duration,
    /// How long the return to full speed takes.
    pub ramp: Duration,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            window: Duration::from_mins(1),
            minimum: 10,
            share: 50,
            misconfigured: 3,
            unknown: 5,
            denied: 5,
            probe_every: Duration::from_secs(1),
            ramp: Duration::from_secs(30),
        }
    }
}

/// Why a breaker opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The provider does not answer, or with errors that should pass.
    Outage,
    /// The provider refuses the app: its id, secret or rights are wrong.
    Misconfigured,
    /// The provider answers in a way that nobody knows: its contract has changed.
    ContractDrift,
}

impl Trouble {
    /// The name in the API and in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Misconfigured => "misconfigured",
            Self::ContractDrift => "contract_drift",
        }
    }
}

/// One time of trouble, however often the breaker closes and opens within it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// Why the breaker opened.
    pub why: Trouble,
    /// When it opened first.
    pub opened_at: Timestamp,
    /// When it closed; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// What the provider said at the time, in short: status, code and reason.
    pub sample: String,
    /// Probes that were sent.
    pub probes: u32,
}

/// What an operator is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alert {
    /// The fleet stopped calling.
    Opened(Incident),
    /// The fleet is back at full speed.
    Ended(Incident),
}

/// What a process does that wants to send a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Advice {
    /// Send it; at most so many a second, if there is a limit.
    Go {
        /// Requests a second of the whole fleet.
        per_second: Option<f64>,
    },
    /// The provider wants to be left alone.
    Held {
        /// Until then.
        until: Timestamp,
    },
    /// The breaker is open: one request may look whether it can close.
    Open {
        /// Since when.
        since: Timestamp,
        /// When the next probe is due; see [`crate::Breaker::take_probe`].
        probe_at: Timestamp,
    },
}
