//! `tokenfleet keys status`: every key, what it sealed, and who has it.

use std::collections::BTreeSet;
use std::process::ExitCode;

use serde::Serialize;
use store::{KeyUse, KnownKey, Process};
use vault::KeyRing;

use super::place::Place;
use crate::output::say;
use crate::table::table;

/// How it is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For programs
    #[arg(long)]
    json: bool,
}

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It seals.
    Active,
    /// It sealed, and still opens.
    Opens,
    /// It has never sealed.
    New,
    /// Nothing needed it when it was retired.
    Retired,
    /// No process of this version ever had it.
    Unknown,
}

/// Whether the key is configured where this command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Here {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Another one is, under its id.
    AnotherKey,
}

/// One key.
#[derive(Debug, Serialize)]
struct Line {
    id: String,
    state: State,
    here: Here,
    /// Channels whose credentials it sealed.
    channels: u64,
    /// Webhook endpoints whose secrets it sealed.
    webhooks: u64,
    /// Live processes that can open with it.
    processes_with_it: usize,
    /// Live processes that seal with it.
    processes_sealing: usize,
    /// Live processes that have keys.
    processes: usize,
}

/// Shows the keys; the exit code is 1 if one that is needed is not here.
///
/// # Errors
///
/// If the database fails.
pub(super) async fn run(place: &Place, args: &Args) -> anyhow::Result<ExitCode> {
    let known = place.store.known_keys().await?;
    let by_key = place.store.key_uses().await?;
    let processes = place.processes().await?;
    let ids: BTreeSet<&str> = place
        .ring
        .ids()
        .chain(known.iter().map(|key| key.id.as_str()))
        .chain(by_key.iter().map(|used| used.key_id.as_str()))
        .collect();
    let lines: Vec<Line> = ids
        .into_iter()
        .map(|id| {
            let key = known.iter().find(|key| key.id == id);
            let used = by_key.iter().find(|used| used.key_id == id);
            line(id, &place.ring, key, used, &processes)
        })
        .collect();
    if args.json {
        say(serde_json::to_string_pretty(&lines)?);
    } else {
        let headings = [
            "ID",
            "STATE",
            "HERE",
            "CHANNELS",
            "WEBHOOKS",
            "PROCESSES WITH IT",
            "SEALING",
        ];
        say(table(&headings, lines.iter().map(row)));
    }
    let lost = |line: &Line| {
        line.here != Here::Yes && (line.channels + line.webhooks > 0 || line.state == State::Active)
    };
    Ok(if lines.iter().any(lost) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn line(
    id: &str,
    ring: &KeyRing,
    key: Option<&KnownKey>,
    used: Option<&KeyUse>,
    processes: &[Process],
) -> Line {
    let with_it = |process: &&Process| process.info.key_ids.iter().any(|known| known == id);
    let sealing = |process: &&Process| process.info.seals_with.as_deref() == Some(id);
    Line {
        id: id.to_owned(),
        state: state(key, ring.ids().any(|known| known == id)),
        here: here(id, ring, key),
        channels: used.map_or(0, |used| used.channels),
        webhooks: used.map_or(0, |used| used.webhooks),
        processes_with_it: processes.iter().filter(with_it).count(),
        processes_sealing: processes.iter().filter(sealing).count(),
        processes: processes.len(),
    }
}

fn state(key: Option<&KnownKey>, is_here: bool) -> State {
    match key {
        Some(key) if key.active => State::Active,
        Some(key) if key.retired_at.is_some() => State::Retired,
        Some(key) if key.activated_at.is_some() => State::Opens,
        Some(_) => State::New,
        None if is_here => State::New,
        None => State::Unknown,
    }
}

fn here(id: &str, ring: &KeyRing, key: Option<&KnownKey>) -> Here {
    if !ring.ids().any(|known| known == id) {
        return Here::No;
    }
    match key.and_then(|key| key.check_value.as_ref()) {
        Some(check) if !ring.is_key_of(id, check) => Here::AnotherKey,
        _ => Here::Yes,
    }
}

fn row(line: &Line) -> Vec<String> {
    let state = match line.state {
        State::Active => "active",
        State::Opens => "opens",
        State::New => "new",
        State::Retired => "retired",
        State::Unknown => "unknown",
    };
    let here = match line.here {
        Here::Yes => "yes",
        Here::No => "no",
        Here::AnotherKey => "ANOTHER KEY",
    };
    vec![
        line.id.clone(),
        state.to_owned(),
        here.to_owned(),
        line.channels.to_string(),
        line.webhooks.to_string(),
        format!("{} of {}", line.processes_with_it, line.processes),
        line.processes_sealing.to_string(),
    ]
}
