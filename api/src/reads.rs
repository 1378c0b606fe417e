//! The audit log's lines about reads of tokens.
//!
//! Tokens are read by the thousand a second, and each is told of: the first read of a
//! channel by an account writes a line, and so does the first one after each interval,
//! with how many there were since the line before. Each process counts for itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ChannelUid;
use serde_json::json;
use store::AuditEntry;
use tracing::Instrument as _;

use crate::App;
use crate::trail::{self, Trail};

/// Pairs of readers and channels that are counted; beyond that all begin anew.
const MOST: usize = 100_000;

/// Who read which channel's token how often since the last line about it.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    counted: Mutex<HashMap<(String, ChannelUid), Counted>>,
}

#[derive(Debug)]
struct Counted {
    noted_at: Instant,
    since: u64,
}

impl Reads {
    /// Counts one read; the number for the line, if one is due.
    fn count(&self, reader: &str, channel: ChannelUid, every: Duration) -> Option<u64> {
        let now = Instant::now();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= MOST {
            counted.clear();
        }
        let mut first = false;
        let pair = counted
            .entry((reader.to_owned(), channel))
            .or_insert_with(|| {
                first = true;
                Counted {
                    noted_at: now,
                    since: 0,
                }
            });
        pair.since += 1;
        let due = first || now.duration_since(pair.noted_at) >= every;
        due.then(|| {
            pair.noted_at = now;
            std::mem::take(&mut pair.since)
        })
    }
}

/// Counts a read of this token, and writes a line if one is due. Nobody waits for it.
pub(crate) fn note(app: &App, trail: &Trail, channel: ChannelUid, target: String) {
    let every = app.settings.audit_reads_every;
    let Some(reads) = app.reads().count(trail.actor(), channel, every) else {
        return;
    };
    let entry = AuditEntry {
        details: json!({ "reads": reads }),
        ..trail.entry("token.read", target)
    };
    let app = app.clone();
    let leaving = async move { trail::leave(&app, &entry).await };
    tokio::spawn(leaving.in_current_span());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_read_is_told_and_the_others_are_counted_until_the_next_line() {
        let (reads, channel) = (Reads::default(), ChannelUid::generate());
        let hourly = Duration::from_hours(1);

        let told: Vec<_> = (0..3)
            .map(|_| reads.count("ann", channel, hourly))
            .collect();
        let other = reads.count("bob", channel, hourly);
        let next = reads.count("ann", channel, Duration::ZERO);

        assert_eq!(told, [Some(1), None, None]);
        assert_eq!((other, next), (Some(1), Some(3)));
    }
}
