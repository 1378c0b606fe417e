//! The scripts against a simple model, through random operations.
//!
//! Times are hours and half hours, so that the seconds that a run takes decide nothing:
//! the clock moves by whole hours, everything else is set to half ones.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokenfleet_queue::testing::{HandJob, HandWorker};
use tokenfleet_queue::{
    CancelOutcome, JobId, JobState, Limits, NewJob, Outcome, PromoteOutcome, Queue, QueueSettings,
    Queues, RetryOutcome, When,
};

use crate::reference::{KEEP_KO, KEEP_OK, Limit, Live, Model, TENANTS};
use crate::support::{job, name, now_ms, open};
use testkit::redis::RedisServer;

const HOUR: i64 = 3_600_000;
const KEYS: usize = 5;

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
    Promote {
        key: usize,
    },
    Limit {
        /// t0, t1 or the queue.
        whose: usize,
        is_paused: bool,
        at_once: usize,
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
        1 => (0..KEYS).prop_map(|key| Op::Promote { key }),
        2 => (0..3usize, 0..3u8, 0..3usize).prop_map(|(whose, pause, at_once)| Op::Limit {
            whose,
            is_paused: pause == 0,
            at_once,
        }),
    ];
    prop::collection::vec(op, 1..80)
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
            Op::Promote { key } => self.promote(&format!("k{key}")).await,
            Op::Limit {
                whose,
                is_paused,
                at_once,
            } => self.limit(whose, Limit { is_paused, at_once }).await,
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

    async fn promote(&mut self, key: &str) {
        let Some(id) = self.model.live.get(key).map(|job| job.id.clone()) else {
            return;
        };
        let outcome = self.queue.promote(&id).await.unwrap();
        let is_promoted = matches!(outcome, PromoteOutcome::Promoted(_));
        assert_eq!(is_promoted, self.model.promote(key), "{outcome:?}");
    }

    async fn limit(&mut self, whose: usize, limit: Limit) {
        let limits = Limits {
            paused: limit.is_paused,
            at_once: u32::try_from(limit.at_once).ok().filter(|jobs| *jobs > 0),
            ..Limits::default()
        };
        let tenant = TENANTS.get(whose).copied();
        self.queue.limit(tenant, limits).await.unwrap();
        self.model.limits[whose] = limit;
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
            for tenant in TENANTS {
                run.queue.purge_tenant(tenant).await.unwrap();
                run.queue
                    .limit(Some(tenant), Limits::default())
                    .await
                    .unwrap();
            }
            run.queue.limit(None, Limits::default()).await.unwrap();
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
