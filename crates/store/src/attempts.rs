//! The history: written with every outcome, read by job and by channel.

use std::collections::HashMap;

use std::time::Duration;

use domain::{
    AttemptOutcome, AttemptRecord, ChannelUid, Generation, ProviderName, Replaced, TenantUid,
    Timestamp,
};
use entity::attempts::Model;
use sea_orm::{
    ConnectionTrait as _, DatabaseTransaction, FromQueryResult as _, QueryResult, Value,
};
use uuid::Uuid;

use crate::sql::{Rows, Sql, json, maybe_at};
use crate::{Page, PageRequest, Store, StoreError};

/// O(rows) on the key. The second end of a job, and a record that is there, are left out.
const INSERT: &str = "
    INSERT INTO attempts (
        uid, tenant_uid, channel_uid, job_id, attempt, started_at, duration_ms,
        outcome, ends_job, generation, new_expires_at,
        provider, due_at, old_expires_at, details
    ) VALUES {rows}
    ON CONFLICT DO NOTHING
    RETURNING uid";

/// O(rows) on the key.
const WHICH_ARE_THERE: &str = "SELECT uid FROM attempts WHERE uid IN ({rows})";

/// O(1) on `attempts_end`.
const END_OF_JOB: &str = "SELECT {attempts.*} FROM attempts WHERE job_id = $1 AND ends_job";

/// O(jobs) on `attempts_end`.
const ENDS_OF_JOBS: &str =
    "SELECT {attempts.*} FROM attempts WHERE job_id IN ({rows}) AND ends_job";

/// O(attempts of the job) on `attempts_end` and `attempts_try`.
const OF_JOB: &str = "
    SELECT {attempts.*} FROM attempts WHERE job_id = $1 AND ends_job
    UNION ALL
    SELECT {attempts.*} FROM attempts WHERE job_id = $1 AND NOT ends_job
    ORDER BY uid";

/// O(page) on `attempts_channel`.
const OF_CHANNEL: &str = "
    SELECT {attempts.*} FROM attempts WHERE channel_uid = $1
    ORDER BY uid DESC LIMIT $2";

/// O(page) on `attempts_channel`.
const OF_CHANNEL_AFTER: &str = "
    SELECT {attempts.*} FROM attempts WHERE channel_uid = $1 AND uid < $3
    ORDER BY uid DESC LIMIT $2";

/// Jobs that are looked up by one statement.
const CHUNK: usize = 1000;

impl Store {
    /// How a job ended; `None` if it has not, or its history is gone.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn job_result(&self, job_id: &str) -> Result<Option<AttemptRecord>, StoreError> {
        let row = self.pools.select_one(END_OF_JOB, [job_id.into()]).await?;
        row.as_ref().map(record).transpose()
    }

    /// How these jobs ended; those that have not are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn job_results(
        &self,
        job_ids: &[String],
    ) -> Result<HashMap<String, AttemptRecord>, StoreError> {
        let mut ends = HashMap::with_capacity(job_ids.len());
        for chunk in job_ids.chunks(CHUNK) {
            let list = Rows::padded(chunk.iter().map(|id| [id.as_str().into()]));
            let statement = self.pools.sql.with_rows(ENDS_OF_JOBS, list);
            for row in self.pools.read(statement).await? {
                let end = record(&row)?;
                ends.insert(end.job_id.clone(), end);
            }
        }
        Ok(ends)
    }

    /// All attempts of a job, the first first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn attempts_of_job(&self, job_id: &str) -> Result<Vec<AttemptRecord>, StoreError> {
        let rows = self.pools.select(OF_JOB, [job_id.into()]).await?;
        rows.iter().map(record).collect()
    }

    /// A channel's attempts, the newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn attempts_of_channel(
        &self,
        uid: ChannelUid,
        page: PageRequest<Uuid>,
    ) -> Result<Page<AttemptRecord, Uuid>, StoreError> {
        let limit = i64::from(page.limit) + 1;
        let mut values = vec![uid.0.into(), limit.into()];
        values.extend(page.after.map(Value::from));
        let text = match page.after {
            None => OF_CHANNEL,
            Some(_) => OF_CHANNEL_AFTER,
        };
        let rows = self.pools.select(text, values).await?;
        let records: Result<Vec<_>, _> = rows.iter().map(record).collect();
        Ok(Page::cut(records?, page.limit, |record| record.uid))
    }
}

/// Writes attempts, and says which were new.
pub(crate) async fn insert(
    transaction: &DatabaseTransaction,
    sql: &Sql,
    attempts: impl IntoIterator<Item = &AttemptRecord>,
) -> Result<Vec<Uuid>, StoreError> {
    let mut attempts: Vec<&AttemptRecord> = attempts.into_iter().collect();
    if attempts.is_empty() {
        return Ok(Vec::new());
    }
    // Two processes that end the same jobs meet on the unique index in the same order.
    attempts.sort_unstable_by(|a, b| (&a.job_id, a.uid).cmp(&(&b.job_id, b.uid)));
    let statement = sql.with_rows(INSERT, Rows::padded(attempts.into_iter().map(values)));
    uids(&transaction.query_all_raw(statement).await?)
}

/// Which of these attempts are in the history.
pub(crate) async fn which_are_there(
    transaction: &DatabaseTransaction,
    sql: &Sql,
    attempts: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Uuid>, StoreError> {
    let list = Rows::padded(attempts.into_iter().map(|uid| [uid.into()]));
    let statement = sql.with_rows(WHICH_ARE_THERE, list);
    uids(&transaction.query_all_raw(statement).await?)
}

fn uids(rows: &[QueryResult]) -> Result<Vec<Uuid>, StoreError> {
    rows.iter().map(|row| Ok(row.try_get("", "uid")?)).collect()
}

fn values(attempt: &AttemptRecord) -> [Value; 15] {
    let replaced = attempt.replaced.as_ref();
    [
        attempt.uid.into(),
        attempt.tenant.0.into(),
        attempt.channel.0.into(),
        attempt.job_id.as_str().into(),
        i32::try_from(attempt.attempt).unwrap_or(i32::MAX).into(),
        attempt.started_at.as_millis().into(),
        millis(attempt.duration).into(),
        attempt.outcome.as_str().into(),
        attempt.ends_job.into(),
        attempt.generation.map(|generation| generation.0).into(),
        maybe_at(attempt.new_expires_at),
        replaced.map(|it| it.provider.as_str()).into(),
        maybe_at(replaced.and_then(|it| it.due_at)),
        maybe_at(replaced.and_then(|it| it.old_expires_at)),
        json(&attempt.details).into(),
    ]
}

/// A duration as its column has it.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn record(row: &QueryResult) -> Result<AttemptRecord, StoreError> {
    let bad = |why: &str| StoreError::unreadable("attempts", why);
    let row = Model::from_query_result(row, "")?;
    Ok(AttemptRecord {
        uid: row.uid,
        tenant: TenantUid(row.tenant_uid),
        channel: ChannelUid(row.channel_uid),
        job_id: row.job_id,
        attempt: u32::try_from(row.attempt).map_err(|_| bad("attempt"))?,
        started_at: Timestamp::from_millis(row.started_at),
        duration: Duration::from_millis(row.duration_ms.try_into().map_err(|_| bad("duration"))?),
        outcome: AttemptOutcome::parse(&row.outcome).ok_or_else(|| bad("outcome"))?,
        ends_job: row.ends_job,
        generation: row.generation.map(Generation),
        new_expires_at: row.new_expires_at.map(Timestamp::from_millis),
        replaced: row.provider.map(|provider| Replaced {
            provider: ProviderName::from(provider),
            due_at: row.due_at.map(Timestamp::from_millis),
            old_expires_at: row.old_expires_at.map(Timestamp::from_millis),
        }),
        details: serde_json::from_str(&row.details).map_err(|_| bad("details"))?,
    })
}
