//! What people change: names, pauses, new credentials, deletion.

use domain::{ChannelState, ChannelUid, Generation, Sealed, Timestamp};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction};

use crate::finish::store_sealed;
use crate::row::{Row, Touched};
use crate::sql::Rows;
use crate::{Channel, Facts, Store, StoreError, events, pools, row};

/// O(1) on the key. No name that a caller can give begins with a tilde.
const DELETE: &str = "
    UPDATE channels
    SET state = 'deleting', id = '~' || $2, next_handout_at = {now}, updated_at = {now}
    WHERE uid = $1 AND state <> 'deleting'";

/// O(rows) on the key.
const LOCK_DELETED: &str = "
    SELECT uid FROM channels
    WHERE uid IN ({rows}) AND state = 'deleting'
        AND (lease_until IS NULL OR lease_until <= {now})
    ORDER BY uid {lock}";

/// O(attempts of the channels) on `attempts_channel`.
const REMOVE_ATTEMPTS: &str = "DELETE FROM attempts WHERE channel_uid IN ({rows})";

/// O(rows) on the key.
const REMOVE: &str = "DELETE FROM channels WHERE uid IN ({rows})";

/// Channels that are removed by one transaction.
const CHUNK: usize = 500;

/// What to change; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelPatch {
    /// What people call it.
    pub display_name: Option<String>,
    /// What the tenant's own system calls it; `Some(None)` takes it away.
    pub local_name: Option<Option<String>>,
    /// Stops it, or lets it go on.
    pub paused: Option<bool>,
}

/// Credentials that a person brought for a channel that exists.
///
/// They are sealed for the channel's next generation.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// The generation that they are sealed for.
    pub generation: Generation,
    /// The sealed credentials.
    pub sealed: Sealed,
    /// What is known about them.
    pub facts: Facts,
    /// Whose client credentials they belong to; `None` leaves it.
    pub app_identity: Option<String>,
}

impl Store {
    /// Changes a channel; `None` if there is none.
    ///
    /// A paused channel goes on as `active` and is looked at at once, or is
    /// `needs_reauth` again with its reason if it was so. Pausing a paused
    /// channel, and letting one go on that is not paused, changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn patch_channel(
        &self,
        uid: ChannelUid,
        patch: ChannelPatch,
    ) -> Result<Option<Channel>, StoreError> {
        self.edit(uid, |row, now| {
            if let Some(name) = patch.display_name {
                row.model.display_name = name;
            }
            if let Some(name) = patch.local_name {
                row.model.local_name = name;
            }
            match patch.paused {
                Some(true) => pause(row),
                Some(false) => unpause(row, now),
                None => {}
            }
            Some(())
        })
        .await
    }

    /// Stores credentials that a person brought: they win over a refresh that is
    /// under way, whose outcome is then fenced.
    ///
    /// `None` if there is no such channel, or its next generation is not the one
    /// that they are sealed for: read it again, seal again.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing changed.
    pub async fn replace_grant(
        &self,
        uid: ChannelUid,
        grant: NewGrant,
    ) -> Result<Option<Channel>, StoreError> {
        self.edit(uid, |row, now| {
            if Generation(row.model.generation).next() != grant.generation {
                return None;
            }
            row.model.lease_epoch += 1;
            row.end_lease(None);
            store_sealed(row, &grant.sealed, now);
            row.learn(&grant.facts, now);
            if let Some(app_identity) = grant.app_identity {
                row.model.app_identity = app_identity;
            }
            Some(())
        })
        .await
    }

    /// Marks a channel as going and frees its id at once; `false` if there is none.
    /// The row goes by [`Store::remove_deleted`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn delete_channel(&self, uid: ChannelUid) -> Result<bool, StoreError> {
        let values = [uid.0.into(), uid.to_string().into()];
        Ok(self.pools.write(DELETE, values).await? > 0)
    }

    /// Removes those of these channels that are going and whose lease is over,
    /// with their attempts; says how many. The others are handed out again.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then nothing is removed.
    pub async fn remove_deleted(&self, uids: &[ChannelUid]) -> Result<u64, StoreError> {
        let mut removed = 0;
        for chunk in uids.chunks(CHUNK) {
            removed += self.remove_chunk(chunk).await?;
        }
        Ok(removed)
    }

    async fn remove_chunk(&self, uids: &[ChannelUid]) -> Result<u64, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let list = Rows::padded(uids.iter().map(|uid| [uid.0.into()]));
        let found = transaction.query_all_raw(sql.with_rows(LOCK_DELETED, list));
        let mut gone = Vec::new();
        for row in found.await? {
            let uid: uuid::Uuid = row.try_get("", "uid")?;
            gone.push([uid.into()]);
        }
        if gone.is_empty() {
            return Ok(0);
        }
        let attempts = sql.with_rows(REMOVE_ATTEMPTS, Rows::padded(gone.clone()));
        transaction.execute_raw(attempts).await?;
        let channels = sql.with_rows(REMOVE, Rows::padded(gone));
        let removed = transaction.execute_raw(channels).await?.rows_affected();
        transaction.commit().await?;
        Ok(removed)
    }

    /// Changes one row under its lock; `change` answers `None` to leave it.
    async fn edit(
        &self,
        uid: ChannelUid,
        change: impl FnOnce(&mut Row, Timestamp) -> Option<()>,
    ) -> Result<Option<Channel>, StoreError> {
        let sql = &self.pools.sql;
        let transaction = self.pools.begin().await?;
        let Some(mut row) = row::load_one(&transaction, sql, uid).await? else {
            return Ok(None);
        };
        if row.state == ChannelState::Deleting {
            return Ok(None);
        }
        let now = pools::now(&transaction, sql).await?;
        let before = row.state;
        if change(&mut row, now).is_none() {
            return Ok(None);
        }
        row.model.updated_at = now.as_millis();
        row.touch(Touched::All);
        self.store_edit(transaction, before, &row, now).await?;
        row.channel().map(Some)
    }

    async fn store_edit(
        &self,
        transaction: DatabaseTransaction,
        before: ChannelState,
        row: &Row,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = &self.pools.sql;
        row::save(&transaction, sql, std::iter::once(row)).await?;
        let events = events::of(before, false, row, now);
        events::insert(&transaction, sql, events).await?;
        Ok(transaction.commit().await?)
    }
}

fn pause(row: &mut Row) {
    if row.state == ChannelState::Paused {
        return;
    }
    row.model.paused_from = Some(row.state.as_str().to_owned());
    if row.state != ChannelState::NeedsReauth {
        row.model.reason = None;
    }
    row.state = ChannelState::Paused;
}

/// Lets a channel go on where it stood; an error is tried anew as if it were none.
fn unpause(row: &mut Row, now: Timestamp) {
    if row.state != ChannelState::Paused {
        return;
    }
    let before = row
        .model
        .paused_from
        .take()
        .and_then(|name| name.parse().ok());
    row.state = match before {
        Some(state @ (ChannelState::NeedsReauth | ChannelState::NeverExpires)) => state,
        _ => ChannelState::Active,
    };
    row.model.next_handout_at = match row.state {
        ChannelState::NeedsReauth => None,
        _ => Some(now.as_millis()),
    };
}
