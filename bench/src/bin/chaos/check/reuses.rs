//! A spent refresh token is presented again only where its answer, or who had it, was lost.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Findings;
use super::evidence::{Evidence, Request, finished, started};
use crate::fleet::PROVIDER_TIMEOUT;

/// From an answer to its place in the database or, after a second of silence, in a flushed file.
/// The second and the file take up to 2.1 s where two cores carry the whole fleet, its databases
/// and the providers, unoptimised; the rest is the answer's way to its reader.
const KEPT_WITHIN: Duration = Duration::from_millis(2500);
/// Nobody is taken over sooner after his request: the lease less the time to send it, rounded down.
const TAKEN_OVER_AFTER: Duration = Duration::from_secs(12);
const BLUR: Duration = Duration::from_millis(300);

/// Every use of a spent token; the grants that ended by it.
pub(super) fn check<'e>(evidence: &'e Evidence<'_>, findings: &mut Findings) -> BTreeSet<&'e str> {
    let mut lost = BTreeSet::new();
    for (grant, requests) in evidence.by_grant() {
        for (n, reuse) in requests.iter().enumerate() {
            if !reuse.entry.reuse {
                continue;
            }
            lost.insert(grant);
            let spent = requests[..n]
                .iter()
                .rev()
                .find(|it| it.entry.refreshed && it.entry.token == reuse.entry.token);
            let Some(spent) = spent else {
                let name = evidence.name(reuse);
                let violation = format!("{grant}: {name} presented a token that nobody spent");
                findings.violations.push(violation);
                continue;
            };
            let line = format!(
                "{grant} generation {}: spent by {}, again by {} after {} ms",
                spent.entry.generation.unwrap_or_default(),
                evidence.name(spent),
                evidence.name(reuse),
                reuse.entry.started_ms - spent.entry.finished_ms,
            );
            match explain(evidence, spent, reuse) {
                Some(why) => {
                    *findings.explained.entry(why).or_default() += 1;
                    findings.lines.push(format!("{line}: {why}"));
                }
                None => findings.violations.push(line),
            }
        }
    }
    lost
}

/// Why the token had to be presented again; the names stand in the report.
fn explain(evidence: &Evidence<'_>, spent: &Request, reuse: &Request) -> Option<&'static str> {
    let (begins, came) = (started(&reuse.entry), finished(&spent.entry));
    let killed_at = evidence.killed_at(spent).filter(|at| *at <= begins);
    // One that stood still when the answer came reads it afterwards, if he lives.
    let kept_by = evidence.after_running(spent, came, KEPT_WITHIN);
    if killed_at.is_some_and(|at| at <= kept_by) {
        return Some("killed_before_it_was_kept");
    }
    if spent.was_cut() {
        return Some("answer_cut");
    }
    if evidence.was_cut_off(spent) {
        return Some("network_cut");
    }
    let taken_over = begins >= started(&spent.entry).plus(TAKEN_OVER_AFTER);
    let stood_still = kept_by > came.plus(KEPT_WITHIN);
    if taken_over && stood_still && begins <= kept_by {
        return Some("paused_beyond_takeover");
    }
    let timed_out = begins.plus(BLUR) >= started(&spent.entry).plus(PROVIDER_TIMEOUT);
    if spent.sender == reuse.sender && timed_out && !taken_over {
        return Some("timed_out");
    }
    // Answers that the database did not take are in a file and have a copy in Redis: on another
    // machine, who takes over without the one needs the other.
    let copy_lost = evidence.chronicle.redis_lost_within(came, begins);
    if !copy_lost || evidence.same_machine(spent, reuse) {
        return None;
    }
    if killed_at.is_some() {
        return Some("killed_and_copy_lost");
    }
    (taken_over && evidence.paused(spent, begins, begins)).then_some("paused_and_copy_lost")
}
