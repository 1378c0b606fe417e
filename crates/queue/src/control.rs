//! What people do to jobs: cancel, retry, purge.

use redis::{Cmd, Value};

use crate::consumer::step::millis;
use crate::error::QueueError;
use crate::job::{CancelOutcome, Healed, PromoteOutcome, Purged, RemoveOutcome, RetryOutcome};
use crate::name::{JobId, Nonce};
use crate::queues::{Core, Queue};
use crate::script::{CANCEL, HEAL, PROMOTE, PURGE, REMOVE, RETRY, Script};

impl Queue {
    /// Cancels a job. O(log n).
    ///
    /// One that has not begun ends at once, as cancelled. One that runs is told
    /// through [`JobContext::stop_token`](crate::JobContext::stop_token) within
    /// milliseconds, and ends in the way that its handler chooses; it does not
    /// run again.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer; it may have been done then.
    pub async fn cancel(&self, id: &JobId) -> Result<CancelOutcome, QueueError> {
        let core = &self.core;
        let mut cmd = core.script(&CANCEL);
        cmd.arg(&id.key)
            .arg(id.nonce.bytes())
            .arg(core.settings.keep_completed)
            .arg(core.settings.keep_failed);
        let (letter, record) = core.answer_once(&CANCEL, &cmd).await?;
        match letter {
            b'R' => {
                let view = core.decode(&record)?.view(&id.queue, &id.key);
                Ok(CancelOutcome::Removed(Box::new(view)))
            }
            b'S' => Ok(CancelOutcome::Signalled),
            b'E' => Ok(CancelOutcome::AlreadyEnded),
            _ => Ok(CancelOutcome::Unknown),
        }
    }

    /// Runs a failed job again, under its own id and with fresh attempts. O(log n).
    ///
    /// If its key has a live job by now, that one does the work, at once if our
    /// own backoff delays it.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer; it may have been done then.
    pub async fn retry(&self, id: &JobId) -> Result<RetryOutcome, QueueError> {
        let core = &self.core;
        let mut cmd = core.script(&RETRY);
        cmd.arg(&id.key).arg(id.nonce.bytes());
        let (letter, detail) = core.answer_once(&RETRY, &cmd).await?;
        match letter {
            b'Q' => Ok(RetryOutcome::Requeued(id.clone())),
            b'M' => {
                let nonce = Nonce::from_bytes(&detail)
                    .ok_or_else(|| QueueError::Record(core.name.to_string()))?;
                Ok(RetryOutcome::Merged(JobId {
                    nonce,
                    ..id.clone()
                }))
            }
            b'N' => Ok(core
                .decode(&detail)?
                .view_of(id)
                .map_or(RetryOutcome::Unknown, |view| {
                    RetryOutcome::NotFailed(view.state)
                })),
            _ => Ok(RetryOutcome::Unknown),
        }
    }

    /// Moves a delayed job to now, past our own backoff, but not before its `not_before`. O(log n).
    ///
    /// A second call finds nothing to do.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer; it may have been done then.
    pub async fn promote(&self, id: &JobId) -> Result<PromoteOutcome, QueueError> {
        let mut cmd = self.core.script(&PROMOTE);
        cmd.arg(&id.key).arg(id.nonce.bytes());
        let (letter, record) = self.core.answer(&PROMOTE, &cmd).await?;
        match letter {
            b'P' => {
                let view = self.core.decode(&record)?.view(&id.queue, &id.key);
                Ok(PromoteOutcome::Promoted(Box::new(view)))
            }
            b'N' => {
                let view = self.core.decode(&record)?.view(&id.queue, &id.key);
                Ok(PromoteOutcome::AlreadyDue(view.state))
            }
            _ => Ok(PromoteOutcome::Unknown),
        }
    }

    /// Removes one job without a trace, live or retained. O(log n + kept).
    ///
    /// One that runs is cancelled, and leaves no trace when it ends.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer; it may have been done then.
    pub async fn remove(&self, id: &JobId) -> Result<RemoveOutcome, QueueError> {
        let mut cmd = self.core.script(&REMOVE);
        cmd.arg(&id.key).arg(id.nonce.bytes());
        Ok(match self.core.answer(&REMOVE, &cmd).await?.0 {
            b'R' => RemoveOutcome::Removed,
            b'S' => RemoveOutcome::Signalled,
            _ => RemoveOutcome::Unknown,
        })
    }

    /// Removes all jobs of a tenant, retained ones too. O(log n) per job, 500 of each kind per call.
    ///
    /// Jobs that run are cancelled, and leave no trace when they end. Call it
    /// again until `running` is 0 if that matters.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer; some jobs may be gone by then.
    pub async fn purge_tenant(&self, tenant: &str) -> Result<Purged, QueueError> {
        let mut removed = 0;
        loop {
            let (purged, more) = self.core.purge(tenant, "").await?;
            removed += purged.removed;
            if !more {
                return Ok(Purged { removed, ..purged });
            }
        }
    }

    /// Removes the live and the retained jobs of one key. O(log n).
    ///
    /// One that runs is cancelled, and leaves no trace when it ends.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer.
    pub async fn purge_key(&self, tenant: &str, key: &str) -> Result<Purged, QueueError> {
        Ok(self.core.purge(tenant, key).await?.0)
    }
}

impl Queue {
    /// Looks the whole queue over, for damage that nothing of ours does (a key deleted by
    /// hand, an import of half the keys): jobs that stand nowhere are put back, and what is
    /// retained too long is dropped. O(jobs), 100 per call. Workers do the same bit by bit.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer; a part may be done then.
    pub async fn heal(&self) -> Result<Healed, QueueError> {
        let (mut cursor, mut healed) = (0, Healed::default());
        loop {
            let (next, more) = self.core.heal(cursor).await?;
            healed.put_back += more.put_back;
            healed.dropped += more.dropped;
            cursor = next;
            if cursor == 0 {
                return Ok(healed);
            }
        }
    }
}

impl Core {
    /// One step of a round that begins and ends at cursor 0.
    pub(crate) async fn heal(&self, cursor: u64) -> Result<(u64, Healed), QueueError> {
        let mut cmd = self.script(&HEAL);
        cmd.arg(cursor)
            .arg(millis(self.settings.keep_for))
            .arg(millis(self.settings.lease));
        let (next, put_back, dropped): (u64, u64, u64) = self.call(&HEAL, &cmd).await?;
        Ok((next, Healed { put_back, dropped }))
    }

    async fn purge(&self, tenant: &str, key: &str) -> Result<(Purged, bool), QueueError> {
        let mut cmd = self.script(&PURGE);
        cmd.arg(tenant).arg(key);
        let (removed, running, more): (u64, u64, u8) = self.call(&PURGE, &cmd).await?;
        Ok((Purged { removed, running }, more == 1))
    }

    /// The answer of a script that must not be called twice. A connection that broke
    /// while nobody used it is found out before.
    async fn answer_once(&self, script: &Script, cmd: &Cmd) -> Result<(u8, Vec<u8>), QueueError> {
        self.link.query::<Value>(&redis::cmd("PING")).await?;
        self.lettered(self.call_once(script, cmd).await?)
    }

    /// The answer of a script that may be called twice.
    pub(crate) async fn answer(
        &self,
        script: &Script,
        cmd: &Cmd,
    ) -> Result<(u8, Vec<u8>), QueueError> {
        self.lettered(self.call(script, cmd).await?)
    }

    fn lettered(&self, parts: Vec<Value>) -> Result<(u8, Vec<u8>), QueueError> {
        letter_and_bytes(parts).ok_or_else(|| QueueError::Answer(self.name.to_string()))
    }
}

/// Many answers are a letter and perhaps some bytes; `None` if this is none of them.
fn letter_and_bytes(parts: Vec<Value>) -> Option<(u8, Vec<u8>)> {
    let mut parts = parts.into_iter().map(|part| match part {
        Value::BulkString(bytes) => bytes,
        _ => Vec::new(),
    });
    let letter = parts.next()?.first().copied()?;
    Some((letter, parts.next().unwrap_or_default()))
}
