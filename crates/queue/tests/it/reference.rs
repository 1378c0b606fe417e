//! The queue as a simple model: what [`crate::model`] compares the scripts with.

use std::collections::BTreeMap;
use std::time::Duration;

use tokenfleet_queue::testing::HandJob;
use tokenfleet_queue::{Counts, JobId, JobState, NewJob, Outcome, Pushed, QueueSettings, When};

pub(crate) const TENANTS: [&str; 2] = ["t0", "t1"];
pub(crate) const KEEP_OK: usize = 3;
pub(crate) const KEEP_KO: usize = 4;

#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: JobId,
    pub(crate) tenant: String,
    pub(crate) state: JobState,
    pub(crate) version: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) attempt: u32,
    pub(crate) crashes: u32,
    pub(crate) deadline: i64,
    pub(crate) not_before: i64,
    pub(crate) run_at: i64,
    pub(crate) seq: u64,
    pub(crate) lease_end: i64,
    pub(crate) cancelled: bool,
    pub(crate) mark: Option<Mark>,
}

#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) id: JobId,
    pub(crate) version: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) deadline: i64,
    pub(crate) not_before: i64,
    pub(crate) run_at: i64,
    pub(crate) seq: u64,
    pub(crate) now: bool,
}

/// What a tenant or the queue may take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limit {
    pub(crate) is_paused: bool,
    /// 0 for any number.
    pub(crate) at_once: usize,
}

impl Limit {
    fn room(self, active: usize) -> usize {
        match self {
            Self {
                is_paused: true, ..
            } => 0,
            Self { at_once: 0, .. } => usize::MAX,
            Self { at_once, .. } => at_once.saturating_sub(active),
        }
    }
}

/// What the queue should hold.
#[derive(Default)]
pub(crate) struct Model {
    /// Of t0, t1 and the queue.
    pub(crate) limits: [Limit; 3],
    pub(crate) live: BTreeMap<String, Live>,
    /// By tenant and class; the oldest first.
    pub(crate) ended: BTreeMap<(String, bool), Vec<Live>>,
    pub(crate) now: i64,
    pub(crate) seq: u64,
}

impl Model {
    pub(crate) fn place(&self, job: &mut Live) {
        job.state = if job.run_at > self.now {
            JobState::Delayed
        } else {
            JobState::Waiting
        };
    }

    pub(crate) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(crate) fn push(&mut self, new: &NewJob, answer: &Pushed) -> Pushed {
        let seq = self.next_seq();
        let at = match new.when {
            When::At(at) => at,
            _ => self.now,
        };
        let now = self.now;
        let Some(mut job) = self.live.remove(&new.key) else {
            let mut job = Live {
                id: answer.id().clone(),
                tenant: new.tenant.clone(),
                state: JobState::Waiting,
                version: new.version,
                payload: new.payload.clone(),
                attempt: 0,
                crashes: 0,
                deadline: new.deadline_ms,
                not_before: new.not_before_ms,
                run_at: at.max(new.not_before_ms),
                seq,
                lease_end: 0,
                cancelled: false,
                mark: None,
            };
            self.place(&mut job);
            self.live.insert(new.key.clone(), job);
            return Pushed::New(answer.id().clone());
        };
        let expected = if job.state == JobState::Active {
            Self::mark(&mut job, new, answer, at, seq)
        } else {
            let before = (job.deadline, job.run_at);
            match new.when {
                When::Now => job.run_at = job.run_at.min(now),
                When::At(at) => job.run_at = job.run_at.min(at),
                When::Scheduled => {}
            }
            job.deadline = job.deadline.min(new.deadline_ms);
            job.not_before = job.not_before.max(new.not_before_ms);
            job.run_at = job.run_at.max(job.not_before);
            if new.version > job.version {
                job.version = new.version;
                job.payload.clone_from(&new.payload);
            }
            if (job.deadline, job.run_at) != before {
                self.place(&mut job);
            }
            Pushed::Merged(job.id.clone())
        };
        self.live.insert(new.key.clone(), job);
        expected
    }

    pub(crate) fn mark(job: &mut Live, new: &NewJob, answer: &Pushed, at: i64, seq: u64) -> Pushed {
        if new.version <= job.version {
            return Pushed::Shared(job.id.clone());
        }
        let mark = job.mark.get_or_insert_with(|| Mark {
            id: answer.id().clone(),
            version: new.version,
            payload: new.payload.clone(),
            deadline: new.deadline_ms,
            not_before: new.not_before_ms,
            run_at: at,
            seq,
            now: false,
        });
        if new.version > mark.version {
            mark.version = new.version;
            mark.payload.clone_from(&new.payload);
        }
        mark.deadline = mark.deadline.min(new.deadline_ms);
        mark.not_before = mark.not_before.max(new.not_before_ms);
        mark.run_at = mark.run_at.min(at);
        mark.now |= new.when == When::Now;
        Pushed::Again(mark.id.clone())
    }

    pub(crate) fn end(&mut self, mut job: Live, state: JobState, version: i64) {
        let mark = job.mark.take();
        job.state = state;
        self.retain(job.clone());
        let Some(mark) = mark else { return };
        if i64::try_from(mark.version).unwrap() > version {
            let mut next = Live {
                id: mark.id,
                version: mark.version,
                payload: mark.payload,
                attempt: 0,
                crashes: 0,
                deadline: mark.deadline,
                not_before: mark.not_before,
                run_at: mark.run_at.max(mark.not_before),
                seq: mark.seq,
                cancelled: false,
                ..job
            };
            self.place(&mut next);
            self.live.insert(next.id.key.clone(), next);
        } else {
            self.retain(Live { id: mark.id, ..job });
        }
    }

    pub(crate) fn retain(&mut self, job: Live) {
        let is_ok = job.state == JobState::Completed;
        let list = self.ended.entry((job.tenant.clone(), is_ok)).or_default();
        list.push(job);
        let keep = if is_ok { KEEP_OK } else { KEEP_KO };
        if list.len() > keep {
            list.remove(0);
        }
    }

    /// Answers the letter.
    pub(crate) fn settle(
        &mut self,
        held: &HandJob,
        outcome: &Outcome,
        version: u64,
        is_ours: bool,
    ) -> char {
        let key = &held.view.id.key;
        if !is_ours {
            return 'X';
        }
        let mut job = self.live.remove(key).unwrap();
        let version = i64::try_from(version).unwrap();
        let state = match outcome {
            Outcome::Done => Some((JobState::Completed, 'D')),
            Outcome::Failed { .. } => Some((JobState::Failed, 'F')),
            Outcome::Cancelled => Some((JobState::Cancelled, 'C')),
            _ if job.cancelled => Some((JobState::Cancelled, 'C')),
            _ => None,
        };
        if let Some((state, letter)) = state {
            self.end(job, state, version);
            return letter;
        }
        let (mut until, holds, letter) = match outcome {
            Outcome::Retry {
                after, not_before, ..
            } => {
                let after = i64::try_from(after.unwrap().as_millis()).unwrap();
                (self.now + after, *not_before, ['R', 'r'])
            }
            Outcome::Snooze {
                until_ms,
                not_before,
            } => (*until_ms, *not_before, ['S', 's']),
            _ => (self.now, false, ['L', 'L']),
        };
        if !matches!(outcome, Outcome::Retry { .. }) {
            job.attempt = job.attempt.saturating_sub(1);
        }
        if holds {
            job.not_before = job.not_before.max(until);
        }
        if let Some(mark) = &job.mark {
            job.not_before = job.not_before.max(mark.not_before);
            job.deadline = job.deadline.min(mark.deadline);
            if mark.now {
                until = self.now;
            }
        }
        job.run_at = until.max(job.not_before);
        self.place(&mut job);
        self.live.insert(key.clone(), job);
        letter[usize::from(holds)]
    }

    /// Takes over what was lost; answers what is to be ended.
    pub(crate) fn reap(&mut self, settings: &QueueSettings) -> Vec<JobId> {
        let now = self.now;
        let lease = i64::try_from(settings.lease.as_millis()).unwrap();
        let mut lost = Vec::new();
        for job in self.live.values_mut() {
            if job.state != JobState::Active || job.lease_end > now {
                continue;
            }
            job.crashes += 1;
            if job.crashes >= settings.poison_after
                || job.attempt >= settings.max_attempts
                || job.cancelled
            {
                job.lease_end = now + lease;
                lost.push(job.id.clone());
            } else {
                job.run_at = now.max(job.not_before);
                job.state = if job.run_at > now {
                    JobState::Delayed
                } else {
                    JobState::Waiting
                };
            }
        }
        lost
    }

    pub(crate) fn move_due(&mut self) {
        for job in self.live.values_mut() {
            if job.state == JobState::Delayed && job.run_at <= self.now {
                job.state = JobState::Waiting;
            }
        }
    }

    /// Checks what was claimed, and takes it over.
    pub(crate) fn claim(&mut self, jobs: &[HandJob], want: usize, lease: Duration) {
        let waiting = |job: &&Live| job.state == JobState::Waiting;
        let there: usize = (0..2).map(|tenant| self.open_to(tenant)).sum();
        let room = self.limits[2].room(self.in_state(None, JobState::Active));
        assert_eq!(jobs.len(), want.min(there).min(room), "claimed of {there}");
        for tenant in TENANTS {
            let mut first: Vec<&Live> = self.live.values().filter(waiting).collect();
            first.retain(|job| job.tenant == tenant);
            first.sort_by_key(|job| (job.deadline, job.seq));
            let got: Vec<&JobId> = jobs
                .iter()
                .filter(|job| job.view.tenant == tenant)
                .map(|job| &job.view.id)
                .collect();
            let expected: Vec<&JobId> = first.iter().take(got.len()).map(|job| &job.id).collect();
            assert_eq!(got, expected, "the order of {tenant}");
        }
        for held in jobs {
            let job = self.live.get_mut(&held.view.id.key).unwrap();
            job.state = JobState::Active;
            job.attempt += 1;
            job.lease_end = self.now + i64::try_from(lease.as_millis()).unwrap();
            if let Some(mark) = &job.mark {
                job.version = job.version.max(mark.version);
                job.payload.clone_from(&mark.payload);
            }
            assert_eq!(held.view.payload, job.payload);
            assert_eq!(
                (held.view.version, held.view.attempt, held.view.crashes),
                (job.version, job.attempt, job.crashes)
            );
        }
    }

    /// Waiting jobs of a tenant that its limits let go.
    fn open_to(&self, tenant: usize) -> usize {
        let name = Some(TENANTS[tenant]);
        let room = self.limits[tenant].room(self.in_state(name, JobState::Active));
        self.in_state(name, JobState::Waiting).min(room)
    }

    fn in_state(&self, tenant: Option<&str>, state: JobState) -> usize {
        let of = |job: &&Live| job.state == state && tenant.is_none_or(|t| t == job.tenant);
        self.live.values().filter(of).count()
    }

    /// A delayed job is moved to now.
    pub(crate) fn promote(&mut self, key: &str) -> bool {
        let now = self.now;
        let Some(mut job) = self.live.remove(key) else {
            return false;
        };
        let run_at = now.max(job.not_before);
        let is_later = job.state == JobState::Delayed && job.run_at > run_at;
        if is_later {
            job.run_at = run_at;
            self.place(&mut job);
        }
        self.live.insert(key.to_owned(), job);
        is_later
    }

    pub(crate) fn counts(&self, tenant: Option<&str>) -> Counts {
        let live = |state| u64::try_from(self.in_state(tenant, state)).unwrap();
        let ended = |is_ok| {
            let of = |((t, ok), list): ((&String, &bool), &Vec<Live>)| {
                (*ok == is_ok && tenant.is_none_or(|tenant| tenant == t)).then_some(list.len())
            };
            let lists = self.ended.iter().map(|((t, ok), list)| ((t, ok), list));
            u64::try_from(lists.filter_map(of).sum::<usize>()).unwrap()
        };
        Counts {
            waiting: live(JobState::Waiting),
            delayed: live(JobState::Delayed),
            active: live(JobState::Active),
            completed: ended(true),
            failed: ended(false),
        }
    }
}
