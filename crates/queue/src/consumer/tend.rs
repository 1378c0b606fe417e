//! The task that looks the queue over, bit by bit.

use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;
use crate::error::QueueError;

/// Between two looks of one round.
const STRIDE: Duration = Duration::from_secs(1);

/// Looks at 100 jobs a second until it is round, then rests for the length of a lease.
pub(super) async fn tend(desk: Arc<Desk>) {
    let mut cursor = 0;
    let mut pause = STRIDE;
    loop {
        tokio::select! {
            () = desk.gone.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        // What cannot be looked at now is looked at in the next round.
        cursor = desk.heal(cursor).await.unwrap_or(0);
        pause = if cursor == 0 {
            desk.core.settings.lease
        } else {
            STRIDE
        };
    }
}

impl Desk {
    async fn heal(&self, cursor: u64) -> Result<u64, QueueError> {
        let (next, healed) = self.core.heal(cursor).await?;
        if healed.put_back > 0 {
            tracing::warn!(queue = %self.core.name, healed = healed.put_back, "jobs stood nowhere and were put back");
        }
        Ok(next)
    }
}
