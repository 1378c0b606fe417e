//! Random life of a channel: of all outcomes only those under the last lease are stored.

use std::time::Duration;

use domain::{ChannelUid, Clock as _, Generation};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use store::{Change, Finished, Lease, LeaseOutcome, NewGrant, Store};
use testkit::{Database, TestClock};

testkit::each_database!(only_outcomes_under_the_last_lease_are_stored);

/// What one of three workers, or a person, does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Lease(usize),
    Finish(usize),
    Release(usize),
    Renew(usize),
    Repair,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_usize).prop_map(Step::Lease),
        3 => (0..3_usize).prop_map(Step::Finish),
        1 => (0..3_usize).prop_map(Step::Release),
        1 => (0..3_usize).prop_map(Step::Renew),
        1 => Just(Step::Repair),
        3 => (1..700_u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What must be true, told without a database.
#[derive(Debug)]
struct World {
    generation: i64,
    /// The worker whose lease counts.
    holder: Option<usize>,
    leases: [Option<Lease>; 3],
}

async fn only_outcomes_under_the_last_lease_are_stored(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let mut runner = TestRunner::deterministic();

    for _ in 0..15 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let new = testkit::channel(tenant.uid, clock.now());
        let uid = testkit::channels(&store, vec![new]).await[0].uid;
        let mut world = World {
            generation: 1,
            holder: None,
            leases: [None, None, None],
        };
        for step in &steps {
            take(&store, &clock, uid, &mut world, *step).await;

            let channel = store.channel_by_uid(uid).await.unwrap();
            let generation = channel.map(|channel| channel.generation);
            assert_eq!(generation, Some(Generation(world.generation)), "{steps:?}");
        }
    }
}

async fn take(store: &Store, clock: &TestClock, uid: ChannelUid, world: &mut World, step: Step) {
    match step {
        Step::Wait(secs) => clock.advance(Duration::from_secs(secs)),
        Step::Lease(worker) => lease(store, uid, world, worker).await,
        Step::Finish(worker) => finish(store, clock, world, worker).await,
        Step::Release(worker) => {
            if let Some(lease) = world.leases[worker].take() {
                let released = store.release(uid, lease.epoch).await.unwrap();
                assert_eq!(released, world.holder == Some(worker));
                world.holder = world.holder.filter(|holder| *holder != worker);
            }
        }
        Step::Renew(worker) => {
            if let Some(lease) = &world.leases[worker] {
                let ttl = Duration::from_secs(90);
                let renewed = store.renew_lease(uid, lease.epoch, ttl).await.unwrap();
                assert_eq!(renewed.is_some(), world.holder == Some(worker));
            }
        }
        Step::Repair => {
            let grant = NewGrant {
                generation: Generation(world.generation + 1),
                sealed: testkit::sealed("repaired"),
                facts: testkit::facts(clock.now()),
                app_identity: None,
            };
            let repaired = store.replace_grant(uid, grant).await.unwrap();
            assert!(repaired.is_some());
            world.generation += 1;
            world.holder = None;
        }
    }
}

async fn lease(store: &Store, uid: ChannelUid, world: &mut World, worker: usize) {
    let channel = store.channel_by_uid(uid).await.unwrap().unwrap();
    let request = testkit::lease_request(&channel);
    match store.lease(request).await.unwrap() {
        LeaseOutcome::Leased(lease) => {
            world.leases[worker] = Some(*lease);
            world.holder = Some(worker);
        }
        LeaseOutcome::Held { .. } => assert!(world.holder.is_some()),
        other => panic!("{other:?}"),
    }
}

async fn finish(store: &Store, clock: &TestClock, world: &mut World, worker: usize) {
    let Some(lease) = world.leases[worker].take() else {
        return;
    };
    let change = Change::Stored {
        sealed: testkit::sealed("second"),
        facts: testkit::facts(clock.now()),
    };
    let finish = testkit::finish(&lease, &lease.channel.uid.to_string(), change);
    let finished = store.finish(finish).await.unwrap();
    if world.holder == Some(worker) {
        assert_eq!(finished, Finished::Stored);
        world.generation += 1;
        world.holder = None;
    } else {
        assert!(matches!(finished, Finished::Fenced { .. }), "{finished:?}");
    }
}
