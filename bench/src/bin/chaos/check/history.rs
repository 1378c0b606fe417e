//! The counters say what the history says, and every generation has an attempt that brought it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use domain::{AttemptOutcome, ErrorClass, JobTotals};
use sea_orm::{ConnectionTrait as _, Statement};
use store::{Channel, Store};
use uuid::Uuid;

use super::{Evidence, Findings};

const ENDS: &str = "SELECT outcome, COUNT(*) AS jobs FROM attempts WHERE ends_job GROUP BY outcome";
const BROUGHT: &str = "
    SELECT channel_uid, COUNT(DISTINCT generation) AS generations FROM attempts
    WHERE outcome = 'refreshed' AND generation > 1 GROUP BY channel_uid";

/// The books of the whole fleet.
///
/// # Errors
///
/// If the database does not answer.
pub(super) async fn check(
    evidence: &Evidence<'_>,
    store: &Store,
    channels: &[Channel],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let db = evidence.fleet.base.connect().await?;
    let backend = db.get_database_backend();
    let mut counted = JobTotals::default();
    let rows = db.query_all_raw(Statement::from_string(backend, ENDS));
    for row in rows.await? {
        let name: String = row.try_get("", "outcome")?;
        let jobs = u64::try_from(row.try_get::<i64>("", "jobs")?)?;
        let outcome = AttemptOutcome::parse(&name).context("an outcome of the history")?;
        *match outcome {
            AttemptOutcome::Refreshed | AttemptOutcome::NotNeeded => &mut counted.completed,
            AttemptOutcome::Failed(ErrorClass::Cancelled) => &mut counted.cancelled,
            AttemptOutcome::Failed(_) => &mut counted.failed,
        } += jobs;
    }
    let totals = store.job_totals(None).await?;
    findings.jobs = totals.completed + totals.failed + totals.cancelled;
    if totals != counted {
        let violation = format!("the counters say {totals:?}, the history {counted:?}");
        findings.violations.push(violation);
    }
    let mut brought: BTreeMap<Uuid, i64> = BTreeMap::new();
    let rows = db.query_all_raw(Statement::from_string(backend, BROUGHT));
    for row in rows.await? {
        brought.insert(
            row.try_get("", "channel_uid")?,
            row.try_get("", "generations")?,
        );
    }
    for channel in channels {
        let found = brought.get(&channel.uid.0).copied().unwrap_or_default();
        if found != channel.generation.0 - 1 {
            findings.violations.push(format!(
                "{} has generation {}, and the history {found} refreshes",
                channel.id, channel.generation.0
            ));
        }
    }
    db.close().await?;
    Ok(())
}
