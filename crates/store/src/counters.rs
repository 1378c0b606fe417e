//! Figures that grow with every job that ends: totals for ever, minutes for a day and more.
//!
//! What ends is first written behind the last line of `counter_deltas`, where nobody
//! waits for anybody; [`Store::fold_counters`] adds it up. Both count.

use std::collections::BTreeMap;

use domain::{AttemptOutcome, AttemptRecord, ErrorClass, JobTotals, TenantUid, Timestamp};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult};
use uuid::Uuid;

use crate::sql::{Rows, Sql};
use crate::{Dialect, Store, StoreError};

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;

/// O(rows).
const ADD: &str = "INSERT INTO counter_deltas (tenant_uid, kind, minute, value) VALUES {rows}";

/// What a delta is in `counters`: a total (bucket 0), and minutes of two kinds.
macro_rules! spread {
    ($deltas:literal) => {
        concat!(
            "SELECT tenant_uid, CASE kind WHEN 'refreshed' THEN 'completed' ELSE kind END AS kind,
                CAST(0 AS bigint) AS bucket, value FROM ",
            $deltas,
            " UNION ALL SELECT tenant_uid, kind, minute, value FROM ",
            $deltas,
            " WHERE kind IN ('refreshed', 'failed')"
        )
    };
}

/// O(deltas), and on the key once per figure that grew.
const FOLD_ON_POSTGRES: &str = concat!(
    "WITH taken AS (DELETE FROM counter_deltas RETURNING tenant_uid, kind, minute, value)
    INSERT INTO counters (tenant_uid, kind, bucket, value)
    SELECT tenant_uid, kind, bucket, SUM(value) FROM (",
    spread!("taken"),
    ") AS figures GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (tenant_uid, kind, bucket)
    DO UPDATE SET value = counters.value + excluded.value"
);

/// The same in two statements. `WHERE true` tells the parser that
/// what follows is no join.
const FOLD_ON_SQLITE: [&str; 2] = [
    concat!(
        "INSERT INTO counters (tenant_uid, kind, bucket, value)
        SELECT tenant_uid, kind, bucket, SUM(value) FROM (",
        spread!("counter_deltas"),
        ") AS figures WHERE true GROUP BY 1, 2, 3
        ON CONFLICT (tenant_uid, kind, bucket)
        DO UPDATE SET value = counters.value + excluded.value"
    ),
    "DELETE FROM counter_deltas",
];

/// O(1) on the key, and O(deltas).
const TOTALS_OF_TENANT: &str = concat!(
    "SELECT kind, CAST(SUM(value) AS bigint) AS value FROM (
        SELECT tenant_uid, kind, bucket, value FROM counters UNION ALL ",
    spread!("counter_deltas"),
    ") AS figures
    WHERE bucket = 0 AND tenant_uid = $1 AND kind IN ('completed', 'failed', 'cancelled')
    GROUP BY kind"
);

/// O(tenants) on `counters_bucket`, and O(deltas).
const TOTALS_OF_FLEET: &str = concat!(
    "SELECT kind, CAST(SUM(value) AS bigint) AS value FROM (
        SELECT tenant_uid, kind, bucket, value FROM counters UNION ALL ",
    spread!("counter_deltas"),
    ") AS figures
    WHERE bucket = 0 GROUP BY kind"
);

/// O(minutes of a day) on the key, and O(deltas).
const LAST_DAY: &str = concat!(
    "SELECT kind, CAST(SUM(value) AS bigint) AS value FROM (
        SELECT tenant_uid, kind, bucket, value FROM counters UNION ALL ",
    spread!("counter_deltas"),
    ") AS figures
    WHERE tenant_uid = $1 AND kind IN ('refreshed', 'failed') AND bucket > {now} / 60000 - $2
    GROUP BY kind"
);

/// What is counted: how a job ended. Where a delta says `refreshed`, a total says
/// `completed`, which is also the end of a job that had nothing to do.
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

    /// Adds up what ended since the last time, so that reading the figures stays cheap.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; the figures are right all the same.
    pub async fn fold_counters(&self) -> Result<(), StoreError> {
        let transaction = self.pools.begin().await?;
        fold(&transaction, &self.pools.sql).await?;
        Ok(transaction.commit().await?)
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

/// What a number of records add to the figures: per tenant and kind, in this minute.
#[derive(Debug, Default)]
pub(crate) struct Deltas(BTreeMap<(Uuid, &'static str, i64), i64>);

impl Deltas {
    /// Counts a record if its job ended with it.
    pub(crate) fn count(&mut self, attempt: &AttemptRecord, now: Timestamp) {
        if !attempt.ends_job {
            return;
        }
        let minute = now.as_millis().div_euclid(MINUTE_MS);
        let kind = match attempt.outcome {
            AttemptOutcome::Refreshed => REFRESHED,
            AttemptOutcome::NotNeeded => COMPLETED,
            AttemptOutcome::Failed(ErrorClass::Cancelled) => CANCELLED,
            AttemptOutcome::Failed(_) => FAILED,
        };
        *self.0.entry((attempt.tenant.0, kind, minute)).or_default() += 1;
    }

    /// Writes them down.
    pub(crate) async fn add(
        self,
        transaction: &DatabaseTransaction,
        sql: &Sql,
    ) -> Result<(), StoreError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let rows = self.0.into_iter().map(|((tenant, kind, minute), value)| {
            [tenant.into(), kind.into(), minute.into(), value.into()]
        });
        let statement = sql.with_rows(ADD, Rows::exact(rows));
        transaction.execute_raw(statement).await?;
        Ok(())
    }
}

/// Adds up what ended since the last time.
pub(crate) async fn fold(transaction: &DatabaseTransaction, sql: &Sql) -> Result<(), StoreError> {
    let texts: &[&str] = match sql.dialect {
        Dialect::Postgres => &[FOLD_ON_POSTGRES],
        Dialect::Sqlite => &FOLD_ON_SQLITE,
    };
    for text in texts {
        let statement = sql.statement(text, Vec::new());
        transaction.execute_raw(statement).await?;
    }
    Ok(())
}
