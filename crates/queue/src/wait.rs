//! Waiting for the end of a job.

use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::{Instant, timeout_at};

use crate::bus::Event;
use crate::error::QueueError;
use crate::job::{JobView, Waited};
use crate::name::JobId;
use crate::queues::{Core, Queue};
use crate::script::WATCH;

/// How often a waiter looks for itself, should word of the end be lost.
const LOOK: Duration = Duration::from_secs(2);

enum Seen {
    Live(JobView),
    Ended(JobView),
    Nothing,
}

impl Queue {
    /// Waits until a job has ended, but not beyond `deadline`. O(1), and again every 2 s.
    ///
    /// It is told of the end by Redis, and looks for itself now and then, so that
    /// it never hangs: a job that vanished (purged, or Redis was flushed) is
    /// [`Waited::Gone`]. Any number of callers may wait for one job.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer until `deadline`.
    pub async fn wait(&self, id: &JobId, deadline: Instant) -> Result<Waited, QueueError> {
        let core = &self.core;
        let mut events = core.bus.listen(&core.keys.ended()).await;
        loop {
            let look_at = deadline.min(Instant::now() + LOOK);
            let seen = core.watch(id).await;
            match seen {
                Ok(Seen::Ended(view)) => return Ok(Waited::Ended(Some(Box::new(view)))),
                Ok(Seen::Nothing) => return Ok(core.missed(id, &mut events)),
                Ok(Seen::Live(_)) | Err(_) => {}
            }
            if let Ok(view) = timeout_at(look_at, core.end_of(id, &mut events)).await {
                if let Some(view) = view {
                    return Ok(Waited::Ended(Some(Box::new(view))));
                }
            } else if look_at == deadline {
                return match seen {
                    Ok(Seen::Live(view)) => Ok(Waited::Live(Box::new(view))),
                    Err(error) => Err(error),
                    Ok(Seen::Ended(_) | Seen::Nothing) => Ok(Waited::Gone),
                };
            }
        }
    }
}

impl Core {
    async fn watch(&self, id: &JobId) -> Result<Seen, QueueError> {
        let mut cmd = self.script(&WATCH);
        cmd.arg(&id.key).arg(id.nonce.bytes());
        let (letter, record) = self.answer(&WATCH, &cmd).await?;
        let view = match letter {
            b'L' | b'E' => self.decode(&record)?.view_of(id),
            _ => None,
        };
        Ok(match view {
            Some(view) if letter == b'L' => Seen::Live(view),
            Some(view) => Seen::Ended(view),
            None => Seen::Nothing,
        })
    }

    /// The end of this job as it is published; `None` if something was missed.
    async fn end_of(&self, id: &JobId, events: &mut broadcast::Receiver<Event>) -> Option<JobView> {
        loop {
            match events.recv().await {
                Ok(Event::Message(message)) => {
                    if let Some(view) = self.published(id, &message) {
                        return Some(view);
                    }
                }
                Ok(Event::Gap) | Err(broadcast::error::RecvError::Lagged(_)) => return None,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// A job that is not there may have ended and been trimmed while we looked.
    fn missed(&self, id: &JobId, events: &mut broadcast::Receiver<Event>) -> Waited {
        while let Ok(event) = events.try_recv() {
            if let Event::Message(message) = event
                && let Some(view) = self.published(id, &message)
            {
                return Waited::Ended(Some(Box::new(view)));
            }
        }
        Waited::Gone
    }

    fn published(&self, id: &JobId, message: &[u8]) -> Option<JobView> {
        let end = message.iter().position(|byte| *byte == b'\n')?;
        let (local, record) = (&message[..end], &message[end + 1..]);
        if local != id.local().as_bytes() {
            return None;
        }
        self.decode(record).ok()?.view_of(id)
    }
}
