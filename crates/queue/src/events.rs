//! What happens in a queue, as it happens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use redis::streams::StreamReadReply;

use crate::error::QueueError;
use crate::link::Link;
use crate::name::{JobId, QueueName};
use crate::queues::{Core, Queue};

/// How long the stream is there after a watcher was last seen: scripts write to no stream
/// that nobody reads.
const KEPT: Duration = Duration::from_mins(1);
/// How long one read waits for something to happen; then the watcher says that it is still there.
const BLOCK: Duration = Duration::from_secs(5);
/// Entries of one read; each tells of all that one call of a script did.
const PAGE: usize = 50;

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEvent {
    /// When, epoch ms by Redis' clock.
    pub at_ms: i64,
    /// To which job.
    pub id: JobId,
    /// Whose job it is.
    pub tenant: String,
    /// What.
    pub kind: EventKind,
}

/// What happened to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// It was pushed.
    Pushed,
    /// It waits again: its delay is over, or its worker gave it back or was lost.
    Waits,
    /// It runs later: after a retry or a snooze, or because it was moved.
    Delayed,
    /// A worker runs it.
    Started,
    /// It ended well.
    Completed,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// It was purged.
    Removed,
}

impl EventKind {
    /// The name for people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pushed => "pushed",
            Self::Waits => "waits",
            Self::Delayed => "delayed",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Removed => "removed",
        }
    }

    const fn from_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b'n' => Self::Pushed,
            b'w' => Self::Waits,
            b'l' => Self::Delayed,
            b'a' => Self::Started,
            b'd' => Self::Completed,
            b'f' => Self::Failed,
            b'c' => Self::Cancelled,
            b'g' => Self::Removed,
            _ => return None,
        })
    }
}

/// Somebody who watches a queue; see [`Queue::watch`].
#[derive(Debug)]
pub struct Watch {
    core: Arc<Core>,
    /// A connection of its own, for it blocks.
    link: Link,
    last: String,
    seen: VecDeque<JobEvent>,
    gaps: u64,
}

impl Queue {
    /// Watches what happens from now on: a first entry is written, so that the scripts see
    /// that somebody reads. O(1) per call of a script, for as long as anybody watches.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer.
    pub async fn watch(&self) -> Result<Watch, QueueError> {
        let mut watch = Watch {
            link: self.core.link.sibling(BLOCK + Duration::from_secs(3)),
            core: Arc::clone(&self.core),
            last: String::new(),
            seen: VecDeque::new(),
            gaps: 0,
        };
        watch.last = watch.open().await?;
        Ok(watch)
    }
}

impl Watch {
    /// The next thing that happens. Waits for it; a call that is dropped loses nothing.
    ///
    /// Whoever reads too slowly misses what was trimmed meanwhile (see
    /// [`QueueSettings::keep_events`](crate::QueueSettings)), and so does everybody if
    /// Redis is flushed, which [`Watch::gaps`] counts.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer; the next call goes on from where it was.
    pub async fn next(&mut self) -> Result<JobEvent, QueueError> {
        loop {
            if let Some(event) = self.seen.pop_front() {
                return Ok(event);
            }
            self.resume().await?;
            self.read().await?;
        }
    }

    /// Goes on from where it was, without waiting for anything to happen; for who was told that
    /// Redis does not answer, and asks whether it does by now. O(1).
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer.
    pub async fn resume(&mut self) -> Result<(), QueueError> {
        if !self.stay().await? {
            self.last = self.open().await?;
            self.gaps += 1;
        }
        Ok(())
    }

    /// The queue that it watches.
    #[must_use]
    pub fn queue(&self) -> &QueueName {
        &self.core.name
    }

    /// How often it had to begin anew so far, because Redis was flushed or lost its data: what
    /// happened in between is known to nobody.
    #[must_use]
    pub const fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Makes the stream if it is not there; answers the entry to read on from.
    async fn open(&self) -> Result<String, QueueError> {
        let mut add = redis::cmd("XADD");
        add.arg(self.core.keys.events()).arg("*").arg("e").arg("");
        let id = self.link.query(&add).await?;
        self.stay().await?;
        Ok(id)
    }

    /// Says that somebody is still there; `false` if the stream is gone.
    async fn stay(&self) -> Result<bool, QueueError> {
        let mut expire = redis::cmd("EXPIRE");
        expire.arg(self.core.keys.events()).arg(KEPT.as_secs());
        Ok(self.link.query(&expire).await?)
    }

    async fn read(&mut self) -> Result<(), QueueError> {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT")
            .arg(PAGE)
            .arg("BLOCK")
            .arg(BLOCK.as_millis())
            .arg("STREAMS")
            .arg(self.core.keys.events())
            .arg(&self.last);
        let reply: Option<StreamReadReply> = self.link.query(&read).await?;
        for entry in reply
            .into_iter()
            .flat_map(|reply| reply.keys)
            .flat_map(|key| key.ids)
        {
            let lines: Vec<u8> = entry.get("e").unwrap_or_default();
            let at_ms = entry.id.split('-').next().and_then(|ms| ms.parse().ok());
            let events = lines
                .split(|byte| *byte == b'\n')
                .filter_map(|line| self.core.event(at_ms.unwrap_or_default(), line));
            self.seen.extend(events);
            self.last = entry.id;
        }
        Ok(())
    }
}

impl Core {
    /// A line as `lua/record.lua` notes it: a letter, tenant, key-nonce.
    fn event(&self, at_ms: i64, line: &[u8]) -> Option<JobEvent> {
        let (letter, rest) = line.split_first()?;
        let (tenant, local) = std::str::from_utf8(rest).ok()?.split_once(' ')?;
        Some(JobEvent {
            at_ms,
            id: JobId::from_local(&self.name, local.as_bytes())?,
            tenant: tenant.to_owned(),
            kind: EventKind::from_letter(*letter)?,
        })
    }
}
