//! The table at the end: what became of each provider's channels.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{AttemptOutcome, ErrorClass, ProviderName, Timestamp};
use store::{Channel, PageRequest, Store};

use super::seed::{Fleet, Look, Seeded};
use crate::output::say;
use crate::table::table;

const ATTEMPTS: u32 = 200;
const HEADINGS: [&str; 8] = [
    "PROVIDER",
    "CHANNELS",
    "REFRESHED",
    "RETRIED",
    "NEED A PERSON",
    "PER SECOND",
    "P50",
    "P99",
];

/// Prints the table and one sentence.
///
/// # Errors
///
/// If the database fails.
pub(super) async fn show(store: &Store, fleet: &Fleet, look: &Look) -> anyhow::Result<()> {
    let mut figures: BTreeMap<ProviderName, Figures> = BTreeMap::new();
    let mut total = Figures::since(fleet.ready_at);
    for (seeded, channel) in &look.channels {
        let retried = retries(store, channel).await?;
        let of_provider = figures
            .entry(seeded.provider.clone())
            .or_insert_with(|| Figures::since(fleet.ready_at));
        of_provider.add(seeded, channel, retried);
        total.add(seeded, channel, retried);
    }
    let mut rows: Vec<Vec<String>> = figures
        .into_iter()
        .map(|(provider, figures)| figures.row(provider.as_str()))
        .collect();
    rows.push(total.row("all"));
    say(table(&HEADINGS, rows));
    say("P50 and P99: from due to stored");
    let due = fleet.due();
    if look.is_complete() {
        say(format_args!(
            "every one of {due} due channels was refreshed"
        ));
    } else {
        say(format_args!(
            "{} of {due} due channels were not refreshed, {} of them need a person",
            look.open, look.stuck
        ));
    }
    Ok(())
}

/// Tries of a channel that came to nothing and were made again.
async fn retries(store: &Store, channel: &Channel) -> anyhow::Result<u64> {
    let page = PageRequest {
        after: None,
        limit: ATTEMPTS,
    };
    let attempts = store.attempts_of_channel(channel.uid, page).await?.items;
    let again = [
        AttemptOutcome::Failed(ErrorClass::Retryable),
        AttemptOutcome::Failed(ErrorClass::RateLimited),
    ];
    let retried = attempts.iter().filter(|it| again.contains(&it.outcome));
    Ok(retried.count() as u64)
}

/// What became of some channels.
#[derive(Debug, Default)]
struct Figures {
    channels: u64,
    refreshed: u64,
    retried: u64,
    stuck: u64,
    /// From due to stored, per refreshed channel.
    waits: Vec<Duration>,
    /// When all of them were due.
    due_at: Timestamp,
    last_stored: Timestamp,
}

impl Figures {
    fn since(due_at: Timestamp) -> Self {
        Self {
            due_at,
            last_stored: due_at,
            ..Self::default()
        }
    }

    fn add(&mut self, seeded: &Seeded, channel: &Channel, retried: u64) {
        self.channels += 1;
        self.retried += retried;
        self.stuck += u64::from(Seeded::needs_a_person(channel));
        if seeded.due_at.is_none() || !seeded.is_fresh(channel) {
            return;
        }
        self.refreshed += 1;
        if let Some(stored_at) = channel.last_refreshed_at {
            self.waits.push(stored_at.since(self.due_at));
            self.last_stored = self.last_stored.max(stored_at);
        }
    }

    fn row(mut self, name: &str) -> Vec<String> {
        self.waits.sort_unstable();
        vec![
            name.to_owned(),
            self.channels.to_string(),
            self.refreshed.to_string(),
            self.retried.to_string(),
            self.stuck.to_string(),
            self.rate(),
            self.percentile(50),
            self.percentile(99),
        ]
    }

    /// Stored refreshes per second, up to the last one.
    fn rate(&self) -> String {
        if self.waits.is_empty() {
            return "-".to_owned();
        }
        let secs = self.last_stored.since(self.due_at).as_secs_f64().max(0.001);
        let stored = u32::try_from(self.waits.len()).unwrap_or(u32::MAX);
        format!("{:.0}", f64::from(stored) / secs)
    }

    fn percentile(&self, percent: usize) -> String {
        let place = (self.waits.len() * percent).div_ceil(100).max(1) - 1;
        self.waits
            .get(place)
            .map_or_else(|| "-".to_owned(), |wait| format!("{} ms", wait.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_wait_that_so_many_do_not_exceed() {
        let figures = Figures {
            waits: (1..=200).map(Duration::from_millis).collect(),
            ..Figures::default()
        };

        assert_eq!(figures.percentile(50), "100 ms");
        assert_eq!(figures.percentile(99), "198 ms");
        assert_eq!(Figures::default().percentile(99), "-");
    }
}
