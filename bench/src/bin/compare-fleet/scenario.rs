//! What is asked of every engine alike.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, ensure};

/// So many channels that are due at once, so many at a time, at a provider that takes so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scenario {
    /// Milliseconds until the provider answers.
    pub(crate) latency_ms: u32,
    /// Refreshes at once, at least 1.
    pub(crate) concurrency: u32,
    /// Channels, at least 1.
    pub(crate) channels: u32,
}

impl Scenario {
    /// Refreshes per second if nothing but the provider took time; `None` if it takes none either.
    pub(crate) fn ideal_per_s(self) -> Option<f64> {
        let slots = f64::from(self.concurrency);
        (self.latency_ms > 0).then(|| slots * 1e3 / f64::from(self.latency_ms))
    }
}

impl FromStr for Scenario {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let &[latency, concurrency, channels] = parts.as_slice() else {
            anyhow::bail!("not LATENCY_MS:CONCURRENCY:CHANNELS");
        };
        let number = |text: &str| text.parse().with_context(|| format!("'{text}'"));
        let scenario = Self {
            latency_ms: number(latency)?,
            concurrency: number(concurrency)?,
            channels: number(channels)?,
        };
        ensure!(
            scenario.concurrency > 0 && scenario.channels > 0,
            "without slots or channels there is nothing to measure"
        );
        Ok(scenario)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            latency_ms,
            concurrency,
            channels,
        } = self;
        write!(f, "{latency_ms} ms, {concurrency} at once, {channels}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_three_numbers() {
        let scenario: Scenario = "50:200:10000".parse().expect("a good one");

        assert_eq!(
            scenario,
            Scenario {
                latency_ms: 50,
                concurrency: 200,
                channels: 10_000,
            }
        );
        assert_eq!(scenario.ideal_per_s(), Some(4000.0));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "50:200", "50:200:10:1", "50:x:10", "-1:2:3", "0:0:1"] {
            assert!(text.parse::<Scenario>().is_err(), "{text}");
        }
    }
}
