//! The task that keeps leases alive, and hears of cancellations.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use super::desk::{Desk, Held, Ticket};
use super::plan::BATCH;
use super::step::millis;
use crate::bus::Event;
use crate::error::QueueError;
use crate::script::EXTEND;

/// Between two beats while Redis does not answer, unless the usual pause is shorter.
const HURRY: Duration = Duration::from_secs(1);

/// Beats until the consumer is gone.
pub(super) async fn beat(desk: Arc<Desk>) {
    let channel = desk.core.keys.cancel();
    let mut events = tokio::select! {
        events = desk.core.bus.listen(&channel) => events,
        () = desk.gone.cancelled() => return,
    };
    desk.compare_settings().await;
    let usual = desk.core.settings.lease / 3;
    let mut beat_at = Instant::now() + usual;
    loop {
        tokio::select! {
            () = desk.gone.cancelled() => return,
            event = events.recv() => match event {
                Ok(Event::Message(id)) => desk.cancel(&id),
                Ok(Event::Gap) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    beat_at = Instant::now();
                }
                Err(broadcast::error::RecvError::Closed) => return,
            },
            () = tokio::time::sleep_until(beat_at.into()) => {
                let is_well = desk.extend_all().await;
                desk.give_up_ended();
                desk.compare_settings().await;
                beat_at = Instant::now() + if is_well { usual } else { usual.min(HURRY) };
            }
        }
    }
}

impl Desk {
    fn cancel(&self, local_id: &[u8]) {
        for (_, held) in self.all_held() {
            if held.job.view.id.local().as_bytes() == local_id {
                held.job.cancel();
            }
        }
    }

    /// Says what this worker goes by, and hears what the last one said. Workers that differ, such as
    /// those before and after a change, take turns with jobs all the same; but leases end
    /// earlier than their holders think, or more is trimmed than one of them wants.
    async fn compare_settings(&self) {
        let core = &self.core;
        let ours = core.settings.common();
        let mut set = redis::cmd("SET");
        set.arg(core.keys.settings())
            .arg(&ours)
            .arg("PX")
            .arg(millis(core.settings.lease))
            .arg("GET");
        // The next beat says it again.
        let theirs: Option<String> = core.link.query(&set).await.unwrap_or_default();
        if let Some(theirs) = theirs.filter(|it| *it != ours)
            && self.health.note_other_settings(&theirs)
        {
            tracing::error!(queue = %core.name, ours, theirs, "another worker of this queue has other settings");
        }
    }

    async fn extend_all(&self) -> bool {
        let mut is_well = true;
        for chunk in self.all_held().chunks(BATCH) {
            if let Err(error) = self.extend(chunk).await {
                is_well = false;
                tracing::warn!(queue = %self.core.name, error = %error, "leases could not be extended; trying again");
            }
        }
        is_well
    }

    async fn extend(&self, chunk: &[(Ticket, Held)]) -> Result<(), QueueError> {
        let mut cmd = self.core.script(&EXTEND);
        cmd.arg(millis(self.core.settings.lease));
        for (_, held) in chunk {
            let id = &held.job.view.id;
            cmd.arg(&id.key).arg(id.nonce.bytes()).arg(held.job.fence);
        }
        let asked_at = Instant::now();
        let letters: String = self.core.call(&EXTEND, &cmd).await?;
        self.health.touch();
        for ((ticket, held), letter) in chunk.iter().zip(letters.bytes()) {
            match letter {
                b'E' => self.extended(*ticket, asked_at),
                b'C' => {
                    self.extended(*ticket, asked_at);
                    held.job.cancel();
                }
                // Its settle may just have been stored; then nobody listens any more.
                _ => held.job.lose(),
            }
        }
        Ok(())
    }

    /// Whoever could not extend a lease in time must assume that another worker has it.
    fn give_up_ended(&self) {
        let now = Instant::now();
        for (_, held) in self.all_held() {
            if held.lease_until <= now {
                held.job.lose();
            }
        }
    }
}
