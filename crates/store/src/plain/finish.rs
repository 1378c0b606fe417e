//! Refreshes of active channels that brought new credentials and ended their job.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use domain::{AttemptOutcome, AttemptRecord, ChannelState, Replaced, Sealed, Timestamp};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult};
use uuid::Uuid;

use super::is_deadlock;
use crate::columns::{Column, Columns};
use crate::counters::Deltas;
use crate::lane::{Op, Reply, answer};
use crate::pools::{self, Pools};
use crate::sql::json;
use crate::{Change, Dialect, Facts, Finish, Finished, StoreError, attempts};

/// The outcomes, one per row.
const OUTCOMES: &str = "
    WITH v (
        uid, epoch, generation, envelope, key_id, fingerprint, has_refresh_material,
        access_expires_at, refresh_expires_at, refresh_due_at, external_id, reason,
        attempt_uid, tenant_uid, job_id, attempt, started_at, duration_ms,
        provider, due_at, old_expires_at, details
    ) AS (VALUES {rows})";

/// O(rows) on the key and the indexes of due times and expiries. Like
/// `Row::learn` of an active channel that stays active, so nobody is told.
const STORE: &str = "
    UPDATE channels SET
        lease_until = NULL, intent = NULL, generation = channels.generation + 1,
        envelope = v.envelope, key_id = v.key_id, fingerprint = v.fingerprint,
        has_refresh_material = v.has_refresh_material,
        access_expires_at = v.access_expires_at, refresh_expires_at = v.refresh_expires_at,
        refresh_due_at = v.refresh_due_at,
        next_handout_at = COALESCE(v.refresh_due_at, {now} + 86400000),
        external_id = COALESCE(v.external_id, channels.external_id), reason = v.reason,
        failures = 0, last_error = NULL, requested_at = NULL, request_job_id = NULL,
        last_refreshed_at = {now}, updated_at = {now}
    FROM v
    WHERE channels.uid = v.uid AND channels.state = 'active'
        AND channels.lease_epoch = v.epoch AND channels.lease_until IS NOT NULL
        AND channels.generation = v.generation
    RETURNING channels.uid";

/// O(rows) on the key of each table, all of it in one statement: whoever waits for a
/// channel's lock holds no other. A second end of a job does not count again.
const RECORD: &str = "
    , ended (uid, tenant_uid) AS (
        INSERT INTO attempts (
            uid, tenant_uid, channel_uid, job_id, attempt, started_at, duration_ms,
            outcome, ends_job, generation, new_expires_at,
            provider, due_at, old_expires_at, details
        )
        SELECT v.attempt_uid, v.tenant_uid, v.uid, v.job_id, v.attempt, v.started_at,
            v.duration_ms, 'refreshed', TRUE, v.generation + 1, v.access_expires_at,
            v.provider, v.due_at, v.old_expires_at, v.details
        FROM v JOIN stored ON stored.uid = v.uid
        ORDER BY v.job_id
        ON CONFLICT DO NOTHING
        RETURNING uid, tenant_uid
    ), counted AS (
        INSERT INTO counter_deltas (tenant_uid, kind, minute, value)
        SELECT ended.tenant_uid, 'refreshed', {now} / 60000, COUNT(*) FROM ended GROUP BY 1
    ), again AS (
        INSERT INTO attempts (
            uid, tenant_uid, channel_uid, job_id, attempt, started_at, duration_ms,
            outcome, ends_job, generation, new_expires_at,
            provider, due_at, old_expires_at, details
        )
        SELECT v.attempt_uid, v.tenant_uid, v.uid, v.job_id, v.attempt, v.started_at,
            v.duration_ms, 'refreshed', FALSE, v.generation + 1, v.access_expires_at,
            v.provider, v.due_at, v.old_expires_at, v.details
        FROM v JOIN stored ON stored.uid = v.uid
        WHERE (SELECT COUNT(*) FROM ended) < (SELECT COUNT(*) FROM stored)
            AND v.attempt_uid NOT IN (SELECT uid FROM ended)
        ON CONFLICT DO NOTHING
    )
    SELECT uid FROM stored";

static STORE_AND_RECORD: LazyLock<String> =
    LazyLock::new(|| format!("{OUTCOMES}, stored (uid) AS ({STORE}){RECORD}"));

/// An outcome of the plain kind.
struct Plain {
    finish: Arc<Finish>,
    reply: Reply<Finished>,
}

type Plains = HashMap<Uuid, Plain>;

pub(super) async fn carry_out(pools: &Pools, ops: Vec<Op>) -> Vec<Op> {
    let mut plains = Plains::with_capacity(ops.len());
    let mut others = Vec::new();
    for op in ops {
        match op {
            Op::Finish(finish, reply)
                if is_plain(&finish) && !plains.contains_key(&finish.attempt.channel.0) =>
            {
                plains.insert(finish.attempt.channel.0, Plain { finish, reply });
            }
            other => others.push(other),
        }
    }
    if plains.is_empty() {
        return others;
    }
    match store(pools, &plains).await {
        Ok(stored) => {
            for uid in stored {
                if let Some(plain) = plains.remove(&uid) {
                    answer(plain.reply, Ok(Finished::Stored));
                }
            }
        }
        Err(cause) if is_deadlock(&cause) => {}
        Err(cause) => {
            tracing::warn!(error = %cause, calls = plains.len(), "outcomes were not stored");
            for plain in plains.into_values() {
                answer(plain.reply, Err(cause.clone()));
            }
            return others;
        }
    }
    let left = plains.into_values();
    others.extend(left.map(|plain| Op::Finish(plain.finish, plain.reply)));
    others
}

fn is_plain(finish: &Finish) -> bool {
    facts(finish).is_some_and(|facts| facts.state == ChannelState::Active)
        && finish.attempt.outcome == AttemptOutcome::Refreshed
        && finish.attempt.ends_job
        && !finish.tells_refreshes
}

fn facts(finish: &Finish) -> Option<&Facts> {
    parts(finish).map(|parts| parts.facts)
}

/// Stores them, and says which channels' were.
async fn store(pools: &Pools, plains: &Plains) -> Result<Vec<Uuid>, StoreError> {
    let mut finishes: Vec<&Finish> = plains.values().map(|plain| &*plain.finish).collect();
    finishes.sort_unstable_by_key(|finish| finish.attempt.channel);
    let columns = columns(&finishes);
    match pools.sql.dialect {
        Dialect::Postgres => on_postgres(pools, columns).await,
        Dialect::Sqlite => on_sqlite(pools, columns, plains).await,
    }
}

async fn on_postgres(pools: &Pools, columns: Columns) -> Result<Vec<Uuid>, StoreError> {
    uids(&columns.on_postgres(pools, &STORE_AND_RECORD).await?)
}

/// SQLite changes one table per statement; a transaction holds them together.
async fn on_sqlite(
    pools: &Pools,
    columns: Columns,
    plains: &Plains,
) -> Result<Vec<Uuid>, StoreError> {
    let transaction = pools.begin().await?;
    let statement = pools
        .sql
        .with_rows(&format!("{OUTCOMES}{STORE}"), columns.rows());
    let stored = uids(&transaction.query_all_raw(statement).await?)?;
    let attempts: Vec<AttemptRecord> = stored
        .iter()
        .filter_map(|uid| plains.get(uid))
        .map(|plain| attempt(&plain.finish))
        .collect();
    record(&transaction, pools, attempts).await?;
    transaction.commit().await?;
    Ok(stored)
}

async fn record(
    transaction: &DatabaseTransaction,
    pools: &Pools,
    mut attempts: Vec<AttemptRecord>,
) -> Result<(), StoreError> {
    let now = pools::now(transaction, &pools.sql).await?;
    let new = attempts::insert(transaction, &pools.sql, &attempts).await?;
    let new: HashSet<Uuid> = new.into_iter().collect();
    let mut ended = Deltas::default();
    attempts.retain_mut(|attempt| {
        let counts = new.contains(&attempt.uid);
        if counts {
            ended.count(attempt, now);
        }
        attempt.ends_job = false;
        !counts
    });
    attempts::insert(transaction, &pools.sql, &attempts).await?;
    ended.add(transaction, &pools.sql).await
}

/// The record as it stands in the history.
fn attempt(finish: &Finish) -> AttemptRecord {
    AttemptRecord {
        generation: Some(finish.generation.next()),
        new_expires_at: facts(finish).and_then(|facts| facts.access_expires_at),
        ..finish.attempt.clone()
    }
}

fn uids(rows: &[QueryResult]) -> Result<Vec<Uuid>, StoreError> {
    rows.iter().map(|row| Ok(row.try_get("", "uid")?)).collect()
}

/// The columns of [`OUTCOMES`].
fn columns(finishes: &[&Finish]) -> Columns {
    let stored: Vec<_> = finishes.iter().copied().filter_map(parts).collect();
    let all = || stored.iter();
    let instant = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
    let int = |of: fn(&Parts<'_>) -> i64| Column::Int(all().map(|part| Some(of(part))).collect());
    let time = |of: fn(&Facts) -> Option<Timestamp>| {
        Column::Int(all().map(|part| instant(of(part.facts))).collect())
    };
    let ended = |of: fn(&Replaced) -> Option<Timestamp>| {
        let ended = all().map(|part| instant(replaced(part).and_then(of)));
        Column::Int(ended.collect())
    };
    let text = |of: fn(&Parts<'_>) -> Option<String>| Column::Text(all().map(of).collect());
    let blob =
        |of: fn(&Sealed) -> Vec<u8>| Column::Blob(all().map(|part| of(part.sealed)).collect());
    let uuid = |of: fn(&AttemptRecord) -> Uuid| {
        Column::Uuid(all().map(|part| of(&part.finish.attempt)).collect())
    };
    Columns(vec![
        uuid(|attempt| attempt.channel.0),
        int(|part| part.finish.epoch),
        int(|part| part.finish.generation.0),
        blob(|sealed| sealed.envelope.clone()),
        text(|part| Some(part.sealed.key_id.clone())),
        blob(|sealed| sealed.fingerprint.to_vec()),
        Column::Bool(all().map(|part| part.facts.has_refresh_material).collect()),
        time(|facts| facts.access_expires_at),
        time(|facts| facts.refresh_expires_at),
        time(|facts| facts.refresh_due_at),
        text(|part| part.facts.external_id.clone()),
        text(|part| part.facts.reason.clone()),
        uuid(|attempt| attempt.uid),
        uuid(|attempt| attempt.tenant.0),
        text(|part| Some(part.finish.attempt.job_id.clone())),
        int(|part| i64::from(part.finish.attempt.attempt)),
        int(|part| part.finish.attempt.started_at.as_millis()),
        int(|part| attempts::millis(part.finish.attempt.duration)),
        text(|part| Some(replaced(part)?.provider.to_string())),
        ended(|replaced| replaced.due_at),
        ended(|replaced| replaced.old_expires_at),
        text(|part| Some(json(&part.finish.attempt.details))),
    ])
}

/// An outcome with new credentials, taken apart.
struct Parts<'a> {
    finish: &'a Finish,
    sealed: &'a Sealed,
    facts: &'a Facts,
}

fn replaced<'f>(part: &Parts<'f>) -> Option<&'f Replaced> {
    part.finish.attempt.replaced.as_ref()
}

fn parts(finish: &Finish) -> Option<Parts<'_>> {
    match &finish.change {
        Change::Stored { sealed, facts } => Some(Parts {
            finish,
            sealed,
            facts,
        }),
        Change::Confirmed { .. } | Change::Failed(_) => None,
    }
}
