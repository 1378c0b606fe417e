//! The task that looks the queue over, bit by bit.

use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;
use super::step::millis;
use crate::error::QueueError;
use crate::script::HEAL;

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
        let settings = &self.core.settings;
        let mut cmd = self.core.script(&HEAL);
        cmd.arg(cursor)
            .arg(millis(settings.keep_for))
            .arg(millis(settings.lease));
        let (next, healed, _dropped): (u64, u64, u64) = self.core.call(&HEAL, &cmd).await?;
        if healed > 0 {
            tracing::warn!(queue = %self.core.name, healed, "jobs stood nowhere and were put back");
        }
        Ok(next)
    }
}
