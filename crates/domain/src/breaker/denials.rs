//! Grants that are refused one after another: the app's trouble, however the provider words it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BreakerRules, Tally};
use crate::Timestamp;

/// An app whose every grant stays refused is believed after so many windows, and for as many:
/// by then an operator has had an hour.
const BELIEVED_WINDOWS: u32 = 60;

/// The channels that were refused since an answer that was no refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Denials {
    /// Each once.
    in_a_row: Vec<u32>,
    /// Until then a refusal is its channel's own matter.
    believed_until: Timestamp,
}

impl Denials {
    /// Adds what a process met. Any success ends the row.
    pub(super) fn add(&mut self, tally: &Tally) {
        if tally.worked > 0 {
            self.in_a_row.clear();
        }
        for channel in &tally.denied {
            if !self.in_a_row.contains(channel) {
                self.in_a_row.push(*channel);
            }
        }
    }

    /// Whether so many cannot be each channel's own matter.
    pub(super) fn are_doubted(&self, now: Timestamp, rules: &BreakerRules) -> bool {
        let enough = usize::try_from(rules.denied).unwrap_or(usize::MAX);
        now >= self.believed_until && self.in_a_row.len() >= enough
    }

    /// From now on refusals are believed for a while: the app works, or had its time.
    pub(super) fn believe(&mut self, now: Timestamp, rules: &BreakerRules) {
        self.in_a_row.clear();
        self.believed_until = now.plus(patience(rules));
    }

    /// The row begins anew.
    pub(super) fn forget(&mut self) {
        self.in_a_row.clear();
    }
}

/// How long refusals are doubted without any success.
pub(super) fn patience(rules: &BreakerRules) -> Duration {
    rules.window * BELIEVED_WINDOWS
}
