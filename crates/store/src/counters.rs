//! Figures that grow with every job that ends: totals for ever, minutes for a day and more.

use std::collections::BTreeMap;

use domain::{AttemptOutcome, AttemptRecord, ErrorClass, JobTotals, TenantUid, Timestamp};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult};
use uuid::Uuid;

use crate::sql::{Rows, Sql};
use crate::{Store, StoreError};

/// The bucket of the totals.
const TOTAL: i64 = 0;
const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;

/// O(rows) on the key. Rows come in the order of the key, and each once.
const ADD: &str = "
    INSERT INTO counters (tenant_uid, kind, bucket, value) VALUES {rows}
    ON CONFLICT (tenant_uid, kind, bucket)
    DO UPDATE SET value = counters.value + excluded.value";

/// O(1) on the key.
const TOTALS_OF_TENANT: &str = "
    SELECT kind, CAST(SUM(value) AS bigint) AS value FROM counters
    WHERE bucket = 0 AND tenant_uid = $1 AND kind IN ('completed', 'failed', 'cancelled')
    GROUP BY kind";

/// O(tenants) on `counters_bucket`.
const TOTALS_OF_FLEET: &str = "
    SELECT kind, CAST(SUM(value) AS bigint) AS value FROM counters
    WHERE bucket = 0 GROUP BY kind";

/// O(minutes of a day) on the key.
const LAST_DAY: &str = "
    SELECT kind, CAST(SUM(value) AS bigint) AS value FROM counters
    WHERE tenant_uid = $1 AND kind IN ('refreshed', 'failed') AND bucket > {now} / 60000 - $2
    GROUP BY kind";

/// What is counted. `refreshed` has minutes only, `failed` both, the others totals.
const COMPLETED: &str = "completed";
const FAILED: &str = "failed";
const CANCELLED: &str = "cancelled";
const REFRESHED: &str = "refreshed";

impl Store {
    /// How many jobs ended how, of a tenant or of the whole fleet.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn job_totals(&self, tenant: Option<TenantUid>) -> Result<JobTotals, StoreError> {
        let rows = match tenant {
            Some(tenant) => self.pools.select(TOTALS_OF_TENANT, [tenant.0.into()]).await,
            None => self.pools.select(TOTALS_OF_FLEET, []).await,
        };
        let sums = sums(&rows?)?;
        let of = |kind| sums.get(kind).copied().unwrap_or_default();
        Ok(JobTotals {
            completed: of(COMPLETED),
            failed: of(FAILED),
            cancelled: of(CANCELLED),
        })
    }

    /// Refreshed and failed jobs of the tenant's last 24 hours, to the minute.
    pub(crate) async fn last_day(&self, tenant: TenantUid) -> Result<(u64, u64), StoreError> {
        let values = [tenant.0.into(), DAY_MINUTES.into()];
        let sums = sums(&self.pools.select(LAST_DAY, values).await?)?;
        let of = |kind| sums.get(kind).copied().unwrap_or_default();
        Ok((of(REFRESHED), of(FAILED)))
    }
}

fn sums(rows: &[QueryResult]) -> Result<BTreeMap<String, u64>, StoreError> {
    rows.iter()
        .map(|row| {
            let value: i64 = row.try_get("", "value")?;
            let value = u64::try_from(value)
                .map_err(|_| StoreError::unreadable("counters", "a negative value"))?;
            Ok((row.try_get("", "kind")?, value))
        })
        .collect()
}

/// What a number of records add to the figures.
#[derive(Debug, Default)]
pub(crate) struct Deltas(BTreeMap<(Uuid, &'static str, i64), i64>);

impl Deltas {
    /// Counts a record if its job ended with it.
    pub(crate) fn count(&mut self, attempt: &AttemptRecord, now: Timestamp) {
        if !attempt.ends_job {
            return;
        }
        let minute = now.as_millis().div_euclid(MINUTE_MS);
        let counted: &[(&'static str, i64)] = match attempt.outcome {
            AttemptOutcome::Refreshed => &[(COMPLETED, TOTAL), (REFRESHED, minute)],
            AttemptOutcome::NotNeeded => &[(COMPLETED, TOTAL)],
            AttemptOutcome::Failed(ErrorClass::Cancelled) => &[(CANCELLED, TOTAL)],
            AttemptOutcome::Failed(_) => &[(FAILED, TOTAL), (FAILED, minute)],
        };
        for (kind, bucket) in counted {
            *self.0.entry((attempt.tenant.0, kind, *bucket)).or_default() += 1;
        }
    }

    /// Adds them up in the database.
    pub(crate) async fn add(
        self,
        transaction: &DatabaseTransaction,
        sql: &Sql,
    ) -> Result<(), StoreError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let rows = self.0.into_iter().map(|((tenant, kind, bucket), value)| {
            [tenant.into(), kind.into(), bucket.into(), value.into()]
        });
        let statement = sql.with_rows(ADD, Rows::exact(rows));
        transaction.execute_raw(statement).await?;
        Ok(())
    }
}
