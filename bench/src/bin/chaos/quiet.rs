//! After the last fault: the fleet has to come to rest by itself, and to end in order.

use std::time::Duration;

use domain::{ChannelState, Clock as _, SystemClock, Timestamp};
use store::{Channel, ChannelFilter, PageRequest, Store};
use tokio::time::{Instant, sleep};

use crate::fleet::Fleet;
use crate::people::{Connected, People};
use crate::place::in_escrow;
use crate::plan::Seat;

/// A lease, a hand-out, a job's retries and a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// As service managers are told to wait.
const KILL_GRACE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(500);
/// How often a person hurries a channel that rests after failures.
const HURRY: u32 = 10;
/// A channel that failed rests longer than this; any other one's turn comes sooner.
const RESTS: Duration = Duration::from_secs(5);

/// What came of waiting.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    /// How long it took.
    pub(crate) after: Duration,
    /// Channels that a person hurried because they rested after failures.
    pub(crate) hurried: u32,
    /// Channels that did not come to rest, and why.
    pub(crate) forgotten: Vec<String>,
}

/// Waits until every channel that can be alive was refreshed after the last fault.
///
/// # Errors
///
/// If the database does not answer the harness.
pub(crate) async fn wait(fleet: &Fleet, people: &People, store: &Store) -> anyhow::Result<Quiet> {
    let (begin, healed_at) = (Instant::now(), SystemClock.now());
    let connected = people.connected();
    let mut quiet = Quiet::default();
    for round in 0_u32.. {
        let channels = all(store).await?;
        let waits = |it: &&Channel| !is_at_rest(it, healed_at);
        let waiting: Vec<&Channel> = channels.iter().filter(waits).collect();
        let escrow = fleet.places.iter().flat_map(|it| in_escrow(&it.data_dir));
        let kept: Vec<_> = escrow.collect();
        quiet.after = begin.elapsed();
        if waiting.is_empty() && kept.is_empty() && people.api_answers(fleet).await {
            return Ok(quiet);
        }
        if quiet.after > PATIENCE {
            quiet.forgotten = waiting.iter().map(|it| described(it, healed_at)).collect();
            let files = kept.iter().map(|it| format!("{} is kept", it.display()));
            quiet.forgotten.extend(files);
            return Ok(quiet);
        }
        if round % HURRY == HURRY - 1 {
            quiet.hurried += hurry(fleet, people, &connected, &waiting).await;
        }
        sleep(POLL).await;
    }
    Ok(quiet)
}

/// Asks every process to end: first who makes work, then who does it.
///
/// # Errors
///
/// If a process cannot be asked.
pub(crate) async fn end_in_order(fleet: &Fleet) -> anyhow::Result<Vec<String>> {
    let makes_work = |seat| matches!(seat, Seat::Scheduler(_) | Seat::Api);
    let mut late = Vec::new();
    for first in [true, false] {
        let group = || fleet.places.iter();
        let group: Vec<_> = group().filter(|it| makes_work(it.seat) == first).collect();
        for place in &group {
            place.ask_to_end();
        }
        let begin = Instant::now();
        for place in group {
            while !place.has_ended()? {
                if begin.elapsed() > KILL_GRACE {
                    late.push(format!("{} did not end within a minute", place.seat));
                    place.kill(KILL_GRACE)?;
                }
                sleep(POLL / 5).await;
            }
        }
    }
    Ok(late)
}

/// Every channel of every tenant.
///
/// # Errors
///
/// If the database does not answer.
pub(crate) async fn all(store: &Store) -> anyhow::Result<Vec<Channel>> {
    let mut channels = Vec::new();
    for tenant in store.tenants(page(None)).await?.items {
        let mut after = None;
        loop {
            let filter = ChannelFilter::default();
            let read = store.channels(tenant.uid, &filter, page(after)).await?;
            channels.extend(read.items);
            after = read.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(channels)
}

fn page(after: Option<domain::Name>) -> PageRequest {
    PageRequest { after, limit: 200 }
}

fn is_at_rest(channel: &Channel, healed_at: Timestamp) -> bool {
    match channel.state {
        // Only a person can fix it; whether that is right is looked at later.
        ChannelState::NeedsReauth => true,
        ChannelState::Active => channel.last_refreshed_at.is_some_and(|at| at > healed_at),
        _ => false,
    }
}

/// Those that failed rest for up to an hour; waiting for that would not show more.
async fn hurry(
    fleet: &Fleet,
    people: &People,
    connected: &[Connected],
    waiting: &[&Channel],
) -> u32 {
    let resting_until = SystemClock.now().plus(RESTS);
    let mut hurried = 0;
    for channel in waiting {
        let rests = channel.next_handout_at.is_some_and(|at| at > resting_until);
        let one = connected.iter().find(|it| it.id == channel.id.as_str());
        if channel.last_error.is_some()
            && rests
            && let Some(one) = one
            && people.refresh_now(fleet, one).await
        {
            hurried += 1;
        }
    }
    hurried
}

fn described(channel: &Channel, healed_at: Timestamp) -> String {
    let secs = |at: Option<Timestamp>| {
        at.map_or_else(
            || "never".to_owned(),
            |at| {
                let millis = at.as_millis() - healed_at.as_millis();
                format!("{}.{} s", millis / 1000, millis.abs() % 1000 / 100)
            },
        )
    };
    format!(
        "{} is {} and was not refreshed: last {}, due {}, next look {}, failures {}, {:?} (from the end of the faults)",
        channel.id,
        channel.state,
        secs(channel.last_refreshed_at),
        secs(channel.refresh_due_at),
        secs(channel.next_handout_at),
        channel.failures,
        channel
            .last_error
            .as_ref()
            .map(|error| (error.class, error.details.reason.clone())),
    )
}
