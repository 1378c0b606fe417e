//! A channel's row while it is locked: read, changed in memory, written back.
//!
//! Everything that depends on what stands in the row (leases, outcomes, repairs,
//! pauses) is decided in Rust between the two, so that the rules stand in one
//! language and hold on both databases.

use std::collections::HashMap;

use domain::{ChannelState, ChannelUid, Timestamp};
use entity::channels::Model;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, FromQueryResult as _, Value};
use uuid::Uuid;

use crate::intent::OpenIntent;
use crate::sql::{Rows, Sql, json};
use crate::{Channel, Facts, StoreError};

/// O(rows) on the key. Rows are locked in the order of their uid.
const LOAD: &str = "
    SELECT {channels.*} FROM channels WHERE uid IN ({rows})
    ORDER BY uid {lock}";

/// O(rows) on the key; touches no index, so that PostgreSQL updates in place.
const SAVE_LEASES: &str = "
    WITH v (uid, lease_epoch, lease_until, intent) AS (VALUES {rows})
    UPDATE channels SET
        lease_epoch = v.lease_epoch, lease_until = v.lease_until, intent = v.intent
    FROM v WHERE channels.uid = v.uid";

/// O(rows) on the key. An envelope that did not change is not sent.
const SAVE: &str = "
    WITH v (
        uid, lease_epoch, lease_until, intent,
        app_identity, external_id, display_name, local_name,
        state, reason, paused_from, generation, envelope, key_id, fingerprint,
        has_refresh_material, access_expires_at, refresh_expires_at, refresh_due_at,
        next_handout_at, requested_at, request_job_id, last_refreshed_at,
        failures, last_error, updated_at
    ) AS (VALUES {rows})
    UPDATE channels SET
        lease_epoch = v.lease_epoch, lease_until = v.lease_until, intent = v.intent,
        app_identity = v.app_identity, external_id = v.external_id,
        display_name = v.display_name, local_name = v.local_name,
        state = v.state, reason = v.reason, paused_from = v.paused_from,
        generation = v.generation, envelope = COALESCE(v.envelope, channels.envelope),
        key_id = v.key_id, fingerprint = v.fingerprint,
        has_refresh_material = v.has_refresh_material,
        access_expires_at = v.access_expires_at, refresh_expires_at = v.refresh_expires_at,
        refresh_due_at = v.refresh_due_at, next_handout_at = v.next_handout_at,
        requested_at = v.requested_at, request_job_id = v.request_job_id,
        last_refreshed_at = v.last_refreshed_at, failures = v.failures,
        last_error = v.last_error, updated_at = v.updated_at
    FROM v WHERE channels.uid = v.uid";

/// How much of a row has to be written back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Touched {
    Nothing,
    Lease,
    All,
    AllAndEnvelope,
}

/// A channel's row, locked by a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) model: Model,
    pub(crate) state: ChannelState,
    pub(crate) intent: Option<OpenIntent>,
    touched: Touched,
}

impl Row {
    pub(crate) fn new(model: Model) -> Result<Self, StoreError> {
        let bad = |why: &str| StoreError::unreadable("channels", why);
        let state = model.state.parse().map_err(|_| bad("state"))?;
        let intent = match &model.intent {
            Some(text) => Some(serde_json::from_str(text).map_err(|_| bad("intent"))?),
            None => None,
        };
        Ok(Self {
            model,
            state,
            intent,
            touched: Touched::Nothing,
        })
    }

    /// The channel as it is.
    pub(crate) fn channel(&self) -> Result<Channel, StoreError> {
        let model = Model {
            state: self.state.as_str().to_owned(),
            ..self.model.clone()
        };
        Channel::from_model(&model)
    }

    /// Notes that the row was changed, so that it is written back.
    pub(crate) fn touch(&mut self, touched: Touched) {
        self.touched = self.touched.max(touched);
    }

    /// When the lease ends, if one is on it; it may have ended.
    pub(crate) fn lease_until(&self) -> Option<Timestamp> {
        self.model.lease_until.map(Timestamp::from_millis)
    }

    pub(crate) fn access_expires_at(&self) -> Option<Timestamp> {
        self.model.access_expires_at.map(Timestamp::from_millis)
    }

    /// Whether the channel should have been refreshed by now.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.model
            .refresh_due_at
            .is_some_and(|due| due <= now.as_millis())
    }

    /// Ends the lease, and leaves this of its intent.
    pub(crate) fn end_lease(&mut self, intent: Option<OpenIntent>) {
        self.model.lease_until = None;
        self.intent = intent;
        self.touch(Touched::Lease);
    }

    /// Takes over what is known about the credentials.
    ///
    /// A paused channel stays paused, and remembers the state it comes back to.
    pub(crate) fn learn(&mut self, facts: &Facts, now: Timestamp) {
        self.enter(facts.state, facts.reason.clone());
        let row = &mut self.model;
        row.access_expires_at = facts.access_expires_at.map(Timestamp::as_millis);
        row.refresh_expires_at = facts.refresh_expires_at.map(Timestamp::as_millis);
        row.refresh_due_at = facts.refresh_due_at.map(Timestamp::as_millis);
        row.next_handout_at = facts.first_handout(now).map(Timestamp::as_millis);
        row.has_refresh_material = facts.has_refresh_material;
        if facts.external_id.is_some() {
            row.external_id.clone_from(&facts.external_id);
        }
        row.failures = 0;
        row.last_error = None;
        self.forget_request();
        self.touch(Touched::All);
    }

    /// Changes the state; under a pause, the state that is behind it.
    pub(crate) fn enter(&mut self, state: ChannelState, reason: Option<String>) {
        if self.state == ChannelState::Paused {
            self.model.paused_from = Some(state.as_str().to_owned());
        } else {
            self.state = state;
        }
        self.model.reason = reason;
        self.touch(Touched::All);
    }

    /// Whoever asked for a refresh has an answer.
    pub(crate) fn forget_request(&mut self) {
        self.model.requested_at = None;
        self.model.request_job_id = None;
        self.touch(Touched::All);
    }

    fn lease_values(&self) -> [Value; 4] {
        let intent = self.intent.as_ref().map(json);
        [
            self.model.uid.into(),
            self.model.lease_epoch.into(),
            self.model.lease_until.into(),
            intent.into(),
        ]
    }

    fn values(&self) -> [Value; 26] {
        let [uid, epoch, until, intent] = self.lease_values();
        let row = self.model.clone();
        let envelope = (self.touched == Touched::AllAndEnvelope).then_some(row.envelope);
        [
            uid,
            epoch,
            until,
            intent,
            row.app_identity.into(),
            row.external_id.into(),
            row.display_name.into(),
            row.local_name.into(),
            self.state.as_str().into(),
            row.reason.into(),
            row.paused_from.into(),
            row.generation.into(),
            envelope.into(),
            row.key_id.into(),
            row.fingerprint.into(),
            row.has_refresh_material.into(),
            row.access_expires_at.into(),
            row.refresh_expires_at.into(),
            row.refresh_due_at.into(),
            row.next_handout_at.into(),
            row.requested_at.into(),
            row.request_job_id.into(),
            row.last_refreshed_at.into(),
            row.failures.into(),
            row.last_error.into(),
            row.updated_at.into(),
        ]
    }
}

/// Rows by uid; one that cannot be read does not stop the others.
pub(crate) type RowMap = HashMap<Uuid, Result<Row, StoreError>>;

/// Reads and locks the rows of these channels; those that do not exist are left out.
pub(crate) async fn load(
    transaction: &DatabaseTransaction,
    sql: &Sql,
    uids: impl IntoIterator<Item = ChannelUid>,
) -> Result<RowMap, StoreError> {
    let mut uids: Vec<ChannelUid> = uids.into_iter().collect();
    uids.sort_unstable();
    uids.dedup();
    if uids.is_empty() {
        return Ok(RowMap::new());
    }
    let list = Rows::padded(uids.iter().map(|uid| [uid.0.into()]));
    let mut rows = RowMap::with_capacity(uids.len());
    for found in transaction.query_all_raw(sql.with_rows(LOAD, list)).await? {
        let model = Model::from_query_result(&found, "")?;
        rows.insert(model.uid, Row::new(model));
    }
    Ok(rows)
}

/// Reads and locks one row.
pub(crate) async fn load_one(
    transaction: &DatabaseTransaction,
    sql: &Sql,
    uid: ChannelUid,
) -> Result<Option<Row>, StoreError> {
    let mut rows = load(transaction, sql, [uid]).await?;
    rows.remove(&uid.0).transpose()
}

/// Writes back what was changed in these rows.
pub(crate) async fn save(
    transaction: &DatabaseTransaction,
    sql: &Sql,
    rows: impl Iterator<Item = &Row>,
) -> Result<(), StoreError> {
    let (mut leases, mut whole) = (Vec::new(), Vec::new());
    for row in rows {
        match row.touched {
            Touched::Nothing => {}
            Touched::Lease => leases.push(row.lease_values()),
            Touched::All | Touched::AllAndEnvelope => whole.push(row.values()),
        }
    }
    if !leases.is_empty() {
        let statement = sql.with_rows(SAVE_LEASES, Rows::padded(leases));
        transaction.execute_raw(statement).await?;
    }
    if !whole.is_empty() {
        let statement = sql.with_rows(SAVE, Rows::padded(whole));
        transaction.execute_raw(statement).await?;
    }
    Ok(())
}
