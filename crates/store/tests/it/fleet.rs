//! The processes of the fleet.

use std::time::Duration;

use domain::{Clock as _, ProcessUid};
use store::{Process, ProcessInfo, Retention};
use testkit::{Database, TestClock};

testkit::each_database!(
    a_process_registers_lives_and_leaves,
    a_silent_process_is_forgotten_after_a_day,
);

fn info(role: &str) -> ProcessInfo {
    ProcessInfo {
        uid: ProcessUid::generate(),
        role: role.to_owned(),
        host: "host-1".to_owned(),
        version: "0.1.0".to_owned(),
        key_ids: vec!["k1".to_owned(), "k2".to_owned()],
        seals_with: Some("k1".to_owned()),
    }
}

async fn a_process_registers_lives_and_leaves(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let (worker, started_at) = (info("worker"), clock.now());

    store.register_process(worker.clone()).await.unwrap();
    clock.advance(Duration::from_secs(10));
    let alive = store.heartbeat(worker.uid, Some("k2")).await.unwrap();
    let all = store.processes().await.unwrap();
    store.forget_process(worker.uid).await.unwrap();
    let gone = store.heartbeat(worker.uid, None).await.unwrap();

    let expected = Process {
        info: ProcessInfo {
            seals_with: Some("k2".to_owned()),
            ..worker
        },
        started_at,
        seen_at: clock.now(),
    };
    assert_eq!((alive, all, gone), (true, vec![expected], false));
}

async fn a_silent_process_is_forgotten_after_a_day(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    store.register_process(info("api")).await.unwrap();
    clock.advance(Duration::from_hours(25));
    store.register_process(info("worker")).await.unwrap();

    store.prune_history(Retention::default(), 9).await.unwrap();

    let all = store.processes().await.unwrap();
    let roles: Vec<_> = all.iter().map(|process| &process.info.role).collect();
    assert_eq!(roles, ["worker"]);
}
