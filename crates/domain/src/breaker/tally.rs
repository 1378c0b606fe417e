//! What one process met, until it tells the fleet.

use std::time::Duration;

use super::AppUsage;
use crate::ChannelUid;

/// Channels that a tally names at most: more of them prove no more.
const CHANNELS_MAX: usize = 64;

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met {
    /// The provider did its work: tokens, or a word about this one grant.
    Worked,
    /// The provider no longer takes this grant.
    Denied {
        /// Whether nothing else explains it: the grant had been refreshed before, and no
        /// answer of ours was lost.
        unexplained: bool,
    },
    /// No answer, or an error that should pass.
    Failed,
    /// The app asked too often.
    Throttled(Option<NamedDelay>),
    /// The app was refused.
    Misconfigured,
    /// An answer that the contract does not know; the text tells its kind, without any value.
    Unknown(String),
}

/// How long a provider wants to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedDelay {
    /// So long.
    pub delay: Duration,
    /// Nobody named a time: this is the first step, and it doubles while it goes on.
    pub grows: bool,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeEnd {
    /// The provider works.
    Worked,
    /// The provider answers, and does not take this grant.
    Denied,
    /// The trouble is still there.
    Failed,
}

/// All that a process met since it told last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// [`Met::Worked`].
    pub worked: u32,
    /// [`Met::Denied`].
    pub refused: u32,
    /// The channels of those that nothing explains, since the last [`Met::Worked`].
    pub denied: Vec<u32>,
    /// [`Met::Failed`].
    pub failed: u32,
    /// [`Met::Throttled`].
    pub throttled: u32,
    /// The longest delay that was named.
    pub delay: Option<NamedDelay>,
    /// The channels of [`Met::Misconfigured`], by a number that is theirs.
    pub misconfigured: Vec<u32>,
    /// The channels of [`Met::Unknown`], with what they met.
    pub unknown: Vec<(String, u32)>,
    /// How a probe ended.
    pub probe: Option<ProbeEnd>,
    /// What the last failure said, in short.
    pub sample: Option<String>,
    /// The highest that was heard of; `None` if no good answer said anything.
    pub usage: Option<AppUsage>,
}

impl Tally {
    /// Adds what a channel met; `sample` is what an operator would be shown of it.
    pub fn add(&mut self, met: Met, channel: ChannelUid, sample: Option<String>) {
        let tag = channel.tag();
        match met {
            Met::Worked => {
                self.worked = self.worked.saturating_add(1);
                self.denied.clear();
            }
            Met::Denied { unexplained } => {
                self.refused = self.refused.saturating_add(1);
                if unexplained && self.denied.len() < CHANNELS_MAX {
                    self.denied.push(tag);
                }
            }
            Met::Failed => self.failed = self.failed.saturating_add(1),
            Met::Throttled(delay) => {
                self.throttled = self.throttled.saturating_add(1);
                self.delay = longer(self.delay, delay);
            }
            Met::Misconfigured if self.misconfigured.len() < CHANNELS_MAX => {
                self.misconfigured.push(tag);
            }
            Met::Unknown(kind) if self.unknown.len() < CHANNELS_MAX => {
                self.unknown.push((kind, tag));
            }
            Met::Misconfigured | Met::Unknown(_) => {}
        }
        if sample.is_some() {
            self.sample = sample;
        }
    }

    /// Adds what a good answer said of the app's budget.
    pub fn hear(&mut self, usage: AppUsage) {
        let is_more = |known: AppUsage| usage.percent > known.percent;
        if self.usage.is_none_or(is_more) {
            self.usage = Some(usage);
        }
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn longer(one: Option<NamedDelay>, other: Option<NamedDelay>) -> Option<NamedDelay> {
    match (one, other) {
        (Some(one), Some(other)) if one.delay >= other.delay => Some(one),
        (one, other) => other.or(one),
    }
}

impl Met {
    /// Whether it is the provider's or the app's trouble, so that the channel has no part in it.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        matches!(self, Self::Failed | Self::Misconfigured | Self::Unknown(_))
    }

    /// Whether the fleet should hear of it before anything is made of it.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        self.is_trouble() || matches!(self, Self::Denied { unexplained: true })
    }

    /// What it means if it was a probe: any word of the provider but a refusal of
    /// the app shows that it works.
    #[must_use]
    pub const fn as_probe(&self) -> ProbeEnd {
        match self {
            Self::Worked | Self::Throttled(_) => ProbeEnd::Worked,
            Self::Denied { .. } => ProbeEnd::Denied,
            Self::Failed | Self::Misconfigured | Self::Unknown(_) => ProbeEnd::Failed,
        }
    }
}
