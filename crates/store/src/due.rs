//! What is due, and what somebody asked for.

use std::fmt::Write as _;

use domain::{
    ChannelState, ChannelUid, Generation, ProviderName, TenantUid, Timestamp, rehandout_after,
};
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use crate::sql::{Rows, at, maybe_at};
use crate::{Dialect, Store, StoreError};

/// The states that the scheduler looks at.
const SCANNED: [ChannelState; 4] = [
    ChannelState::Active,
    ChannelState::Error,
    ChannelState::NeverExpires,
    ChannelState::Deleting,
];

/// O(due) on `channels_due`: each state's first ones in the order of the index.
const DUE_IN_STATE: &str = "
    SELECT * FROM (
        SELECT uid, tenant_uid, provider, state, generation, refresh_due_at,
            access_expires_at, requested_at, request_job_id, next_handout_at, {now} AS now
        FROM channels
        WHERE state = '{state}' AND next_handout_at <= {now}
        ORDER BY next_handout_at LIMIT $1 {lock_free}
    ) AS due_{state}";

/// O(rows) on the key and `channels_due`; the rows are locked.
const HAND_OUT: &str = "
    WITH v (uid, next_handout_at) AS (VALUES {rows})
    UPDATE channels SET next_handout_at = v.next_handout_at
    FROM v WHERE channels.uid = v.uid";

/// O(rows) on the key and `channels_due`; locked in the order of their uid.
/// A wish for now is left to the caller's own job for 15 s.
const REQUEST: &str = "
    WITH v (uid, wanted_at, job_id) AS (VALUES {rows}),
    locked (uid) AS (
        SELECT uid FROM channels
        WHERE uid IN (SELECT uid FROM v) AND state IN ('active', 'error', 'never_expires')
        ORDER BY uid {lock}
    )
    UPDATE channels SET
        requested_at = CASE
            WHEN requested_at <= COALESCE(v.wanted_at, {now}) THEN requested_at
            ELSE COALESCE(v.wanted_at, {now})
        END,
        request_job_id = v.job_id,
        next_handout_at = CASE
            WHEN next_handout_at <= COALESCE(v.wanted_at, {now} + 15000) THEN next_handout_at
            ELSE COALESCE(v.wanted_at, {now} + 15000)
        END
    FROM v, locked WHERE channels.uid = v.uid AND locked.uid = v.uid";

/// O(1) on the key and `channels_due`.
const SNOOZE: &str = "UPDATE channels SET next_handout_at = $2 WHERE uid = $1";

/// Rows of one statement.
const CHUNK: usize = 1000;
/// Channels of one hand-out.
const MOST: u32 = 10_000;

/// A channel that was handed out: a job is to be made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Whose it is.
    pub tenant: TenantUid,
    /// Which.
    pub channel: ChannelUid,
    /// Whose queue it goes to.
    pub provider: ProviderName,
    /// `active`, a daily probe of `error` or `never_expires`, or `deleting`: to be removed.
    pub state: ChannelState,
    /// The generation that is to be refreshed.
    pub generation: Generation,
    /// When it should have been refreshed.
    pub due_at: Option<Timestamp>,
    /// End of the access token.
    pub access_expires_at: Option<Timestamp>,
    /// When somebody wants it refreshed.
    pub requested_at: Option<Timestamp>,
    /// The job that was promised to whoever asked.
    pub request_job_id: Option<String>,
}

/// One of many refreshes that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshRequest {
    /// Which channel.
    pub channel: ChannelUid,
    /// When; `None` is now.
    pub at: Option<Timestamp>,
    /// The job that was promised.
    pub job_id: String,
}

impl Store {
    /// Hands out up to `limit` due channels, the longest due first, each to one
    /// caller only however many ask at once.
    ///
    /// A handed-out channel rests for `domain::rehandout_after`; if no outcome is
    /// stored by then it is handed out again, so that a lost job comes back.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing is handed out.
    pub async fn take_due(&self, limit: u32) -> Result<Vec<Due>, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let found = sql.statement(&due_statement(), vec![i64::from(limit.min(MOST)).into()]);
        let rows = transaction.query_all_raw(found).await?;
        let mut handed_out = Vec::with_capacity(rows.len());
        let mut stamps = Vec::with_capacity(rows.len());
        for row in &rows {
            let due = due(row)?;
            stamps.push(stamp(&due, Timestamp::from_millis(row.try_get("", "now")?)));
            handed_out.push(due);
        }
        self.stamp(&transaction, stamps).await?;
        transaction.commit().await?;
        Ok(handed_out)
    }

    /// Writes down that somebody wants a refresh, so that a flushed Redis does not
    /// forget it; `at` `None` is now. An earlier wish stays. `false` if there is no
    /// such channel, or its state is not one that is refreshed.
    ///
    /// The scheduler looks at it at `at`, or 15 s from now if it is wanted now: the job
    /// that the caller queues normally wins.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn request_refresh(
        &self,
        uid: ChannelUid,
        at: Option<Timestamp>,
        job_id: &str,
    ) -> Result<bool, StoreError> {
        let wish = [uid.0.into(), maybe_at(at), job_id.into()];
        Ok(self.request_chunk([wish]).await? > 0)
    }

    /// [`Store::request_refresh`] of many, in one transaction per thousand.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; requests before the failing thousand stand.
    pub async fn request_many(&self, requests: &[RefreshRequest]) -> Result<(), StoreError> {
        for chunk in requests.chunks(CHUNK) {
            let wishes = chunk.iter().map(|request| {
                [
                    request.channel.0.into(),
                    maybe_at(request.at),
                    request.job_id.as_str().into(),
                ]
            });
            self.request_chunk(wishes).await?;
        }
        Ok(())
    }

    /// Sets when the scheduler looks at a channel next, if it looks at it at all.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn snooze_channel(
        &self,
        uid: ChannelUid,
        next_handout_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.pools
            .write(SNOOZE, [uid.0.into(), at(next_handout_at)])
            .await?;
        Ok(())
    }

    /// How the database carries out the due scan, line by line: its index must be in it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn explain_due(&self) -> Result<Vec<String>, StoreError> {
        let (explain, column) = match self.dialect() {
            Dialect::Sqlite => ("EXPLAIN QUERY PLAN ", "detail"),
            Dialect::Postgres => ("EXPLAIN ", "QUERY PLAN"),
        };
        let text = format!("{explain}{}", due_statement());
        let rows = self.pools.select(&text, [i64::from(MOST).into()]).await?;
        rows.iter()
            .map(|row| Ok(row.try_get("", column)?))
            .collect()
    }

    async fn request_chunk(
        &self,
        wishes: impl IntoIterator<Item = [Value; 3]>,
    ) -> Result<u64, StoreError> {
        let statement = self.pools.sql.with_rows(REQUEST, Rows::padded(wishes));
        self.pools.execute(statement).await
    }

    async fn stamp(
        &self,
        transaction: &DatabaseTransaction,
        stamps: Vec<[Value; 2]>,
    ) -> Result<(), StoreError> {
        let sql = &self.pools.sql;
        if stamps.is_empty() {
            return Ok(());
        }
        if sql.dialect == Dialect::Postgres {
            let arrays = "SELECT * FROM UNNEST($1::uuid[], $2::bigint[])";
            let text = HAND_OUT.replace("VALUES {rows}", arrays);
            transaction
                .execute_raw(sql.statement(&text, in_arrays(stamps)))
                .await?;
            return Ok(());
        }
        for chunk in stamps.chunks(CHUNK) {
            let rows = Rows::padded(chunk.iter().cloned());
            transaction
                .execute_raw(sql.with_rows(HAND_OUT, rows))
                .await?;
        }
        Ok(())
    }
}

/// One arm per state, each bounded, then the longest due of all.
fn due_statement() -> String {
    let mut text = String::from("SELECT * FROM (");
    for (index, state) in SCANNED.into_iter().enumerate() {
        let union = if index == 0 { "" } else { " UNION ALL " };
        let arm = DUE_IN_STATE.replace("{state}", state.as_str());
        write!(text, "{union}{arm}").expect("a string takes all text");
    }
    text + ") AS due ORDER BY next_handout_at LIMIT $1"
}

/// When a channel that was handed out comes back if its job is lost.
fn stamp(due: &Due, now: Timestamp) -> [Value; 2] {
    let back_at = now.plus(rehandout_after(now, due.access_expires_at));
    [due.channel.0.into(), at(back_at)]
}

/// One text whatever the number of stamps, so that PostgreSQL plans it once.
fn in_arrays(stamps: Vec<[Value; 2]>) -> Vec<Value> {
    let (uids, times) = stamps.into_iter().map(|[uid, at]| (uid, at)).unzip();
    vec![
        Value::Array(ArrayType::Uuid, Some(Box::new(uids))),
        Value::Array(ArrayType::BigInt, Some(Box::new(times))),
    ]
}

fn due(row: &QueryResult) -> Result<Due, StoreError> {
    let instant = |column| -> Result<Option<Timestamp>, StoreError> {
        let millis: Option<i64> = row.try_get("", column)?;
        Ok(millis.map(Timestamp::from_millis))
    };
    let uid = |column| -> Result<Uuid, StoreError> { Ok(row.try_get("", column)?) };
    let state: String = row.try_get("", "state")?;
    let provider: String = row.try_get("", "provider")?;
    Ok(Due {
        tenant: TenantUid(uid("tenant_uid")?),
        channel: ChannelUid(uid("uid")?),
        provider: ProviderName::from(provider),
        state: state
            .parse()
            .map_err(|_| StoreError::unreadable("channels", "state"))?,
        generation: Generation(row.try_get("", "generation")?),
        due_at: instant("refresh_due_at")?,
        access_expires_at: instant("access_expires_at")?,
        requested_at: instant("requested_at")?,
        request_job_id: row.try_get("", "request_job_id")?,
    })
}
