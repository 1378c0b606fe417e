//! The channels of the whole fleet in figures, for those who watch over it (S5.9).

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{ChannelState, Timestamp};

use crate::statistics::count;
use crate::{Store, StoreError};

/// O(channels) on `channels_expiry`, which is read without the table because it has this order.
const BY_STATE: &str = "
    SELECT state, COUNT(*) AS channels,
        COALESCE(SUM(CASE WHEN access_expires_at <= {now} THEN 1 ELSE 0 END), 0) AS expired
    FROM channels WHERE state <> 'deleting'
    GROUP BY tenant_uid, state";

/// O(1) on `channels_due`.
const LONGEST_DUE: &str = "
    SELECT MIN(next_handout_at) AS due_at, {now} AS now FROM channels WHERE state = 'active'";

/// The channels of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InState {
    /// All of them.
    pub channels: u64,
    /// Those whose access token has ended.
    pub expired: u64,
}

impl Store {
    /// The channels of all tenants by state, zeros too. Channels on their way out never count.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn channels_by_state(&self) -> Result<BTreeMap<ChannelState, InState>, StoreError> {
        let mut states: BTreeMap<_, _> = ChannelState::VISIBLE
            .map(|state| (state, InState::default()))
            .into();
        for row in self.pools.select(BY_STATE, []).await? {
            let state: String = row.try_get("", "state")?;
            let state = state
                .parse()
                .map_err(|_| StoreError::unreadable("channels", "state"))?;
            let sum: &mut InState = states.entry(state).or_default();
            sum.channels += count(&row, "channels")?;
            sum.expired += count(&row, "expired")?;
        }
        Ok(states)
    }

    /// For how long an active channel has been due that no scheduler has handed out; zero if
    /// there is none. More than some seconds: no scheduler works.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails.
    pub async fn longest_due(&self) -> Result<Duration, StoreError> {
        let Some(row) = self.pools.select_one(LONGEST_DUE, []).await? else {
            return Ok(Duration::ZERO);
        };
        let due_at: Option<i64> = row.try_get("", "due_at")?;
        let now = Timestamp::from_millis(row.try_get("", "now")?);
        Ok(due_at.map_or(Duration::ZERO, |at| now.since(Timestamp::from_millis(at))))
    }
}
