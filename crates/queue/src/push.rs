//! Pushing jobs.

use futures::{StreamExt as _, stream};
use redis::Cmd;

use crate::error::{PushError, QueueError};
use crate::job::{NewJob, Pushed, Refused};
use crate::name::{JobId, Nonce, is_key, is_tenant};
use crate::queues::{Core, Queue};
use crate::record::{Draft, VERSION_MAX, millis};
use crate::script::PUSH;

/// Jobs per script call: a call stays in the range of milliseconds, so that
/// nobody else waits long for Redis.
const CHUNK: usize = 500;
/// Calls under way at once, so that the way to Redis and back costs nothing.
const PIPELINE: usize = 4;
/// The length of a payload is kept in two bytes.
const PAYLOAD_MAX: usize = 65_535;

/// A job that the queue takes, and the nonce that it will have if it is new.
struct Checked<'a> {
    at: usize,
    job: &'a NewJob,
    nonce: Nonce,
}

impl Queue {
    /// Pushes one job. O(log n).
    ///
    /// There is at most one live job per key: see [`Pushed`] for what becomes of the others.
    ///
    /// # Errors
    ///
    /// [`PushError::Refused`] if the queue does not take such a job,
    /// [`PushError::Queue`] if Redis does not answer: the job may or may not be
    /// there then, and to push it again does no harm.
    pub async fn push(&self, job: NewJob) -> Result<Pushed, PushError> {
        let mut report = self.push_many(vec![job]).await?;
        let answer = report.pop().unwrap_or(Err(Refused::Unanswered));
        answer.map_err(PushError::Refused)
    }

    /// Pushes any number of jobs, in order, and reports on each.
    ///
    /// They travel in chunks of 500, some of them at once; O(log n) per job.
    /// Duplicates of a key within one call are merged like any others.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis took none of them. If it took some, those that it
    /// did not answer for are [`Refused::Unanswered`].
    pub async fn push_many(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Pushed, Refused>>, QueueError> {
        let mut report: Vec<Result<Pushed, Refused>> = Vec::with_capacity(jobs.len());
        let mut taken = Vec::with_capacity(jobs.len());
        for (at, job) in jobs.iter().enumerate() {
            report.push(Err(Refused::Unanswered));
            match self.core.check(job) {
                Ok(nonce) => taken.push(Checked { at, job, nonce }),
                Err(refused) => report[at] = Err(refused),
            }
        }
        let mut failure = None;
        let mut answered = false;
        // The commands own what they send: chunks that were borrowed here could not
        // be sent by a task that moves between threads.
        let commands: Vec<Cmd> = taken.chunks(CHUNK).map(|c| self.core.command(c)).collect();
        let sent = commands.into_iter().map(|cmd| self.core.send(cmd));
        let mut answers = stream::iter(sent).buffered(PIPELINE);
        let mut chunks = taken.chunks(CHUNK);
        while let (Some(answer), Some(chunk)) = (answers.next().await, chunks.next()) {
            match answer.and_then(|letters| self.core.read_answers(chunk, &letters)) {
                Ok(pushed) => {
                    answered = true;
                    for (checked, pushed) in chunk.iter().zip(pushed) {
                        report[checked.at] = Ok(pushed);
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if !answered => Err(error),
            _ => Ok(report),
        }
    }
}

impl Core {
    fn check(&self, job: &NewJob) -> Result<Nonce, Refused> {
        let cap = self.settings.payload_cap.min(PAYLOAD_MAX);
        let size = job.payload.len();
        if size > cap {
            return Err(Refused::PayloadTooLarge { size, cap });
        }
        if !is_key(&job.key) {
            return Err(Refused::KeyInvalid);
        }
        if !is_tenant(&job.tenant) {
            return Err(Refused::TenantInvalid);
        }
        if job.version > VERSION_MAX {
            return Err(Refused::VersionTooLarge);
        }
        match &job.id_hint {
            None => Ok(Nonce::random()),
            Some(id) if id.queue == self.name && id.key == job.key => Ok(id.nonce),
            Some(_) => Err(Refused::IdMismatch),
        }
    }

    fn command(&self, chunk: &[Checked<'_>]) -> Cmd {
        let mut cmd = self.script(&PUSH);
        for Checked { job, nonce, .. } in chunk {
            let max_attempts = job.max_attempts.unwrap_or(self.settings.max_attempts);
            let draft = Draft {
                nonce: *nonce,
                tenant: &job.tenant,
                payload: &job.payload,
                when: job.when,
                not_before_ms: job.not_before_ms,
                deadline_ms: job.deadline_ms,
                version: job.version,
                max_attempts,
            }
            .encode();
            cmd.arg(&job.key).arg(millis(job.deadline_ms)).arg(draft);
        }
        cmd
    }

    async fn send(&self, cmd: Cmd) -> Result<Vec<Vec<u8>>, QueueError> {
        self.call(&PUSH, &cmd).await
    }

    fn read_answers(
        &self,
        chunk: &[Checked<'_>],
        answer: &[Vec<u8>],
    ) -> Result<Vec<Pushed>, QueueError> {
        let unknown = || QueueError::Answer(self.name.to_string());
        let (letters, nonces) = answer.split_first().ok_or_else(unknown)?;
        if letters.len() != chunk.len() {
            return Err(unknown());
        }
        let mut nonces = nonces.iter();
        let pairs = chunk.iter().zip(letters);
        pairs
            .map(|(checked, letter)| {
                let nonce = match letter {
                    b'N' => Some(checked.nonce),
                    _ => nonces.next().and_then(|nonce| Nonce::from_bytes(nonce)),
                };
                self.pushed(checked, *letter, nonce.ok_or_else(unknown)?)
            })
            .collect()
    }

    fn pushed(
        &self,
        checked: &Checked<'_>,
        letter: u8,
        nonce: Nonce,
    ) -> Result<Pushed, QueueError> {
        let id = JobId {
            queue: self.name.clone(),
            key: checked.job.key.clone(),
            nonce,
        };
        // A nonce that only we can know: the job is there because this very call
        // was sent twice, and the first answer was lost.
        let is_own = checked.job.id_hint.is_none() && id.nonce == checked.nonce;
        match letter {
            b'N' => Ok(Pushed::New(id)),
            b'M' | b'S' if is_own => Ok(Pushed::New(id)),
            b'M' => Ok(Pushed::Merged(id)),
            b'S' => Ok(Pushed::Shared(id)),
            b'A' => Ok(Pushed::Again(id)),
            _ => Err(QueueError::Answer(self.name.to_string())),
        }
    }
}
