//! `tokenfleet keys rotate`: from one key to the next under a running fleet.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use store::{Activation, Process};
use vault::Vault;

use super::place::{Place, told};
use super::rewrap::{Round, Tempo, round};
use crate::output::say;
use crate::parts;

/// Pause before the next look at what refreshes had locked, or who still seals with the old key.
const AGAIN: Duration = Duration::from_millis(500);
/// Names of channels that a person is shown.
const SHOWN: usize = 20;

/// Which key, and how fast.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The key that seals from here on [default: the one here that never did]
    #[arg(long, value_name = "ID")]
    to: Option<String>,
    /// Envelopes per transaction
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2000))]
    batch: u32,
    /// Pause between two transactions
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pause_ms: u64,
    /// How long processes that still seal with the old key are waited for
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
    /// For programs
    #[arg(long)]
    json: bool,
}

/// Moves the fleet to a key and wraps everything with it; a second run goes on
/// where the first was stopped.
///
/// # Errors
///
/// If a process lacks the key, or the database fails. What does not open is
/// counted, and makes the exit code 1.
pub(super) async fn run(place: &Place, args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(id) = parts::namesake(&place.ring, &place.store).await? {
        bail!(
            "{} holds another key under the id '{id}' than the one that the fleet knows",
            place.origin
        );
    }
    let target = target(place, args.to.as_deref()).await?;
    let moved = activate(place, &target).await?;
    if !args.json {
        say(format_args!(
            "'{target}' {}",
            if moved { "seals from here on" } else { "seals" }
        ));
    }
    let vault = Vault::new(place.ring.clone(), &target)?;
    let ended = rewrap_all(place, &vault, args).await?;
    report(place, &target, &ended, args.json).await
}

/// What a rotation came to.
struct Ended {
    rewrapped: u64,
    /// What is left, as the last round saw it.
    left: Round,
    /// Who still seals with another key.
    lagging: Vec<Process>,
}

/// The key that is asked for, else the only one here that has never sealed, else the
/// one that seals: then what older keys sealed is wrapped.
async fn target(place: &Place, wanted: Option<&str>) -> anyhow::Result<String> {
    let here: Vec<&str> = place.ring.ids().collect();
    if let Some(id) = wanted {
        if !here.contains(&id) {
            bail!("{} holds {}, but not '{id}'", place.origin, here.join(", "));
        }
        return Ok(id.to_owned());
    }
    let known = place.store.known_keys().await?;
    let fresh: Vec<&str> = known
        .iter()
        .filter(|key| key.activated_at.is_none() && key.retired_at.is_none())
        .map(|key| key.id.as_str())
        .filter(|id| here.contains(id))
        .collect();
    match fresh[..] {
        [] => Ok(place.store.active_key(place.ring.first_id()).await?),
        [one] => Ok(one.to_owned()),
        _ => bail!("which one? --to {}", fresh.join(", or --to ")),
    }
}

/// Makes it the key that seals; `false` if it was so before.
async fn activate(place: &Place, target: &str) -> anyhow::Result<bool> {
    match place.store.activate_key(target).await? {
        Activation::Moved => Ok(true),
        Activation::Unchanged => Ok(false),
        Activation::Lacking(processes) => bail!(
            "{} of the fleet's processes lack the key '{target}'; give it to them and restart \
             them: {}",
            processes.len(),
            told(&processes)
        ),
        Activation::Retired => {
            bail!("the key '{target}' was retired; make a new one with `tokenfleet keys generate`")
        }
        Activation::Unknown => bail!("the fleet does not know a key '{target}'"),
    }
}

/// Wraps in rounds until nothing is left that can be wrapped, and every process seals
/// with the new key.
async fn rewrap_all(place: &Place, vault: &Vault, args: &Args) -> anyhow::Result<Ended> {
    let target = vault.active_id();
    let tempo = Tempo {
        batch: args.batch,
        pause: Duration::from_millis(args.pause_ms),
    };
    let bar = bar(place, &target).await?;
    let (started, wait) = (Instant::now(), Duration::from_secs(args.wait));
    let mut rewrapped = 0;
    loop {
        // Before the round: what they sealed until now is found by it.
        let mut lagging = place.processes().await?;
        lagging.retain(|process| process.info.seals_with.as_ref() != Some(&target));
        let left = round(&place.store, vault, tempo, &bar).await?;
        rewrapped += left.rewrapped;
        if place.store.active_key_id().await?.as_ref() != Some(&target) {
            bail!("somebody has moved the fleet to another key meanwhile; run it again");
        }
        let settled = lagging.is_empty() && left.rewrapped + left.contended == 0;
        if settled || started.elapsed() > wait && left.contended == 0 {
            bar.finish_and_clear();
            return Ok(Ended {
                rewrapped,
                left,
                lagging,
            });
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn bar(place: &Place, target: &str) -> anyhow::Result<ProgressBar> {
    let by_key = place.store.key_uses().await?;
    let others = by_key.iter().filter(|used| used.key_id != target);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} wrapped, {per_sec}, {elapsed}")
        .context("the progress bar's template is fixed")?;
    // Hidden where standard error is no terminal.
    Ok(ProgressBar::new(others.map(store::KeyUse::total).sum()).with_style(style))
}

async fn report(
    place: &Place,
    target: &str,
    ended: &Ended,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let Ended {
        rewrapped,
        left,
        lagging,
    } = ended;
    let damaged = names(place, left).await?;
    let good = left.is_empty() && lagging.is_empty();
    if as_json {
        let report = json!({
            "active": target,
            "rewrapped": rewrapped,
            "lacking_key": left.lacking,
            "damaged": damaged,
            "damaged_webhooks": left.damaged_webhooks.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "lagging": lagging.iter().map(|process| process.info.uid.to_string()).collect::<Vec<_>>(),
        });
        say(serde_json::to_string_pretty(&report)?);
    } else {
        say(format_args!("{rewrapped} envelopes wrapped anew"));
        tell(place, left, &damaged, lagging);
        if good {
            say("nothing is left under another key; `tokenfleet keys retire` lets the old one go");
        }
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn tell(place: &Place, left: &Round, damaged: &[String], lagging: &[Process]) {
    for (key, count) in &left.lacking {
        say(format_args!(
            "{count} are sealed with '{key}', which {} lacks; add it and run this again",
            place.origin
        ));
    }
    if !damaged.is_empty() {
        say(format_args!(
            "{} do not open and were left alone; they need new credentials: {}",
            left.damaged.len(),
            damaged.join(", ")
        ));
    }
    for webhook in &left.damaged_webhooks {
        say(format_args!(
            "the secret of the webhook {webhook} does not open; make that webhook anew"
        ));
    }
    if !lagging.is_empty() {
        say(format_args!(
            "{} processes still seal with another key; run this again once they do not: {}",
            lagging.len(),
            told(lagging)
        ));
    }
}

/// `tenant/channel` of the first damaged ones.
async fn names(place: &Place, left: &Round) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for uid in left.damaged.iter().take(SHOWN) {
        let Some(channel) = place.store.channel_by_uid(*uid).await? else {
            continue;
        };
        let tenant = place.store.tenant_by_uid(channel.tenant).await?;
        let tenant = tenant.map_or_else(|| channel.tenant.to_string(), |it| it.id.to_string());
        names.push(format!("{tenant}/{}", channel.id));
    }
    Ok(names)
}
