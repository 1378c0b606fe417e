//! No two processes ask for one grant at a time, unless the first had given up.

use std::time::Duration;

use super::Findings;
use super::evidence::{Evidence, Request, finished, started};
use crate::fleet::PROVIDER_TIMEOUT;

/// What a sender waits, less what a request may take to the simulator: he began to count before.
const PATIENCE: Duration = PROVIDER_TIMEOUT.saturating_sub(Duration::from_millis(300));

/// Every pair of overlapping requests for one grant.
pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (grant, requests) in evidence.by_grant() {
        for (n, later) in requests.iter().enumerate() {
            for earlier in &requests[..n] {
                let together = finished(&earlier.entry) > started(&later.entry);
                if !together || earlier.sender == later.sender {
                    continue;
                }
                if let Some(why) = excuse(evidence, earlier, later) {
                    *findings.excused.entry(why).or_default() += 1;
                } else {
                    findings.violations.push(format!(
                        "{grant}: {} asked while {} did, {} ms after it",
                        evidence.name(later),
                        evidence.name(earlier),
                        later.entry.started_ms - earlier.entry.started_ms,
                    ));
                }
            }
        }
    }
}

fn excuse(evidence: &Evidence<'_>, earlier: &Request, later: &Request) -> Option<&'static str> {
    let begins = started(&later.entry);
    if evidence.killed_at(earlier).is_some_and(|at| at <= begins) {
        return Some("killed");
    }
    let gave_up_at = started(&earlier.entry).plus(PATIENCE);
    (begins >= gave_up_at).then_some("timed_out")
}
