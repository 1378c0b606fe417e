//! Answers of the last while, in a few buckets, and the channels behind the refusals.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tally;
use crate::Timestamp;

/// Buckets of a window; the oldest one leaves as a whole.
const BUCKETS: usize = 6;
/// Buckets that tell how it goes at the moment.
const RECENT: usize = 2;
/// Refusals of few channels may come minutes apart: they count for so many windows.
const SUSPECT_WINDOWS: u32 = 10;
/// More channels prove no more.
const SUSPECTS_MAX: usize = 64;

/// The answers of a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    /// The oldest first.
    buckets: Vec<Bucket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket {
    from: Timestamp,
    answers: Answers,
}

/// How many answers of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answers {
    /// Refusals of single grants too: the provider did its work.
    pub(super) worked: u32,
    pub(super) failed: u32,
    pub(super) throttled: u32,
    /// Misconfigured and unknown ones.
    pub(super) refused: u32,
}

impl Answers {
    pub(super) fn all(self) -> u32 {
        let all = [self.worked, self.failed, self.throttled, self.refused];
        all.into_iter().fold(0, u32::saturating_add)
    }

    /// Whether `part` is at least so many percent of all.
    pub(super) fn is_share(self, part: u32, percent: u32) -> bool {
        u64::from(part) * 100 >= u64::from(self.all()) * u64::from(percent)
    }

    /// What got through, a second.
    pub(super) fn per_second(self, elapsed: Duration) -> f64 {
        f64::from(self.worked) / elapsed.as_secs_f64().max(1.0)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            worked: self.worked.saturating_add(other.worked),
            failed: self.failed.saturating_add(other.failed),
            throttled: self.throttled.saturating_add(other.throttled),
            refused: self.refused.saturating_add(other.refused),
        }
    }
}

impl From<&Tally> for Answers {
    fn from(tally: &Tally) -> Self {
        let refused = tally.misconfigured.len() + tally.unknown.len();
        Self {
            worked: tally.worked.saturating_add(tally.refused),
            failed: tally.failed,
            throttled: tally.throttled,
            refused: u32::try_from(refused).unwrap_or(u32::MAX),
        }
    }
}

impl Window {
    pub(super) fn add(&mut self, tally: &Tally, now: Timestamp, length: Duration) {
        let bucket = bucket_of(length);
        let is_over = self
            .buckets
            .last()
            .is_none_or(|last| now >= last.from.plus(bucket));
        if is_over {
            self.buckets.push(Bucket {
                from: now,
                answers: Answers::default(),
            });
        }
        self.buckets.retain(|bucket| bucket.from.plus(length) > now);
        if self.buckets.len() > BUCKETS {
            self.buckets.remove(0);
        }
        if let Some(last) = self.buckets.last_mut() {
            last.answers = last.answers.plus(tally.into());
        }
    }

    /// All answers that still count.
    pub(super) fn sum(&self, now: Timestamp, length: Duration) -> Answers {
        let counts = self
            .buckets
            .iter()
            .filter(|bucket| bucket.from.plus(length) > now);
        counts.fold(Answers::default(), |sum, bucket| sum.plus(bucket.answers))
    }

    /// The answers of the last moments, and how long these are.
    pub(super) fn recent(&self, now: Timestamp, length: Duration) -> (Answers, Duration) {
        let since = now.minus(bucket_of(length) * u32::try_from(RECENT).unwrap_or(1));
        let recent = self.buckets.iter().rev().take(RECENT);
        let mut first = now;
        let mut sum = Answers::default();
        for bucket in recent.filter(|bucket| bucket.from > since) {
            first = bucket.from;
            sum = sum.plus(bucket.answers);
        }
        (sum, now.since(first))
    }

    /// One hold answers them all: the next one needs new ones.
    pub(super) fn forget_throttled(&mut self) {
        for bucket in &mut self.buckets {
            bucket.answers.throttled = 0;
        }
    }
}

fn bucket_of(length: Duration) -> Duration {
    length / u32::try_from(BUCKETS).unwrap_or(1)
}

/// Different channels that met the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Suspects {
    last_at: Timestamp,
    channels: Vec<u32>,
}

impl Suspects {
    pub(super) fn add(&mut self, channels: &[u32], now: Timestamp, window: Duration) {
        if now >= self.last_at.plus(window * SUSPECT_WINDOWS) {
            self.channels.clear();
        }
        for channel in channels {
            self.last_at = now;
            if self.channels.len() < SUSPECTS_MAX && !self.channels.contains(channel) {
                self.channels.push(*channel);
            }
        }
    }

    pub(super) fn number(&self) -> u32 {
        u32::try_from(self.channels.len()).unwrap_or(u32::MAX)
    }
}
