//! The processes, and the key that seals.

use std::time::Duration;

use domain::{Clock as _, ProcessUid};
use store::{KnownKey, Process, ProcessInfo, Retention};
use testkit::{Database, TestClock};

testkit::each_database!(
    a_process_registers_lives_and_leaves,
    a_silent_process_is_forgotten_after_a_day,
    the_first_check_value_of_a_key_stays,
    the_first_key_wins,
);

fn info(role: &str) -> ProcessInfo {
    ProcessInfo {
        uid: ProcessUid::generate(),
        role: role.to_owned(),
        host: "host-1".to_owned(),
        version: "0.1.0".to_owned(),
        key_ids: vec!["k1".to_owned(), "k2".to_owned()],
    }
}

async fn a_process_registers_lives_and_leaves(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let (worker, started_at) = (info("worker"), clock.now());

    store.register_process(worker.clone()).await.unwrap();
    clock.advance(Duration::from_secs(10));
    let alive = store.heartbeat(worker.uid).await.unwrap();
    let all = store.processes().await.unwrap();
    store.forget_process(worker.uid).await.unwrap();
    let gone = store.heartbeat(worker.uid).await.unwrap();

    let expected = Process {
        info: worker,
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

async fn the_first_key_wins(database: Database) {
    let store = database.store().await;

    let candidates = (0..10).map(|index| {
        let store = store.clone();
        tokio::spawn(async move { store.active_key(&format!("k{index}")).await.unwrap() })
    });
    let mut answers = Vec::new();
    for candidate in candidates.collect::<Vec<_>>() {
        answers.push(candidate.await.unwrap());
    }

    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let known = KnownKey {
        id: answers.remove(0),
        active: true,
    };
    assert_eq!(store.known_keys().await.unwrap(), [known]);
}

async fn the_first_check_value_of_a_key_stays(database: Database) {
    let store = database.store().await;
    store.active_key("k1").await.unwrap();

    let first = store.key_check("k1", vec![1]).await.unwrap();
    let second = store.key_check("k1", vec![2]).await.unwrap();
    let unknown = store.key_check("k2", vec![3]).await.unwrap();

    assert_eq!(
        (first, second, unknown),
        (Some(vec![1]), Some(vec![1]), None)
    );
}
