//! Channels come in: many in one transaction, a taken id fails alone.

use std::collections::{HashMap, HashSet};

use domain::{ChannelUid, Generation, Name, ProviderName, Sealed, TenantUid, Timestamp};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use crate::sql::{Rows, at, maybe_at};
use crate::{Channel, CreateError, Facts, Store, StoreError, pools};

/// O(tenants) on the key. They cannot be deleted until the channels stand.
const TENANTS: &str = "
    SELECT uid FROM tenants WHERE uid IN ({rows}) AND NOT deleting
    ORDER BY uid {share}";

/// O(rows) on the key and the three indexes.
const INSERT: &str = "
    INSERT INTO channels (
        uid, tenant_uid, id, provider, app_identity, external_id, display_name, local_name,
        state, reason, generation, envelope, key_id, fingerprint, has_refresh_material,
        access_expires_at, refresh_expires_at, refresh_due_at, next_handout_at,
        created_at, updated_at
    ) VALUES {rows}
    ON CONFLICT (tenant_uid, id) DO NOTHING
    RETURNING uid";

/// Channels of one transaction: some ten thousand parameters.
const CHUNK: usize = 500;

/// The generation that credentials have after the import.
const FIRST: Generation = Generation(1);

/// A channel that is to be stored. Its credentials are sealed for this uid and generation 1.
#[derive(Clone, Debug)]
pub struct NewChannel {
    /// The key inside the house; envelopes are bound to it.
    pub uid: ChannelUid,
    /// Whose it is.
    pub tenant: TenantUid,
    /// The name by which callers will know it.
    pub id: Name,
    /// The kind of provider.
    pub provider: ProviderName,
    /// Whose client credentials it uses at the provider.
    pub app_identity: String,
    /// What people call it.
    pub display_name: String,
    /// What the tenant's own system calls it.
    pub local_name: Option<String>,
    /// The sealed credentials.
    pub sealed: Sealed,
    /// What is known about them.
    pub facts: Facts,
}

impl Store {
    /// Stores channels, in chunks of one transaction each; the answers are in the order given.
    ///
    /// `facts.refresh_due_at` is also when the scheduler looks at it first.
    ///
    /// # Errors
    ///
    /// Each for itself: [`CreateError::Taken`], [`CreateError::NoTenant`]; a
    /// [`CreateError::Store`] is shared by its chunk, of which nothing was stored.
    pub async fn import_channels(
        &self,
        channels: Vec<NewChannel>,
    ) -> Vec<Result<Channel, CreateError>> {
        let mut answers = Vec::with_capacity(channels.len());
        let mut channels = channels.into_iter().peekable();
        while channels.peek().is_some() {
            let chunk: Vec<NewChannel> = channels.by_ref().take(CHUNK).collect();
            match self.import_chunk(&chunk).await {
                Ok(results) => answers.extend(results),
                Err(cause) => {
                    let failed = || Err(CreateError::Store(cause.clone()));
                    answers.extend(chunk.iter().map(|_| failed()));
                }
            }
        }
        answers
    }

    async fn import_chunk(
        &self,
        chunk: &[NewChannel],
    ) -> Result<Vec<Result<Channel, CreateError>>, StoreError> {
        let transaction = self.pools.begin().await?;
        let tenants = self.living_tenants(&transaction, chunk).await?;
        let now = pools::now(&transaction, &self.pools.sql).await?;
        let rows: Vec<_> = chunk
            .iter()
            .filter(|channel| tenants.contains(&channel.tenant.0))
            .map(|channel| values(channel, now))
            .collect();
        let mut stored = HashSet::new();
        if !rows.is_empty() {
            let statement = self.pools.sql.with_rows(INSERT, Rows::exact(rows));
            stored = uids(&transaction.query_all_raw(statement).await?)?;
        }
        transaction.commit().await?;
        let answer = |channel: &NewChannel| {
            if stored.contains(&channel.uid.0) {
                Ok(as_stored(channel, now))
            } else if tenants.contains(&channel.tenant.0) {
                Err(CreateError::Taken)
            } else {
                Err(CreateError::NoTenant)
            }
        };
        Ok(chunk.iter().map(answer).collect())
    }

    async fn living_tenants(
        &self,
        transaction: &DatabaseTransaction,
        chunk: &[NewChannel],
    ) -> Result<HashSet<Uuid>, StoreError> {
        let tenants: HashMap<Uuid, [Value; 1]> = chunk
            .iter()
            .map(|channel| (channel.tenant.0, [channel.tenant.0.into()]))
            .collect();
        let list = Rows::padded(tenants.into_values());
        let statement = self.pools.sql.with_rows(TENANTS, list);
        uids(&transaction.query_all_raw(statement).await?)
    }
}

fn uids(rows: &[QueryResult]) -> Result<HashSet<Uuid>, StoreError> {
    rows.iter().map(|row| Ok(row.try_get("", "uid")?)).collect()
}

fn values(channel: &NewChannel, now: Timestamp) -> [Value; 21] {
    let NewChannel { sealed, facts, .. } = channel;
    [
        channel.uid.0.into(),
        channel.tenant.0.into(),
        channel.id.as_str().into(),
        channel.provider.as_str().into(),
        channel.app_identity.as_str().into(),
        facts.external_id.clone().into(),
        channel.display_name.as_str().into(),
        channel.local_name.clone().into(),
        facts.state.as_str().into(),
        facts.reason.clone().into(),
        FIRST.0.into(),
        sealed.envelope.clone().into(),
        sealed.key_id.as_str().into(),
        sealed.fingerprint.to_vec().into(),
        facts.has_refresh_material.into(),
        maybe_at(facts.access_expires_at),
        maybe_at(facts.refresh_expires_at),
        maybe_at(facts.refresh_due_at),
        maybe_at(facts.first_handout(now)),
        at(now),
        at(now),
    ]
}

fn as_stored(channel: &NewChannel, now: Timestamp) -> Channel {
    let facts = channel.facts.clone();
    Channel {
        uid: channel.uid,
        tenant: channel.tenant,
        id: channel.id.clone(),
        provider: channel.provider.clone(),
        app_identity: channel.app_identity.clone(),
        external_id: facts.external_id.clone(),
        display_name: channel.display_name.clone(),
        local_name: channel.local_name.clone(),
        state: facts.state,
        next_handout_at: facts.first_handout(now),
        reason: facts.reason,
        generation: FIRST,
        has_refresh_material: facts.has_refresh_material,
        access_expires_at: facts.access_expires_at,
        refresh_expires_at: facts.refresh_expires_at,
        refresh_due_at: facts.refresh_due_at,
        last_refreshed_at: None,
        failures: 0,
        last_error: None,
        created_at: now,
        updated_at: now,
    }
}
