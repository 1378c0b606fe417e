//! What is stored is what lives, and who died is told so.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ChannelState, Grant};
use secrecy::ExposeSecret as _;
use simulator::{GrantView, fingerprint};
use store::{Channel, Store};
use vault::Vault;

use super::{Evidence, Findings};
use crate::people::{Connected, by_grant};

/// Every channel that was connected.
///
/// # Errors
///
/// If the database does not answer.
pub(super) async fn check(
    evidence: &Evidence<'_>,
    connected: &[Connected],
    lost: &BTreeSet<&str>,
    (store, vault, channels): (&Store, &Vault, &[Channel]),
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let by_id: BTreeMap<&str, &Channel> = channels.iter().map(|it| (it.id.as_str(), it)).collect();
    for (grant, one) in by_grant(connected) {
        let Some(channel) = by_id.get(one.id.as_str()) else {
            let violation = format!("{} was connected and is gone", one.id);
            findings.violations.push(violation);
            continue;
        };
        if lost.contains(grant) {
            if channel.state != ChannelState::NeedsReauth || !one.rotating {
                let violation = format!("{grant} is lost, and its channel {}", channel.state);
                findings.violations.push(violation);
            }
            continue;
        }
        let Some(view) = evidence.fleet.simulator.grant(grant, false) else {
            let violation = format!("{grant} is not known to the simulator");
            findings.violations.push(violation);
            continue;
        };
        let held = store.held(channel.tenant, &channel.id).await?;
        let stored = held.and_then(|held| {
            let (uid, generation) = (channel.uid, channel.generation);
            vault.open(uid, generation, &held.sealed).ok()
        });
        findings.compared += 1;
        findings
            .violations
            .extend(wrong(channel, &view, stored.as_ref()));
    }
    Ok(())
}

/// What is wrong with a channel whose grant should be alive.
fn wrong(channel: &Channel, view: &GrantView, stored: Option<&Grant>) -> Option<String> {
    let id = &view.id;
    if channel.state != ChannelState::Active {
        return Some(format!(
            "{id} can be alive, and its channel is {} ({})",
            channel.state,
            channel.reason.as_deref().unwrap_or("no reason")
        ));
    }
    if view.revoked {
        return Some(format!("{id} was revoked, and nothing says why"));
    }
    let Some(stored) = stored else {
        return Some(format!("the credentials of {id} do not open"));
    };
    let tokens = [
        ("access_token", &stored.access_token),
        ("refresh_token", &stored.refresh_token),
    ];
    tokens.into_iter().find_map(|(name, token)| {
        let ours = token
            .as_ref()
            .map(|token| fingerprint(token.expose_secret()));
        let lives = view.fingerprints.get(name);
        (ours.as_ref() != lives).then(|| {
            format!(
                "the stored {name} of {id} is not the living one; generations: {} here, {} there",
                channel.generation.0, view.generation
            )
        })
    })
}
