//! What the master keys have sealed: counted by key, and wrapped anew under another.
//!
//! A re-wrap renews the wrapped data key of an envelope and nothing else, so it is
//! no new generation: it is stored only while the row holds the very envelope it
//! was made of. Rows that a refresh has locked are left for the next look.

use domain::{Generation, Sealed};
use sea_orm::{ConnectionTrait, QueryResult};
use uuid::Uuid;

use crate::sql::{Rows, Sql};
use crate::{Store, StoreError};

/// O(channels + endpoints): for a person who asks, and once per retirement.
const USES: &str = "
    SELECT key_id, CAST(sum(channels) AS bigint) AS channels,
        CAST(sum(webhooks) AS bigint) AS webhooks
    FROM (
        SELECT key_id, count(*) AS channels, 0 AS webhooks FROM channels GROUP BY key_id
        UNION ALL
        SELECT key_id, 0, count(*) FROM webhook_endpoints GROUP BY key_id
    ) AS used
    GROUP BY key_id ORDER BY key_id";

/// O(channels) on the key over all calls of one round: few rows are under another
/// key, and an index that every refresh has to keep would cost more than the walk.
const NEXT_CHANNELS: &str = "
    SELECT uid, generation, envelope, key_id, fingerprint FROM channels
    WHERE uid > $1 AND key_id <> $2
    ORDER BY uid LIMIT $3";

/// The same for endpoints; their secrets never change.
const NEXT_WEBHOOKS: &str = "
    SELECT uid, CAST(0 AS bigint) AS generation, envelope, key_id, fingerprint
    FROM webhook_endpoints
    WHERE uid > $1 AND key_id <> $2
    ORDER BY uid LIMIT $3";

/// O(rows) on the key. Compare and swap on uid, generation and key id.
const SWAP_CHANNELS: &str = "
    WITH v (uid, generation, key_id, envelope, next_key_id) AS (VALUES {rows}),
    free (uid) AS (
        SELECT channels.uid FROM channels JOIN v ON channels.uid = v.uid
        ORDER BY channels.uid {lock_free}
    )
    UPDATE channels SET envelope = v.envelope, key_id = v.next_key_id
    FROM v JOIN free ON free.uid = v.uid
    WHERE channels.uid = v.uid
        AND channels.generation = v.generation AND channels.key_id = v.key_id";

/// The same for endpoints.
const SWAP_WEBHOOKS: &str = "
    WITH v (uid, generation, key_id, envelope, next_key_id) AS (VALUES {rows}),
    free (uid) AS (
        SELECT webhook_endpoints.uid FROM webhook_endpoints
        JOIN v ON webhook_endpoints.uid = v.uid
        ORDER BY webhook_endpoints.uid {lock_free}
    )
    UPDATE webhook_endpoints SET envelope = v.envelope, key_id = v.next_key_id
    FROM v JOIN free ON free.uid = v.uid
    WHERE webhook_endpoints.uid = v.uid AND webhook_endpoints.key_id = v.key_id";

/// What has sealed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Channels: their credentials.
    Channels,
    /// Webhook endpoints: their signing secrets.
    Webhooks,
}

impl Holding {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Channels, Self::Webhooks];
}

/// How much one master key has sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The key's id; it may be one that no process has.
    pub key_id: String,
    /// Channels.
    pub channels: u64,
    /// Webhook endpoints.
    pub webhooks: u64,
}

impl KeyUse {
    /// A key that sealed nothing.
    #[must_use]
    pub fn none(key_id: &str) -> Self {
        Self {
            key_id: key_id.to_owned(),
            channels: 0,
            webhooks: 0,
        }
    }

    /// All of it together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.channels + self.webhooks
    }
}

/// A sealed value as it stands in its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedValue {
    /// The uid of the channel or the endpoint, for which it is sealed.
    pub owner: Uuid,
    /// The generation that a channel's is sealed for; 0 for others.
    pub generation: Generation,
    /// The envelope.
    pub sealed: Sealed,
}

/// An envelope whose data key was wrapped anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// What it was made of.
    pub before: SealedValue,
    /// The same payload under another master key.
    pub after: Sealed,
}

impl Store {
    /// How much each master key has sealed; keys that sealed nothing are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn key_uses(&self) -> Result<Vec<KeyUse>, StoreError> {
        uses(&self.pools.reader, &self.pools.sql).await
    }

    /// Up to `limit` values after that of the owner `after`, in the order of their uids,
    /// that another key than `key_id` has sealed; `None` begins a round, an empty
    /// answer ends it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn sealed_by_others(
        &self,
        holding: Holding,
        key_id: &str,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<SealedValue>, StoreError> {
        let text = match holding {
            Holding::Channels => NEXT_CHANNELS,
            Holding::Webhooks => NEXT_WEBHOOKS,
        };
        let after = after.unwrap_or(Uuid::nil());
        let values = [after.into(), key_id.into(), i64::from(limit).into()];
        let rows = self.pools.select(text, values).await?;
        rows.iter().map(sealed_value).collect()
    }

    /// Stores re-wrapped envelopes where the row still holds what they were made of,
    /// and says how many; the others were refreshed, repaired or removed meanwhile,
    /// or are being so.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn store_rewrapped(
        &self,
        holding: Holding,
        rewrapped: Vec<Rewrapped>,
    ) -> Result<u64, StoreError> {
        if rewrapped.is_empty() {
            return Ok(0);
        }
        let text = match holding {
            Holding::Channels => SWAP_CHANNELS,
            Holding::Webhooks => SWAP_WEBHOOKS,
        };
        let rows = rewrapped.into_iter().map(|Rewrapped { before, after }| {
            [
                before.owner.into(),
                before.generation.0.into(),
                before.sealed.key_id.into(),
                after.envelope.into(),
                after.key_id.into(),
            ]
        });
        let statement = self.pools.sql.with_rows(text, Rows::padded(rows));
        self.pools.execute(statement).await
    }
}

/// How much each master key has sealed, inside a transaction or outside.
pub(crate) async fn uses(db: &impl ConnectionTrait, sql: &Sql) -> Result<Vec<KeyUse>, StoreError> {
    let rows = db.query_all_raw(sql.statement(USES, Vec::new())).await?;
    let used = |row: &QueryResult| {
        let count = |column| -> Result<u64, StoreError> {
            let count: i64 = row.try_get("", column)?;
            Ok(u64::try_from(count).unwrap_or(0))
        };
        Ok(KeyUse {
            key_id: row.try_get("", "key_id")?,
            channels: count("channels")?,
            webhooks: count("webhooks")?,
        })
    };
    rows.iter().map(used).collect()
}

fn sealed_value(row: &QueryResult) -> Result<SealedValue, StoreError> {
    let fingerprint: Vec<u8> = row.try_get("", "fingerprint")?;
    let fingerprint = fingerprint.try_into();
    Ok(SealedValue {
        owner: row.try_get("", "uid")?,
        generation: Generation(row.try_get("", "generation")?),
        sealed: Sealed {
            envelope: row.try_get("", "envelope")?,
            key_id: row.try_get("", "key_id")?,
            fingerprint: fingerprint
                .map_err(|_| StoreError::unreadable("sealed values", "fingerprint"))?,
        },
    })
}
