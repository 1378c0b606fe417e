//! One JSON line per run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::check::Findings;
use crate::fleet::Fleet;
use crate::plan::{Shape, Step};
use crate::quiet::Quiet;

/// The line of a run.
pub(crate) fn line(
    (seed, shape): (u64, &Shape),
    plan: &[Step],
    fleet: &Fleet,
    (connected, quiet, findings): (usize, &Quiet, &Findings),
) -> Value {
    let mut steps: BTreeMap<&str, u32> = BTreeMap::new();
    for step in plan {
        *steps.entry(step.act.kind()).or_default() += 1;
    }
    let started: usize = fleet.places.iter().map(|place| place.lives().len()).sum();
    json!({
        "chaos": if findings.violations.is_empty() { "ok" } else { "violated" },
        "seed": seed,
        "seconds": shape.length.as_secs(),
        "database": shape.database.as_str(),
        "processes": fleet.places.len(),
        "processes_started": started,
        "steps": steps,
        "channels": connected,
        "requests": findings.requests,
        "refreshes": findings.refreshes,
        "jobs": findings.jobs,
        "overlaps_excused": findings.excused,
        "reuses_explained": findings.explained,
        "grants_lost": findings.lost,
        "grants_compared": findings.compared,
        "hurried": quiet.hurried,
        "quiet_after_s": (quiet.after.as_secs_f64() * 10.0).round() / 10.0,
        "violations": findings.violations,
    })
}
