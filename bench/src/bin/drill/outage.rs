//! All channels come due while the provider is down.

use std::time::Duration;

use serde_json::json;
use simulator::{Faults, Outcome};
use tokio::time::sleep;

use crate::Args;
use crate::fleet::{Fleet, PROBE_EVERY, time_of};
use crate::rate::most_within;
use crate::report::Report;

/// Requests that were under way when the breaker opened.
const UNDER_WAY_MS: i64 = 500;
const SECOND: Duration = Duration::from_secs(1);

/// Rehearses it.
///
/// # Errors
///
/// If something of ours fails, or the fleet does not recover at all.
pub(crate) async fn run(args: &Args, fleet: &mut Fleet) -> anyhow::Result<Report> {
    let mut report = Report::of("outage", fleet.database.kind());
    report.tell("channels", json!(args.channels));
    report.tell("outage_s", json!(args.outage_secs));
    fleet.simulator.set_faults("tiktok.down".parse()?);
    fleet.seed(args.channels).await?;

    fleet.start(simulator::TIKTOK_CLIENT_SECRET)?;
    let opened_at = fleet.until_opened().await?;
    sleep(Duration::from_secs(args.outage_secs)).await;
    let condemned = fleet.condemned().await?;
    let failed = fleet.store.job_totals(None).await?.failed;
    fleet.simulator.set_faults(Faults::default());
    let limit = time_of(args.channels, args.budget);
    let fresh_after = fleet.until_fresh(args.channels, limit).await?;
    fleet.until_over().await?;

    report.exactly("condemned", condemned, 0);
    report.exactly("jobs_failed", failed, 0);
    report.exactly("marked", fleet.marked().await?, 0);
    let (begun, over) = fleet.alerts().await?;
    report.exactly("alerts_opened", begun, 1);
    report.exactly("alerts_closed", over, 1);
    report.at_most(
        "fresh_after_s",
        fresh_after.as_secs_f64(),
        limit.as_secs_f64(),
    );
    probes(fleet, opened_at.as_millis(), &mut report);
    refreshes(args, fleet, &mut report);
    Ok(report)
}

/// While the breaker was open, one request per pause of the whole fleet.
pub(crate) fn probes(fleet: &Fleet, opened_ms: i64, report: &mut Report) {
    let entries = fleet.entries();
    let in_vain = entries.iter().filter(|it| it.outcome != Outcome::Ok);
    let probes: Vec<i64> = in_vain
        .map(|it| it.started_ms)
        .filter(|at| *at > opened_ms + UNDER_WAY_MS)
        .collect();
    report.tell(
        "requests_in_vain",
        json!(
            entries
                .iter()
                .filter(|it| it.outcome != Outcome::Ok)
                .count()
        ),
    );
    report.tell("probes", json!(probes.len()));
    let pauses = SECOND.as_secs_f64() / PROBE_EVERY.as_secs_f64();
    // A window of ten pauses may hold eleven beginnings, and a clock has its steps.
    let most = most_within(probes, SECOND);
    report.at_most("probes_in_a_second", count(most), pauses + 1.0);
}

/// No burst above the budget, and no refresh token used twice.
pub(crate) fn refreshes(args: &Args, fleet: &Fleet, report: &mut Report) {
    let entries = fleet.entries();
    let refreshed = entries.iter().filter(|it| it.refreshed);
    let most = most_within(refreshed.map(|it| it.started_ms), SECOND);
    // No second has more than the budget where they leave; a busy machine lets some of them arrive
    // in a bunch.
    let limit = f64::from(args.budget) * 1.05;
    report.at_most("refreshes_in_a_second", count(most), limit);
    let summary = fleet.simulator.summary();
    report.exactly("refreshes", summary.refreshes, args.channels.into());
    report.exactly("reuses", summary.reuses, 0);
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
