//! What must be so afterwards, by the simulator's ledger and the fleet's own books.

mod evidence;
mod history;
mod overlaps;
mod reuses;
mod tokens;

use std::collections::BTreeMap;

use store::Store;
use vault::Vault;

pub(crate) use evidence::Evidence;

use crate::people::Connected;
use crate::quiet;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Requests to the providers.
    pub(crate) requests: usize,
    /// Requests that brought new credentials.
    pub(crate) refreshes: usize,
    /// Overlapping requests for one grant from two processes, whose sender had given up, by why.
    pub(crate) excused: BTreeMap<&'static str, u32>,
    /// Uses of a spent refresh token that had to be, by why.
    pub(crate) explained: BTreeMap<&'static str, u32>,
    /// Grants that ended by them.
    pub(crate) lost: usize,
    /// Grants whose stored tokens were compared with the living ones.
    pub(crate) compared: u32,
    /// Jobs that ended, by the counters.
    pub(crate) jobs: u64,
    /// What must not be.
    pub(crate) violations: Vec<String>,
    /// What is explained, one line each.
    pub(crate) lines: Vec<String>,
}

/// Looks at everything, once no process of the fleet runs any more.
///
/// # Errors
///
/// If the database does not answer the harness.
pub(crate) async fn check(
    evidence: &Evidence<'_>,
    connected: &[Connected],
    store: &Store,
    vault: &Vault,
) -> anyhow::Result<Findings> {
    let mut findings = Findings {
        requests: evidence.requests.len(),
        refreshes: evidence
            .requests
            .iter()
            .filter(|it| it.entry.refreshed)
            .count(),
        ..Findings::default()
    };
    overlaps::check(evidence, &mut findings);
    let lost = reuses::check(evidence, &mut findings);
    findings.lost = lost.len();
    let channels = quiet::all(store).await?;
    tokens::check(
        evidence,
        connected,
        &lost,
        (store, vault, &channels),
        &mut findings,
    )
    .await?;
    history::check(evidence, store, &channels, &mut findings).await?;
    Ok(findings)
}
