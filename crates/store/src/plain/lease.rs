//! Leases of channels that nobody holds.

use std::collections::HashMap;

use domain::{ProcessUid, Timestamp};
use entity::channels::Model;
use sea_orm::{ConnectionTrait as _, FromQueryResult as _, QueryResult};
use serde::Serialize;
use uuid::Uuid;

use super::is_deadlock;
use crate::channel::{Channel, sealed};
use crate::columns::{Column, Columns};
use crate::lane::{Op, Reply, answer};
use crate::pools::Pools;
use crate::sql::json;
use crate::{Dialect, Lease, LeaseOutcome, LeaseRequest, StoreError};

/// O(rows) on the key; touches no index, so that PostgreSQL updates in place. The
/// intent comes without its end, which only the database knows.
const LEASE: &str = "
    WITH v (uid, generation, ttl, intent) AS (VALUES {rows})
    UPDATE channels SET
        lease_epoch = channels.lease_epoch + 1, lease_until = {now} + v.ttl,
        intent = v.intent || ',\"started_at\":' || {now}
            || ',\"generation\":' || channels.generation
            || ',\"fingerprint\":\"' || {fingerprint_text} || '\"}'
    FROM v
    WHERE channels.uid = v.uid
        AND channels.state IN ('active', 'error', 'never_expires')
        AND channels.lease_until IS NULL AND channels.intent IS NULL
        AND (channels.generation <= v.generation OR channels.refresh_due_at <= {now})
    RETURNING {channels.*}, {now} AS now, (
        SELECT refreshed_events FROM tenants WHERE tenants.uid = channels.tenant_uid
    ) AS tells_refreshes";

/// What is known of an [`crate::Intent`] before the row is.
#[derive(Serialize)]
struct Beginning<'a> {
    job_id: &'a str,
    attempt: u32,
    owner: ProcessUid,
    no_answer: bool,
}

type Asked = HashMap<Uuid, (LeaseRequest, Reply<LeaseOutcome>)>;

pub(super) async fn carry_out(pools: &Pools, ops: Vec<Op>) -> Vec<Op> {
    let mut asked = Asked::with_capacity(ops.len());
    let mut others = Vec::new();
    for op in ops {
        match op {
            Op::Lease(request, reply)
                if request.dead_owner.is_none() && !asked.contains_key(&request.channel.0) =>
            {
                asked.insert(request.channel.0, (request, reply));
            }
            other => others.push(other),
        }
    }
    if asked.is_empty() {
        return others;
    }
    match take(pools, &asked).await {
        Ok(rows) => grant(&rows, &mut asked),
        Err(cause) if is_deadlock(&cause) => {}
        Err(cause) => {
            tracing::warn!(error = %cause, calls = asked.len(), "leases were not taken");
            for (_, reply) in asked.into_values() {
                answer(reply, Err(cause.clone()));
            }
            return others;
        }
    }
    let held = asked.into_values();
    others.extend(held.map(|(request, reply)| Op::Lease(request, reply)));
    others
}

async fn take(pools: &Pools, asked: &Asked) -> Result<Vec<QueryResult>, StoreError> {
    let mut requests: Vec<&LeaseRequest> = asked.values().map(|(request, _)| request).collect();
    requests.sort_unstable_by_key(|request| request.channel);
    let ttl = |request: &LeaseRequest| Timestamp::default().plus(request.ttl).as_millis();
    let all = requests.iter();
    let columns = Columns(vec![
        Column::Uuid(all.clone().map(|request| request.channel.0).collect()),
        Column::Int(
            all.clone()
                .map(|request| Some(request.generation.0))
                .collect(),
        ),
        Column::Int(all.clone().map(|request| Some(ttl(request))).collect()),
        Column::Text(all.map(|request| Some(beginning(request))).collect()),
    ]);
    match pools.sql.dialect {
        Dialect::Postgres => columns.on_postgres(pools, LEASE).await,
        Dialect::Sqlite => {
            let statement = pools.sql.with_rows(LEASE, columns.rows());
            Ok(pools.writer.query_all_raw(statement).await?)
        }
    }
}

fn beginning(request: &LeaseRequest) -> String {
    let mut text = json(&Beginning {
        job_id: &request.job_id,
        attempt: request.attempt,
        owner: request.owner,
        no_answer: false,
    });
    text.pop();
    text
}

/// Answers those whose lease was taken.
fn grant(rows: &[QueryResult], asked: &mut Asked) {
    for row in rows {
        match Model::from_query_result(row, "") {
            Ok(model) => {
                if let Some((_, reply)) = asked.remove(&model.uid) {
                    let lease = lease(row, &model);
                    answer(
                        reply,
                        lease.map(|lease| LeaseOutcome::Leased(Box::new(lease))),
                    );
                }
            }
            Err(cause) => tracing::error!(error = %cause, "a leased row cannot be read"),
        }
    }
}

fn lease(row: &QueryResult, model: &Model) -> Result<Lease, StoreError> {
    let no_lease = || StoreError::unreadable("channels", "lease_until");
    Ok(Lease {
        channel: Channel::from_model(model)?,
        sealed: sealed(model)?,
        epoch: model.lease_epoch,
        leased_at: Timestamp::from_millis(row.try_get("", "now")?),
        until: Timestamp::from_millis(model.lease_until.ok_or_else(no_lease)?),
        open_intent: None,
        tells_refreshes: row.try_get("", "tells_refreshes")?,
    })
}
