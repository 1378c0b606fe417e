//! How many channels there are: counted for whoever asks, but not for each.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::ChannelState;
use store::{InState, Store, StoreError};
use tokio::sync::Mutex;

/// For how long a count is good enough: it reads an index from end to end.
const GOOD_FOR: Duration = Duration::from_secs(15);

type Channels = BTreeMap<ChannelState, InState>;

/// The last count, and when it was made.
#[derive(Debug, Default)]
pub(crate) struct Census(Mutex<Option<(Instant, Channels)>>);

impl Census {
    /// The channels of the fleet by state, at most 15 seconds old. Who asks meanwhile waits for
    /// the same count.
    pub(crate) async fn channels(&self, store: &Store) -> Result<Channels, StoreError> {
        let mut last = self.0.lock().await;
        if let Some((at, channels)) = &*last
            && at.elapsed() < GOOD_FOR
        {
            return Ok(channels.clone());
        }
        let asked_at = Instant::now();
        let channels = store.channels_by_state().await?;
        *last = Some((asked_at, channels.clone()));
        Ok(channels)
    }
}
