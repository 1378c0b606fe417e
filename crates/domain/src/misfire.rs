//! What becomes of a slot of a recurring schedule that nobody was there for.

use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What a schedule does with a slot that was missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// It runs as soon as it can, once however many were missed.
    #[default]
    Once,
    /// It is left out, and the next slot runs on time.
    Skip,
}

/// A text that names no such policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no misfire policy; one of once, skip")]
pub struct UnknownMisfire(pub String);

impl Misfire {
    /// All policies, the default first.
    pub const ALL: [Self; 2] = [Self::Once, Self::Skip];

    /// A slot that is taken up later than this after its instant was missed. What is
    /// late by less is the beat of the scheduler, or a short pause of Redis.
    pub const MISSED_AFTER: Duration = Duration::from_mins(1);

    /// The word of the API and of the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Skip => "skip",
        }
    }

    /// Whether a slot that is taken up at `now` is left out.
    #[must_use]
    pub fn leaves_out(self, slot: Timestamp, now: Timestamp) -> bool {
        self == Self::Skip && now > slot.plus(Self::MISSED_AFTER)
    }
}

impl FromStr for Misfire {
    type Err = UnknownMisfire;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| UnknownMisfire(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_skip_leaves_out_what_is_more_than_a_minute_late() {
        let slot = Timestamp::from_millis(1_000_000);
        let limit = slot.plus(Misfire::MISSED_AFTER);
        let late = limit.plus(Duration::from_millis(1));

        let told = |policy: Misfire| [slot, limit, late].map(|now| policy.leaves_out(slot, now));

        assert_eq!(told(Misfire::Once), [false, false, false]);
        assert_eq!(told(Misfire::Skip), [false, false, true]);
    }

    #[test]
    fn every_policy_is_found_by_its_name() {
        for policy in Misfire::ALL {
            assert_eq!(policy.as_str().parse(), Ok(policy));
        }
        assert!("Skip".parse::<Misfire>().is_err());
    }
}
