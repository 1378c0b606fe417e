//! Recurring sweeps: upsert, slots, each slot once.

use std::time::Duration;

use domain::{Clock as _, Misfire, Timestamp};
use store::{Schedule, Store};
use testkit::{Database, TestClock};

testkit::each_database!(
    the_first_slot_is_one_interval_and_a_small_offset_from_now,
    putting_the_same_schedule_again_leaves_its_slot,
    a_changed_interval_starts_anew,
    a_cancelled_schedule_is_gone,
    of_many_schedulers_one_moves_a_slot_on,
    after_a_long_stop_a_schedule_runs_once,
    a_slot_is_done_once,
    due_schedules_come_longest_due_first,
);

const MINUTE: Duration = Duration::from_mins(1);

async fn setting(database: &Database, minutes: u32) -> (Store, TestClock, Schedule) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let schedule = store.put_schedule(tenant.uid, minutes, None, Misfire::Once);
    let schedule = schedule.await.unwrap();
    (store, clock, schedule)
}

async fn the_first_slot_is_one_interval_and_a_small_offset_from_now(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;

    for (minutes, most) in [(1, 3_000), (10, 30_000), (120, 60_000), (43_200, 60_000)] {
        let tenant = testkit::tenant(&store).await;

        let schedule = store.put_schedule(tenant.uid, minutes, Some(60), Misfire::Skip);

        let schedule = schedule.await.unwrap();
        let interval = MINUTE * minutes;
        let offset = schedule.next_run_at.since(clock.now().plus(interval));
        assert!(
            offset <= Duration::from_millis(most),
            "{minutes}: {offset:?}"
        );
        let expected = Schedule {
            uid: schedule.uid,
            tenant: tenant.uid,
            interval,
            refresh_before_minutes: Some(60),
            misfire: Misfire::Skip,
            next_run_at: clock.now().plus(interval + offset),
            last_done_slot: None,
            created_at: clock.now(),
            updated_at: clock.now(),
        };
        assert_eq!(schedule, expected);
        assert_eq!(store.schedule(tenant.uid).await.unwrap(), Some(expected));
    }
}

async fn putting_the_same_schedule_again_leaves_its_slot(database: Database) {
    let (store, clock, schedule) = setting(&database, 120).await;
    clock.advance(MINUTE);

    let again = store.put_schedule(schedule.tenant, 120, Some(30), Misfire::Skip);

    let expected = Schedule {
        refresh_before_minutes: Some(30),
        misfire: Misfire::Skip,
        updated_at: clock.now(),
        ..schedule
    };
    assert_eq!(again.await.unwrap(), expected);
}

async fn a_changed_interval_starts_anew(database: Database) {
    let (store, clock, schedule) = setting(&database, 120).await;
    clock.advance(MINUTE);

    let changed = store.put_schedule(schedule.tenant, 60, None, Misfire::Once);
    let changed = changed.await.unwrap();

    assert_eq!(changed.uid, schedule.uid);
    assert!(changed.next_run_at >= clock.now().plus(60 * MINUTE));
    assert!(changed.next_run_at <= clock.now().plus(61 * MINUTE));
}

async fn a_cancelled_schedule_is_gone(database: Database) {
    let (store, clock, schedule) = setting(&database, 1).await;
    clock.advance(10 * MINUTE);

    assert!(store.delete_schedule(schedule.tenant).await.unwrap());

    assert!(!store.delete_schedule(schedule.tenant).await.unwrap());
    assert_eq!(store.schedule_by_uid(schedule.uid).await.unwrap(), None);
    assert_eq!(store.due_schedules(9).await.unwrap(), []);
    let advanced = store.advance_schedule(schedule.uid, schedule.next_run_at);
    assert_eq!(advanced.await.unwrap(), None);
}

async fn of_many_schedulers_one_moves_a_slot_on(database: Database) {
    let (store, clock, schedule) = setting(&database, 1).await;
    let other = database.store_at(&clock).await;
    let mut runs: Vec<Timestamp> = Vec::new();

    for _ in 0..5 {
        clock.advance(MINUTE);
        let schedulers = (0..6).map(|index| {
            let store = if index % 2 == 0 { &store } else { &other }.clone();
            tokio::spawn(async move {
                let mut won = Vec::new();
                for due in store.due_schedules(9).await.unwrap() {
                    let moved = store.advance_schedule(due.uid, due.next_run_at);
                    won.extend(moved.await.unwrap().map(|_| due.next_run_at));
                }
                won
            })
        });
        for scheduler in schedulers.collect::<Vec<_>>() {
            runs.extend(scheduler.await.unwrap());
        }
    }

    let slots = |count: u32| (0..count).map(|n| schedule.next_run_at.plus(MINUTE * n));
    let elapsed = u32::try_from(runs.len()).unwrap();
    assert!(elapsed >= 4, "{runs:?}");
    assert_eq!(runs, slots(elapsed).collect::<Vec<_>>());
}

async fn after_a_long_stop_a_schedule_runs_once(database: Database) {
    let (store, clock, schedule) = setting(&database, 10).await;
    clock.set(schedule.next_run_at.plus(1234 * MINUTE));

    let due = store.due_schedules(9).await.unwrap();
    let next = store
        .advance_schedule(schedule.uid, due[0].next_run_at)
        .await;

    let expected = schedule.next_run_at.plus(1240 * MINUTE);
    assert_eq!(next.unwrap(), Some(expected));
    assert_eq!(store.due_schedules(9).await.unwrap(), []);
    // The slots stay on their grid also when one is taken exactly in time.
    clock.set(expected);
    let next = store.advance_schedule(schedule.uid, expected).await;
    assert_eq!(next.unwrap(), Some(expected.plus(10 * MINUTE)));
}

async fn a_slot_is_done_once(database: Database) {
    let (store, _, schedule) = setting(&database, 10).await;
    let slot = schedule.next_run_at;
    let earlier = slot.minus(MINUTE);

    let first = store.finish_slot(schedule.uid, slot).await.unwrap();
    let again = store.finish_slot(schedule.uid, slot).await.unwrap();
    let late = store.finish_slot(schedule.uid, earlier).await.unwrap();

    assert_eq!([first, again, late], [true, false, false]);
    let after = store.schedule_by_uid(schedule.uid).await.unwrap();
    assert_eq!(after.and_then(|after| after.last_done_slot), Some(slot));
}

async fn due_schedules_come_longest_due_first(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let mut uids = Vec::new();
    for minutes in [30, 10, 20, 300] {
        let tenant = testkit::tenant(&store).await;
        let schedule = store.put_schedule(tenant.uid, minutes, None, Misfire::Once);
        uids.push(schedule.await.unwrap().uid);
    }
    clock.advance(60 * MINUTE);

    let due = store.due_schedules(2).await.unwrap();

    let found: Vec<_> = due.iter().map(|due| due.uid).collect();
    assert_eq!(found, [uids[1], uids[2]]);
}
