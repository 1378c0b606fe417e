//! The app's secret is wrong, until an operator corrects it.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::Args;
use crate::fleet::{Fleet, time_of};
use crate::outage::{probes, refreshes};
use crate::report::Report;

/// The first ones were refused before the fleet knew why: they rest as after any failed job,
/// which no setting shortens.
const FIRST_ONES_REST: Duration = Duration::from_mins(2);

/// Rehearses it.
///
/// # Errors
///
/// If something of ours fails, or the fleet does not recover at all.
pub(crate) async fn run(args: &Args, fleet: &mut Fleet) -> anyhow::Result<Report> {
    let mut report = Report::of("misconfigured", fleet.database.kind());
    report.tell("channels", json!(args.channels));
    report.tell("outage_s", json!(args.outage_secs));
    fleet.seed(args.channels).await?;

    fleet.start("not-the-secret-of-this-app")?;
    let opened_at = fleet.until_opened().await?;
    sleep(Duration::from_secs(args.outage_secs)).await;
    let condemned = fleet.condemned().await?;
    fleet.end();
    fleet.start(simulator::TIKTOK_CLIENT_SECRET)?;
    let limit = time_of(args.channels, args.budget) + FIRST_ONES_REST;
    let fresh_after = fleet.until_fresh(args.channels, limit).await?;

    report.exactly("condemned", condemned, 0);
    report.exactly("marked", fleet.marked().await?, 0);
    // The breaker of the wrong secret stays open: nobody uses it any more.
    report.exactly("alerts_opened", fleet.alerts().await?.0, 1);
    report.at_most(
        "fresh_after_s",
        fresh_after.as_secs_f64(),
        limit.as_secs_f64(),
    );
    probes(fleet, opened_at.as_millis(), &mut report);
    refreshes(args, fleet, &mut report);
    Ok(report)
}
