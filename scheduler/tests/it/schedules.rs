//! Recurring sweeps: each slot once, one sweep of a tenant at a time.

use std::time::Duration;

use domain::{Misfire, Timestamp};
use queue::{ConnectOptions, JobFilter, Queue, Queues};
use store::{Retention, Schedule, Store};
use testkit::redis::RedisServer;
use testkit::{Database, TestClock};
use tokenfleet_scheduler::{Deps, sweep};

testkit::each_database!(
    a_slot_whose_scheduler_died_before_it_moved_on_is_queued_once,
    a_slot_that_comes_while_the_last_sweep_waits_is_left_out,
    a_missed_slot_is_run_late_or_left_out_as_its_schedule_says,
    the_sweeps_of_many_tenants_are_queued_at_once,
);

const TEN: Duration = Duration::from_mins(10);

struct Bench {
    clock: TestClock,
    deps: Deps,
    schedule: Schedule,
    _redis: RedisServer,
}

impl Bench {
    /// A tenant with a schedule whose first slot has come.
    async fn on(database: &Database) -> Self {
        Self::with(database, Misfire::Once).await
    }

    /// The same whose schedule has this policy.
    async fn with(database: &Database, misfire: Misfire) -> Self {
        let clock = TestClock::start();
        let store = database.store_at(&clock).await;
        let redis = RedisServer::start().await.unwrap();
        let queues = Queues::connect(ConnectOptions::new(redis.url())).await;
        let tenant = testkit::tenant(&store).await;
        let schedule = store.put_schedule(tenant.uid, 10, None, misfire);
        let schedule = schedule.await.unwrap();
        clock.set(schedule.next_run_at);
        let deps = Deps {
            store,
            queues: queues.unwrap(),
            interval: Duration::from_secs(1),
            retention: Retention::default(),
        };
        Self {
            clock,
            deps,
            schedule,
            _redis: redis,
        }
    }

    fn queue(&self) -> Queue {
        self.deps.queues.queue(&jobs::sweep_queue())
    }

    /// The slots whose sweeps stand in the queue.
    async fn queued(&self) -> Vec<Timestamp> {
        let page = self
            .queue()
            .list(None, &JobFilter::default())
            .await
            .unwrap();
        let slots = page
            .items
            .iter()
            .filter_map(|job| jobs::schedule_of(&job.id));
        slots.map(|(_, slot)| slot).collect()
    }

    async fn next_slot(&self) -> Timestamp {
        let store: &Store = &self.deps.store;
        let schedule = store.schedule_by_uid(self.schedule.uid).await.unwrap();
        schedule.unwrap().next_run_at
    }
}

async fn a_slot_whose_scheduler_died_before_it_moved_on_is_queued_once(database: Database) {
    let bench = Bench::on(&database).await;
    let slot = bench.schedule.next_run_at;
    let of_the_dead = jobs::sweep(bench.schedule.tenant, bench.schedule.uid, slot);
    bench.queue().push(of_the_dead).await.unwrap();

    sweep(&bench.deps).await.unwrap();

    assert_eq!(bench.queued().await, [slot]);
    assert_eq!(bench.next_slot().await, slot.plus(TEN));
}

async fn a_slot_that_comes_while_the_last_sweep_waits_is_left_out(database: Database) {
    let bench = Bench::on(&database).await;
    let slot = bench.schedule.next_run_at;
    sweep(&bench.deps).await.unwrap();

    bench.clock.advance(TEN);
    sweep(&bench.deps).await.unwrap();

    assert_eq!(bench.queued().await, [slot]);
    assert_eq!(bench.next_slot().await, slot.plus(2 * TEN));
    // It ends, one way or another.
    let waiting = jobs::sweep_job_id(bench.schedule.uid, slot);
    bench.queue().remove(&waiting).await.unwrap();
    bench.clock.advance(TEN);
    sweep(&bench.deps).await.unwrap();
    assert_eq!(bench.queued().await, [slot.plus(2 * TEN)]);
}

async fn a_missed_slot_is_run_late_or_left_out_as_its_schedule_says(database: Database) {
    let beyond = Misfire::MISSED_AFTER + Duration::from_millis(1);
    for (policy, late, runs) in [
        (Misfire::Once, beyond, true),
        (Misfire::Skip, beyond, false),
        (Misfire::Skip, Misfire::MISSED_AFTER, true),
    ] {
        let bench = Bench::with(&database, policy).await;
        let slot = bench.schedule.next_run_at;
        bench.clock.set(slot.plus(late));

        sweep(&bench.deps).await.unwrap();

        let expected: Vec<_> = runs.then_some(slot).into_iter().collect();
        assert_eq!(bench.queued().await, expected, "{policy:?} {late:?}");
        assert_eq!(bench.next_slot().await, slot.plus(TEN));
        // Whatever became of it, the next one is on time.
        let ended = jobs::sweep_job_id(bench.schedule.uid, slot);
        bench.queue().remove(&ended).await.unwrap();
        bench.clock.set(slot.plus(TEN));
        sweep(&bench.deps).await.unwrap();
        assert_eq!(bench.queued().await, [slot.plus(TEN)]);
    }
}

async fn the_sweeps_of_many_tenants_are_queued_at_once(database: Database) {
    let bench = Bench::on(&database).await;
    let store = &bench.deps.store;
    let mut slots = vec![bench.schedule.next_run_at];
    for _ in 0..40 {
        let tenant = testkit::tenant(store).await;
        let schedule = store.put_schedule(tenant.uid, 10, None, Misfire::Once);
        slots.push(schedule.await.unwrap().next_run_at);
    }
    bench.clock.advance(2 * TEN);

    sweep(&bench.deps).await.unwrap();

    let mut queued = bench.queued().await;
    queued.sort_unstable();
    slots.sort_unstable();
    assert_eq!(queued, slots);
}
