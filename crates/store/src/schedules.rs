//! Recurring sweeps: each slot once, however many schedulers run (S2.5, S2.6).

use std::time::Duration;

use domain::{Misfire, TenantUid, Timestamp};
use entity::schedules::Model;
use sea_orm::{FromQueryResult as _, QueryResult};
use uuid::Uuid;

use crate::sql::at;
use crate::{Store, StoreError};

/// O(1) on the tenant.
const PUT: &str = "
    INSERT INTO schedules (
        uid, tenant_uid, interval_ms, refresh_before_minutes, misfire, next_run_at, created_at,
        updated_at
    ) VALUES ($1, $2, $3, $4, $5, {now} + $3 + $6, {now}, {now})
    ON CONFLICT (tenant_uid) DO UPDATE SET
        next_run_at = CASE
            WHEN schedules.interval_ms = excluded.interval_ms THEN schedules.next_run_at
            ELSE excluded.next_run_at
        END,
        interval_ms = excluded.interval_ms,
        refresh_before_minutes = excluded.refresh_before_minutes,
        misfire = excluded.misfire,
        updated_at = excluded.updated_at
    RETURNING {schedules.*}";

/// O(1) on the tenant.
const OF_TENANT: &str = "SELECT {schedules.*} FROM schedules WHERE tenant_uid = $1";

/// O(1) on the key.
const BY_UID: &str = "SELECT {schedules.*} FROM schedules WHERE uid = $1";

/// O(1) on the tenant.
const DELETE: &str = "DELETE FROM schedules WHERE tenant_uid = $1";

/// O(due) on `schedules_next`.
const DUE: &str = "
    SELECT {schedules.*} FROM schedules WHERE next_run_at <= {now}
    ORDER BY next_run_at LIMIT $1";

/// O(1) on the key. One of many callers finds the slot still there.
const ADVANCE: &str = "
    UPDATE schedules
    SET next_run_at = next_run_at + interval_ms * (({now} - next_run_at) / interval_ms + 1)
    WHERE uid = $1 AND next_run_at = $2 AND next_run_at <= {now}
    RETURNING next_run_at";

/// O(1) on the key.
const FINISH: &str = "
    UPDATE schedules SET last_done_slot = $2
    WHERE uid = $1 AND (last_done_slot IS NULL OR last_done_slot < $2)";

/// The offset of a tenant is at most this, and at most a twentieth of the interval.
const OFFSET: Duration = Duration::from_mins(1);

/// A tenant's recurring sweep. A slot is known by its instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The key inside the house.
    pub uid: Uuid,
    /// Whose channels it sweeps.
    pub tenant: TenantUid,
    /// Time between two slots.
    pub interval: Duration,
    /// Window of the sweep in minutes; the default of the fleet if `None`.
    pub refresh_before_minutes: Option<u32>,
    /// What becomes of a slot that was missed.
    pub misfire: Misfire,
    /// The next slot.
    pub next_run_at: Timestamp,
    /// The last slot whose sweep was done.
    pub last_done_slot: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed by a person.
    pub updated_at: Timestamp,
}

impl Store {
    /// Makes or changes the tenant's schedule.
    ///
    /// The first slot is one interval from now, plus an offset that is fixed for
    /// the tenant and at most 5 % of the interval and 60 s. It moves only if the
    /// interval changes. `interval_minutes` is 1–43,200.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn put_schedule(
        &self,
        tenant: TenantUid,
        interval_minutes: u32,
        refresh_before_minutes: Option<u32>,
        misfire: Misfire,
    ) -> Result<Schedule, StoreError> {
        let interval = Duration::from_mins(u64::from(interval_minutes));
        let before = refresh_before_minutes.map(|minutes| minutes.try_into().unwrap_or(i32::MAX));
        let values = [
            Uuid::now_v7().into(),
            tenant.0.into(),
            millis(interval).into(),
            before.into(),
            misfire.as_str().into(),
            millis(offset(tenant, interval)).into(),
        ];
        let row = self.pools.write_returning(PUT, values).await?;
        schedule(&row.ok_or_else(|| StoreError::unreadable("schedules", "no row"))?)
    }

    /// The tenant's schedule.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn schedule(&self, tenant: TenantUid) -> Result<Option<Schedule>, StoreError> {
        let row = self.pools.select_one(OF_TENANT, [tenant.0.into()]).await?;
        row.as_ref().map(schedule).transpose()
    }

    /// The schedule with this uid; `None` once it is cancelled.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn schedule_by_uid(&self, uid: Uuid) -> Result<Option<Schedule>, StoreError> {
        let row = self.pools.select_one(BY_UID, [uid.into()]).await?;
        row.as_ref().map(schedule).transpose()
    }

    /// Cancels the tenant's schedule; `false` if there was none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn delete_schedule(&self, tenant: TenantUid) -> Result<bool, StoreError> {
        Ok(self.pools.write(DELETE, [tenant.0.into()]).await? > 0)
    }

    /// Up to `limit` schedules whose slot has come, the longest due first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn due_schedules(&self, limit: u32) -> Result<Vec<Schedule>, StoreError> {
        let rows = self.pools.select(DUE, [i64::from(limit).into()]).await?;
        rows.iter().map(schedule).collect()
    }

    /// Moves a schedule from this slot to its first slot after now, and says which;
    /// slots that were missed meanwhile are left out. `None` if somebody else did.
    ///
    /// Queue the sweep of `from_slot` first, under a job id made of schedule and
    /// slot: then a crash in between doubles nothing and loses nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn advance_schedule(
        &self,
        uid: Uuid,
        from_slot: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let values = [uid.into(), at(from_slot)];
        let row = self.pools.write_returning(ADVANCE, values).await?;
        row.map(|row| Ok(Timestamp::from_millis(row.try_get("", "next_run_at")?)))
            .transpose()
    }

    /// Notes that the sweep of a slot is done; `false` if it, or a later one, was noted before.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn finish_slot(&self, uid: Uuid, slot: Timestamp) -> Result<bool, StoreError> {
        Ok(self.pools.write(FINISH, [uid.into(), at(slot)]).await? > 0)
    }
}

/// Spreads the tenants over a minute, so that equal intervals do not meet.
fn offset(tenant: TenantUid, interval: Duration) -> Duration {
    let most = millis((interval / 20).min(OFFSET)).unsigned_abs();
    // The tail of a UUID of version 7 is random.
    let (_, tail) = tenant.0.as_u64_pair();
    Duration::from_millis(tail % (most + 1))
}

fn millis(duration: Duration) -> i64 {
    Timestamp::default().plus(duration).as_millis()
}

fn schedule(row: &QueryResult) -> Result<Schedule, StoreError> {
    let bad = |why: &str| StoreError::unreadable("schedules", why);
    let row = Model::from_query_result(row, "")?;
    let interval = u64::try_from(row.interval_ms).map_err(|_| bad("interval"))?;
    let before = row.refresh_before_minutes.map(u32::try_from).transpose();
    Ok(Schedule {
        uid: row.uid,
        tenant: TenantUid(row.tenant_uid),
        interval: Duration::from_millis(interval),
        refresh_before_minutes: before.map_err(|_| bad("window"))?,
        misfire: row.misfire.parse().map_err(|_| bad("misfire"))?,
        next_run_at: Timestamp::from_millis(row.next_run_at),
        last_done_slot: row.last_done_slot.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
    })
}
