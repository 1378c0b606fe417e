//! The packed record of a job, as the scripts keep it (`lua/record.lua` has the same table).
//!
//! | at | size | field | at | size | field |
//! | --- | --- | --- | --- | --- | --- |
//! | 0 | 1 | state | 19 | 1 | attempts allowed |
//! | 1 | 1 | flags | 20 | 6 | deadline, ms |
//! | 2 | 1 | crashes | 26 | 6 | version |
//! | 3 | 1 | attempt | 32 | 1 | length of the tenant |
//! | 4 | 7 | seq, µs, big endian | 33 | 1 | length of the error |
//! | 11 | 8 | nonce | 34 | 2 | length of the payload |
//!
//! Then follow tenant, error and payload; when to run (6, ms) unless that is when
//! it was pushed; not before when (6, ms) unless at once; unless the job waits,
//! fence (7), owner (6), started and finished (6 each, ms); then an again-mark, or
//! the nonce of the job that served this one. A job that was simply done is kept as it
//! ran, with the time (6, ms) at the end. Integers are little endian.

use crate::job::{JobState, JobView, When};
use crate::name::{JobId, Nonce, QueueName};

const HEAD: usize = 36;
const CANCEL: u8 = 1;
const AGAIN: u8 = 8;
const SERVED: u8 = 16;
const RUN_AT: u8 = 32;
const NOT_BEFORE: u8 = 64;

/// The largest version that a record holds.
pub(crate) const VERSION_MAX: u64 = (1 << 48) - 1;
/// The most attempts that a record counts.
pub(crate) const ATTEMPTS_MAX: u32 = 255;
/// The latest time that a record holds, in ms: the year 6429.
const TIME_MAX: i64 = (1 << 47) - 1;

/// Which worker runs a job.
pub(crate) type Owner = [u8; 6];

/// A record taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) state: JobState,
    pub(crate) cancel_requested: bool,
    pub(crate) crashes: u32,
    pub(crate) attempt: u32,
    pub(crate) fence: u64,
    pub(crate) started_at_ms: i64,
    pub(crate) run_at_ms: i64,
    pub(crate) not_before_ms: i64,
    pub(crate) created_at_ms: i64,
    pub(crate) nonce: Nonce,
    pub(crate) max_attempts: u32,
    pub(crate) deadline_ms: i64,
    pub(crate) version: u64,
    pub(crate) finished_at_ms: i64,
    pub(crate) tenant: String,
    pub(crate) error: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) again: Option<Mark>,
    pub(crate) served_by: Option<Nonce>,
}

/// The next job of a key, noted on the one that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) nonce: Nonce,
    created_at_ms: i64,
    version: u64,
    run_at_ms: i64,
    not_before_ms: i64,
    deadline_ms: i64,
    max_attempts: u32,
    payload: Vec<u8>,
}

/// What a pusher says of a job; the scripts add the state, the seq and the time.
pub(crate) struct Draft<'a> {
    pub(crate) nonce: Nonce,
    pub(crate) tenant: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) when: When,
    pub(crate) not_before_ms: i64,
    pub(crate) deadline_ms: i64,
    pub(crate) version: u64,
    pub(crate) max_attempts: u32,
}

impl Draft<'_> {
    /// How urgent it is, and the record from the nonce on; `lua/push.lua` knows it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + 6 + self.tenant.len() + self.payload.len());
        let (letter, at) = match self.when {
            When::Scheduled => (b'S', 0),
            When::Now => (b'N', 0),
            When::At(at) => (b'A', millis(at)),
        };
        let not_before = millis(self.not_before_ms);
        bytes.push(letter);
        put(&mut bytes, at, 6);
        bytes.push(if not_before == 0 { 0 } else { NOT_BEFORE });
        bytes.extend_from_slice(self.nonce.bytes());
        put(
            &mut bytes,
            u64::from(self.max_attempts.clamp(1, ATTEMPTS_MAX)),
            1,
        );
        put(&mut bytes, millis(self.deadline_ms), 6);
        put(&mut bytes, self.version, 6);
        put(&mut bytes, self.tenant.len() as u64, 1);
        put(&mut bytes, 0, 1);
        put(&mut bytes, self.payload.len() as u64, 2);
        bytes.extend_from_slice(self.tenant.as_bytes());
        bytes.extend_from_slice(self.payload);
        if not_before != 0 {
            put(&mut bytes, not_before, 6);
        }
        bytes
    }
}

/// A time as records hold it: never before 1970, never after the year 6429.
pub(crate) fn millis(at: i64) -> u64 {
    at.clamp(0, TIME_MAX).cast_unsigned()
}

pub(crate) fn put(bytes: &mut Vec<u8>, value: u64, width: usize) {
    bytes.extend_from_slice(&value.to_le_bytes()[..width]);
}

impl Record {
    /// `None` if it is not a record of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut at = Reader(bytes);
        let state = state(at.byte()?)?;
        let flags = at.byte()?;
        let crashes = at.number(1)?;
        let attempt = at.number(1)?;
        let created_at_ms = at.seq()?;
        let nonce = at.nonce()?;
        let max_attempts = at.number(1)?;
        let deadline_ms = at.time()?;
        let version = at.integer(6)?;
        let (tenant, error, payload) = (at.length(1)?, at.length(1)?, at.length(2)?);
        let (tenant, error) = (at.text(tenant)?, at.text(error)?);
        let payload = at.take(payload)?.to_vec();
        let run_at_ms = if flags & RUN_AT == 0 {
            created_at_ms
        } else {
            at.time()?
        };
        let not_before_ms = if flags & NOT_BEFORE == 0 {
            0
        } else {
            at.time()?
        };
        let (fence, started_at_ms, finished_at_ms) = match state {
            JobState::Waiting | JobState::Delayed => (0, 0, 0),
            _ => {
                let fence = at.integer(7)?;
                at.take(6)?;
                (fence, at.time()?, at.time()?)
            }
        };
        let (state, finished_at_ms) = match state {
            // Kept as it ran, and when that was.
            JobState::Active if flags & (AGAIN | SERVED) == 0 && at.0.len() == 6 => {
                (JobState::Completed, at.time()?)
            }
            state => (state, finished_at_ms),
        };
        Some(Self {
            state,
            cancel_requested: flags & CANCEL != 0,
            crashes,
            attempt,
            fence,
            started_at_ms,
            run_at_ms,
            not_before_ms,
            created_at_ms,
            nonce,
            max_attempts,
            deadline_ms,
            version,
            finished_at_ms,
            tenant,
            error,
            payload,
            again: if flags & AGAIN == 0 {
                None
            } else {
                Some(at.mark()?)
            },
            served_by: if flags & SERVED == 0 {
                None
            } else {
                Some(at.nonce()?)
            },
        })
    }

    /// This record, for people.
    pub(crate) fn view(self, queue: &QueueName, key: &str) -> JobView {
        let id = |nonce| JobId {
            queue: queue.clone(),
            key: key.to_owned(),
            nonce,
        };
        JobView {
            id: id(self.nonce),
            tenant: self.tenant,
            payload: self.payload,
            state: self.state,
            version: self.version,
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            crashes: self.crashes,
            created_at_ms: self.created_at_ms,
            run_at_ms: self.run_at_ms,
            not_before_ms: self.not_before_ms,
            deadline_ms: self.deadline_ms,
            started_at_ms: (self.started_at_ms != 0).then_some(self.started_at_ms),
            finished_at_ms: (self.finished_at_ms != 0).then_some(self.finished_at_ms),
            error: (!self.error.is_empty()).then_some(self.error),
            cancel_requested: self.cancel_requested,
            served_by: self.served_by.map(id),
        }
    }

    /// The job with this nonce: this one, or the one that its again-mark stands for.
    pub(crate) fn view_of(self, id: &JobId) -> Option<JobView> {
        if self.nonce == id.nonce {
            return Some(self.view(&id.queue, &id.key));
        }
        let mark = self.again.filter(|mark| mark.nonce == id.nonce)?;
        Some(JobView {
            id: id.clone(),
            tenant: self.tenant,
            payload: mark.payload,
            state: JobState::Waiting,
            version: mark.version,
            attempt: 0,
            max_attempts: mark.max_attempts,
            crashes: 0,
            created_at_ms: mark.created_at_ms,
            run_at_ms: mark.run_at_ms,
            not_before_ms: mark.not_before_ms,
            deadline_ms: mark.deadline_ms,
            started_at_ms: None,
            finished_at_ms: None,
            error: None,
            cancel_requested: false,
            served_by: None,
        })
    }
}

fn state(code: u8) -> Option<JobState> {
    Some(match code {
        1 => JobState::Waiting,
        2 => JobState::Delayed,
        3 => JobState::Active,
        4 => JobState::Completed,
        5 => JobState::Failed,
        6 => JobState::Cancelled,
        _ => return None,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, width: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(width)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn integer(&mut self, width: usize) -> Option<u64> {
        let bytes = self.take(width)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    }

    fn number(&mut self, width: usize) -> Option<u32> {
        u32::try_from(self.integer(width)?).ok()
    }

    fn length(&mut self, width: usize) -> Option<usize> {
        usize::try_from(self.integer(width)?).ok()
    }

    fn time(&mut self) -> Option<i64> {
        self.integer(6).map(u64::cast_signed)
    }

    /// When the job was pushed, in ms: seqs are µs, big endian.
    fn seq(&mut self) -> Option<i64> {
        let bytes = self.take(7)?;
        let micros = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | i64::from(*byte));
        Some(micros / 1000)
    }

    fn nonce(&mut self) -> Option<Nonce> {
        Nonce::from_bytes(self.take(8)?)
    }

    fn text(&mut self, width: usize) -> Option<String> {
        String::from_utf8(self.take(width)?.to_vec()).ok()
    }

    fn mark(&mut self) -> Option<Mark> {
        let nonce = self.nonce()?;
        let created_at_ms = self.seq()?;
        let version = self.integer(6)?;
        let run_at_ms = self.time()?;
        let not_before_ms = self.time()?;
        let deadline_ms = self.time()?;
        let max_attempts = self.number(1)?;
        self.byte()?;
        Some(Mark {
            nonce,
            created_at_ms,
            version,
            run_at_ms,
            not_before_ms,
            deadline_ms,
            max_attempts,
            payload: self.0.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft<'static> {
        Draft {
            nonce: Nonce::from_bytes(b"abcdefgh").unwrap(),
            tenant: "t1",
            payload: b"{}",
            when: When::Now,
            not_before_ms: 5,
            deadline_ms: 1_764_216_000_123,
            version: VERSION_MAX,
            max_attempts: 3,
        }
    }

    /// What `lua/push.lua` makes of a draft.
    fn pushed(draft: &[u8]) -> Vec<u8> {
        let mut record = vec![1, draft[7], 0, 0];
        record.resize(11, 0);
        record.extend_from_slice(&draft[8..]);
        record
    }

    #[test]
    fn a_draft_is_a_record_that_waits() {
        let record = Record::decode(&pushed(&draft().encode())).unwrap();

        assert_eq!(
            record,
            Record {
                state: JobState::Waiting,
                cancel_requested: false,
                crashes: 0,
                attempt: 0,
                fence: 0,
                started_at_ms: 0,
                run_at_ms: 0,
                not_before_ms: 5,
                created_at_ms: 0,
                nonce: Nonce::from_bytes(b"abcdefgh").unwrap(),
                max_attempts: 3,
                deadline_ms: 1_764_216_000_123,
                version: VERSION_MAX,
                finished_at_ms: 0,
                tenant: "t1".to_owned(),
                error: String::new(),
                payload: b"{}".to_vec(),
                again: None,
                served_by: None,
            }
        );
    }

    #[test]
    fn a_record_that_was_cut_off_is_none() {
        let bytes = pushed(&draft().encode());

        for end in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..end]), None, "{end}");
        }
    }

    #[test]
    fn impossible_times_are_moved_to_the_ends_of_time() {
        assert_eq!(millis(-1), 0);
        assert_eq!(millis(i64::MAX), (1 << 47) - 1);
    }
}
