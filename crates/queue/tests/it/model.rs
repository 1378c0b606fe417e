//! The scripts against a simple model, through random operations.
//!
//! Times are hours and half hours, so that the seconds that a run takes decide nothing:
//! the clock moves by whole hours, everything else is set to half ones.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokenfleet_queue::testing::{HandJob, HandWorker};
use tokenfleet_queue::{
    CancelOutcome, Counts, JobId, JobState, NewJob, Outcome, Pushed, Queue, QueueSettings, Queues,
    RetryOutcome, When,
};

use crate::support::{job, name, now_ms, open};
use testkit::redis::RedisServer;

const HOUR: i64 = 3_600_000;
const KEYS: usize = 5;
const KEEP_OK: usize = 3;
const KEEP_KO: usize = 4;

#[derive(Clone, Debug)]
enum Op {
    Push {
        key: usize,
        when: u8,
        at: i64,
        deadline: i64,
        not_before: i64,
        version: u64,
    },
    Claim {
        want: usize,
    },
    Settle {
        which: usize,
        how: u8,
        at: i64,
        not_before: bool,
        newer: bool,
        want: usize,
    },
    Pass {
        hours: u8,
    },
    Cancel {
        key: usize,
        mark: bool,
    },
    Retry {
        which: usize,
    },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let push = (0..KEYS, 0..3u8, 0..4i64, 0..3i64, 0..6i64, 1..5u64).prop_map(
        |(key, when, at, deadline, not_before, version)| Op::Push {
            key,
            when,
            at,
            deadline,
            // Mostly none.
            not_before: (not_before - 3).max(0),
            version,
        },
    );
    let settle = (
        0..9usize,
        0..7u8,
        0..3i64,
        any::<bool>(),
        any::<bool>(),
        0..3usize,
    )
        .prop_map(|(which, how, at, not_before, newer, want)| Op::Settle {
            which,
            how,
            at,
            not_before,
            newer,
            want,
        });
    let op = prop_oneof![
        6 => push,
        5 => (0..4usize).prop_map(|want| Op::Claim { want }),
        5 => settle,
        2 => (1..3u8).prop_map(|hours| Op::Pass { hours }),
        1 => (0..KEYS, any::<bool>()).prop_map(|(key, mark)| Op::Cancel { key, mark }),
        1 => (0..9usize).prop_map(|which| Op::Retry { which }),
    ];
    prop::collection::vec(op, 1..80)
}

#[derive(Clone, Debug)]
struct Live {
    id: JobId,
    tenant: String,
    state: JobState,
    version: u64,
    payload: Vec<u8>,
    attempt: u32,
    crashes: u32,
    deadline: i64,
    not_before: i64,
    run_at: i64,
    seq: u64,
    lease_end: i64,
    cancelled: bool,
    mark: Option<Mark>,
}

#[derive(Clone, Debug)]
struct Mark {
    id: JobId,
    version: u64,
    payload: Vec<u8>,
    deadline: i64,
    not_before: i64,
    run_at: i64,
    seq: u64,
    now: bool,
}

/// What the queue should hold.
#[derive(Default)]
struct Model {
    live: BTreeMap<String, Live>,
    /// By tenant and class; the oldest first.
    ended: BTreeMap<(String, bool), Vec<Live>>,
    now: i64,
    seq: u64,
}

impl Model {
    fn place(&self, job: &mut Live) {
        job.state = if job.run_at > self.now {
            JobState::Delayed
        } else {
            JobState::Waiting
        };
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    fn push(&mut self, new: &NewJob, answer: &Pushed) -> Pushed {
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

    fn mark(job: &mut Live, new: &NewJob, answer: &Pushed, at: i64, seq: u64) -> Pushed {
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

    fn end(&mut self, mut job: Live, state: JobState, version: i64) {
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

    fn retain(&mut self, job: Live) {
        let is_ok = job.state == JobState::Completed;
        let list = self.ended.entry((job.tenant.clone(), is_ok)).or_default();
        list.push(job);
        let keep = if is_ok { KEEP_OK } else { KEEP_KO };
        if list.len() > keep {
            list.remove(0);
        }
    }

    /// Answers the letter.
    fn settle(&mut self, held: &HandJob, outcome: &Outcome, version: u64, is_ours: bool) -> char {
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
    fn reap(&mut self, settings: &QueueSettings) -> Vec<JobId> {
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

    fn move_due(&mut self) {
        for job in self.live.values_mut() {
            if job.state == JobState::Delayed && job.run_at <= self.now {
                job.state = JobState::Waiting;
            }
        }
    }

    /// Checks what was claimed, and takes it over.
    fn claim(&mut self, jobs: &[HandJob], want: usize, lease: Duration) {
        let waiting = |job: &&Live| job.state == JobState::Waiting;
        let there = self.live.values().filter(waiting).count();
        assert_eq!(jobs.len(), want.min(there), "claimed of {there}");
        for tenant in ["t0", "t1"] {
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

    fn counts(&self, tenant: Option<&str>) -> Counts {
        let live = |state| {
            let of = |job: &&Live| job.state == state && tenant.is_none_or(|t| t == job.tenant);
            u64::try_from(self.live.values().filter(of).count()).unwrap()
        };
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

/// The model, the queue, and the claims that somebody may still settle.
struct Run {
    model: Model,
    queues: Queues,
    queue: Queue,
    settings: QueueSettings,
    worker: HandWorker,
    /// A claim, and whether it is the last one of its job.
    held: Vec<HandJob>,
    start: i64,
}

impl Run {
    async fn apply(&mut self, op: Op) {
        match op {
            Op::Push {
                key,
                when,
                at,
                deadline,
                not_before,
                version,
            } => {
                let half_past = |hours: i64| self.start + hours * HOUR + HOUR / 2;
                let new = NewJob {
                    tenant: format!("t{}", key % 2),
                    payload: format!("{version}").into_bytes(),
                    when: match when {
                        0 => When::Scheduled,
                        1 => When::Now,
                        _ => When::At(half_past(at)),
                    },
                    deadline_ms: deadline,
                    not_before_ms: if not_before == 0 {
                        0
                    } else {
                        half_past(not_before)
                    },
                    version,
                    ..job(&format!("k{key}"))
                };
                let answer = self.queue.push(new.clone()).await.unwrap();
                assert_eq!(answer, self.model.push(&new, &answer));
            }
            Op::Claim { want } => self.turn(None, want).await,
            Op::Settle {
                which,
                how,
                at,
                not_before,
                newer,
                want,
            } => {
                if self.held.is_empty() {
                    return;
                }
                let held = self.held[which % self.held.len()].clone();
                let outcome = match how {
                    0 | 1 => Outcome::Done,
                    2 => Outcome::Failed {
                        why: "no".to_owned(),
                    },
                    3 => Outcome::Cancelled,
                    4 => Outcome::Retry {
                        after: Some(Duration::from_mins(30 * u64::try_from(at).unwrap())),
                        not_before,
                        why: "later".to_owned(),
                    },
                    5 => Outcome::Snooze {
                        until_ms: self.start + at * HOUR + HOUR / 2,
                        not_before,
                    },
                    _ => Outcome::Released,
                };
                let version = held.view.version + if newer { 2 } else { 0 };
                self.turn(Some((held, outcome, version)), want).await;
            }
            Op::Pass { hours } => {
                self.queues
                    .advance_clock(Duration::from_hours(u64::from(hours)));
                self.model.now += i64::from(hours) * HOUR;
            }
            Op::Cancel { key, mark } => self.cancel(&format!("k{key}"), mark).await,
            Op::Retry { which } => self.retry(which).await,
        }
    }

    async fn turn(&mut self, settle: Option<(HandJob, Outcome, u64)>, want: usize) {
        let settles: Vec<_> = settle.into_iter().collect();
        let turn = self.worker.turn(&settles, want).await.unwrap();
        let mut letters = String::new();
        for (held, outcome, version) in &settles {
            let is_ours = self.is_last_claim(held);
            letters.push(self.model.settle(held, outcome, *version, is_ours));
        }
        assert_eq!(turn.letters, letters, "{settles:?}");
        let mut lost: Vec<JobId> = turn.lost.iter().map(|job| job.view.id.clone()).collect();
        lost.sort();
        assert_eq!(lost, self.model.reap(&self.settings), "lost");
        if want > 0 {
            self.model.move_due();
        }
        self.model.claim(&turn.jobs, want, self.settings.lease);
        self.held.extend(turn.lost);
        self.held.extend(turn.jobs);
    }

    /// Whether a claim is the last one of its job, and the job still runs.
    fn is_last_claim(&self, held: &HandJob) -> bool {
        let of_job = |other: &&HandJob| other.view.id == held.view.id;
        let last = self.held.iter().rfind(of_job);
        let live = self.model.live.get(&held.view.id.key);
        last == Some(held)
            && live.is_some_and(|job| job.id == held.view.id && job.state == JobState::Active)
    }

    async fn cancel(&mut self, key: &str, of_mark: bool) {
        let Some(job) = self.model.live.get(key).cloned() else {
            return;
        };
        let id = match &job.mark {
            Some(mark) if of_mark => mark.id.clone(),
            _ => job.id.clone(),
        };
        let outcome = self.queue.cancel(&id).await.unwrap();
        if id != job.id {
            assert!(matches!(outcome, CancelOutcome::Removed(_)));
            let job = self.model.live.get_mut(key).unwrap();
            let mark = job.mark.take().unwrap();
            let ended = Live {
                id,
                version: mark.version,
                state: JobState::Cancelled,
                ..job.clone()
            };
            self.model.retain(ended);
        } else if job.state == JobState::Active {
            assert_eq!(outcome, CancelOutcome::Signalled);
            self.model.live.get_mut(key).unwrap().cancelled = true;
        } else {
            assert!(matches!(outcome, CancelOutcome::Removed(_)));
            let job = self.model.live.remove(key).unwrap();
            self.model.end(job, JobState::Cancelled, -1);
        }
    }

    async fn retry(&mut self, which: usize) {
        let failed: Vec<Live> = self
            .model
            .ended
            .values()
            .flatten()
            .filter(|job| job.state == JobState::Failed)
            .cloned()
            .collect();
        if failed.is_empty() {
            return;
        }
        let old = failed[which % failed.len()].clone();
        let outcome = self.queue.retry(&old.id).await.unwrap();
        let (now, key) = (self.model.now, old.id.key.clone());
        if let Some(mut job) = self.model.live.remove(&key) {
            assert_eq!(outcome, RetryOutcome::Merged(job.id.clone()));
            if job.state == JobState::Delayed {
                job.run_at = now.max(job.not_before);
                self.model.place(&mut job);
            }
            self.model.live.insert(key, job);
            return;
        }
        assert_eq!(outcome, RetryOutcome::Requeued(old.id.clone()));
        let list = self.model.ended.get_mut(&(old.tenant.clone(), false));
        list.unwrap().retain(|job| job.id != old.id);
        let mut job = Live {
            attempt: 0,
            crashes: 0,
            cancelled: false,
            run_at: now.max(old.not_before),
            ..old
        };
        self.model.place(&mut job);
        self.model.live.insert(key, job);
    }

    async fn compare(&self) {
        for tenant in [None, Some("t0"), Some("t1")] {
            let counts = self.queue.counts(tenant).await.unwrap();
            assert_eq!(counts, self.model.counts(tenant), "{tenant:?}");
        }
        for key in 0..KEYS {
            let key = format!("k{key}");
            let view = self.queue.find(&key).await.unwrap();
            let expected = self.model.live.get(&key);
            assert_eq!(view.is_some(), expected.is_some(), "{key}");
            let (Some(view), Some(job)) = (view, expected) else {
                continue;
            };
            assert_eq!(view.id, job.id);
            assert_eq!(
                (view.state, view.version, view.attempt, view.crashes),
                (job.state, job.version, job.attempt, job.crashes)
            );
            assert_eq!(
                (view.deadline_ms, &view.payload, view.cancel_requested),
                (job.deadline, &job.payload, job.cancelled)
            );
            assert!((view.run_at_ms - job.run_at).abs() < HOUR / 4, "{view:?}");
            let not_before = view.not_before_ms - job.not_before;
            assert!(not_before.abs() < HOUR / 4, "{view:?}");
        }
        for job in self.model.ended.values().flatten() {
            let view = self.queue.job(&job.id).await.unwrap().unwrap();
            assert_eq!((view.state, view.version), (job.state, job.version));
        }
    }
}

#[test]
fn the_scripts_do_what_a_simple_model_does() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(RedisServer::start()).unwrap();
    let config = Config {
        cases: 48,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };

    let outcome = TestRunner::new(config).run(&ops(), |ops| {
        runtime.block_on(async {
            let settings = QueueSettings {
                lease: Duration::from_mins(90),
                keep_completed: u32::try_from(KEEP_OK).unwrap(),
                keep_failed: u32::try_from(KEEP_KO).unwrap(),
                ..QueueSettings::default()
            };
            let queues = open(&server, settings.clone()).await;
            let queue = queues.queue(&name("model"));
            for tenant in ["t0", "t1"] {
                queue.purge_tenant(tenant).await.unwrap();
            }
            let mut redis = server.connection().await.unwrap();
            redis::cmd("FLUSHALL")
                .query_async::<()>(&mut redis)
                .await
                .unwrap();
            let start = now_ms();
            let mut run = Run {
                model: Model {
                    now: start,
                    ..Model::default()
                },
                worker: HandWorker::new(&queue),
                queues,
                queue,
                settings,
                held: Vec::new(),
                start,
            };
            for op in ops {
                run.apply(op).await;
                run.compare().await;
            }
            // Nothing is damaged, and nothing is left once all is purged.
            let healed = tokenfleet_queue::testing::heal(&run.queue).await.unwrap();
            assert_eq!(healed.0, 0);
            run.queues.advance_clock(Duration::from_hours(3));
            for tenant in ["t0", "t1"] {
                run.queue.purge_tenant(tenant).await.unwrap();
            }
            run.worker.turn(&[], 1).await.unwrap();
            let keys: Vec<String> = redis::cmd("KEYS")
                .arg("*")
                .query_async(&mut redis)
                .await
                .unwrap();
            assert_eq!(keys, [""; 0]);
        });
        Ok(())
    });

    outcome.unwrap();
}
