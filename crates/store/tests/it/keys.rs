//! The master keys: which one seals, what they sealed, and when one may go.

use std::time::Duration;

use domain::{Clock as _, Generation, ProcessUid, Sealed};
use store::{
    Activation, Change, Channel, Finished, Holding, KeyUse, KnownKey, LeaseOutcome, NewGrant,
    Process, ProcessInfo, Retirement, Rewrapped, SealedValue, Store,
};
use testkit::{Database, TestClock};

testkit::each_database!(
    the_first_key_wins,
    the_first_check_value_of_a_key_stays,
    a_key_seals_once_every_live_process_has_it,
    of_many_that_move_the_key_one_after_the_other_exactly_one_is_active,
    what_was_refreshed_or_repaired_meanwhile_is_not_wrapped_back,
    a_round_finds_every_envelope_under_another_key_once,
    a_rewrap_under_a_lease_leaves_the_lease_alone,
    a_refresh_and_a_rewrap_at_once_leave_an_envelope_with_its_own_key,
    a_key_goes_when_nothing_needs_it,
);

fn process(key_ids: &[&str], seals_with: Option<&str>) -> ProcessInfo {
    ProcessInfo {
        uid: ProcessUid::generate(),
        role: "worker".to_owned(),
        host: "host-1".to_owned(),
        version: "0.1.0".to_owned(),
        key_ids: key_ids.iter().map(|id| (*id).to_owned()).collect(),
        seals_with: seals_with.map(str::to_owned),
    }
}

/// Keys `k1`, which seals, and `k2`.
async fn two_keys(store: &Store) {
    store.active_key("k1").await.unwrap();
    for id in ["k1", "k2"] {
        store.key_check(id, id.into()).await.unwrap();
    }
}

async fn channels(store: &Store, clock: &TestClock, count: usize) -> Vec<Channel> {
    let tenant = testkit::tenant(store).await;
    let ends = clock.now().plus(Duration::from_hours(2));
    let new = (0..count).map(|_| testkit::channel(tenant.uid, ends));
    let mut stored = testkit::channels(store, new.collect()).await;
    stored.sort_by_key(|channel| channel.uid);
    stored
}

/// The same payload, as if `key_id` had wrapped it.
fn wrapped_by(key_id: &str, before: SealedValue) -> Rewrapped {
    let after = Sealed {
        envelope: [key_id.as_bytes(), &before.sealed.envelope].concat(),
        key_id: key_id.to_owned(),
        fingerprint: before.sealed.fingerprint,
    };
    Rewrapped { before, after }
}

async fn all_by_others(store: &Store, key_id: &str) -> Vec<SealedValue> {
    store
        .sealed_by_others(Holding::Channels, key_id, None, 1000)
        .await
        .unwrap()
}

async fn sealed(store: &Store, channel: &Channel) -> Sealed {
    let all = all_by_others(store, "no key at all").await;
    let found = all.into_iter().find(|it| it.owner == channel.uid.0);
    found.unwrap().sealed
}

async fn a_key_seals_once_every_live_process_has_it(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    two_keys(&store).await;
    let silent = process(&["k1"], Some("k1"));
    store.register_process(silent.clone()).await.unwrap();
    clock.advance(Duration::from_secs(61));
    let (behind, ready) = (process(&["k1"], None), process(&["k1", "k2"], Some("k1")));
    let keyless = process(&[], None);
    for info in [&behind, &ready, &keyless] {
        store.register_process(info.clone()).await.unwrap();
    }

    let refused = store.activate_key("k2").await.unwrap();
    store.forget_process(behind.uid).await.unwrap();
    let moved = store.activate_key("k2").await.unwrap();
    let again = store.activate_key("k2").await.unwrap();
    let unknown = store.activate_key("k3").await.unwrap();

    let lacking = Process {
        info: behind,
        started_at: clock.now(),
        seen_at: clock.now(),
    };
    assert_eq!(refused, Activation::Lacking(vec![lacking]));
    assert_eq!(
        (moved, again, unknown),
        (
            Activation::Moved,
            Activation::Unchanged,
            Activation::Unknown
        )
    );
    assert_eq!(store.active_key("k1").await.unwrap(), "k2");
}

async fn of_many_that_move_the_key_one_after_the_other_exactly_one_is_active(database: Database) {
    let store = database.store().await;
    two_keys(&store).await;

    let movers: Vec<_> = (0..12)
        .map(|index| {
            let (store, id) = (store.clone(), ["k1", "k2"][index % 2]);
            tokio::spawn(async move { store.activate_key(id).await.unwrap() })
        })
        .collect();
    for mover in movers {
        let moved = mover.await.unwrap();
        assert!(matches!(moved, Activation::Moved | Activation::Unchanged));
    }

    let known = store.known_keys().await.unwrap();
    assert_eq!(
        known.iter().filter(|key| key.active).count(),
        1,
        "{known:?}"
    );
}

async fn what_was_refreshed_or_repaired_meanwhile_is_not_wrapped_back(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let stored = channels(&store, &clock, 3).await;
    let read = all_by_others(&store, "key-2").await;
    let repair = NewGrant {
        generation: Generation(2),
        sealed: testkit::sealed("repaired"),
        facts: testkit::facts(clock.now()),
        app_identity: None,
    };
    store.replace_grant(stored[0].uid, repair).await.unwrap();
    let first = wrapped_by("key-2", read[1].clone());
    store
        .store_rewrapped(Holding::Channels, vec![first.clone()])
        .await
        .unwrap();

    let rewrapped = read.into_iter().map(|it| wrapped_by("key-3", it));
    let count = store
        .store_rewrapped(Holding::Channels, rewrapped.collect())
        .await
        .unwrap();

    assert_eq!(count, 1);
    assert_eq!(
        sealed(&store, &stored[0]).await,
        testkit::sealed("repaired")
    );
    assert_eq!(sealed(&store, &stored[1]).await, first.after);
    assert_eq!(sealed(&store, &stored[2]).await.key_id, "key-3");
}

async fn a_round_finds_every_envelope_under_another_key_once(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let stored = channels(&store, &clock, 7).await;
    let read = all_by_others(&store, "key-2").await;
    let done = vec![wrapped_by("key-2", read[3].clone())];
    store
        .store_rewrapped(Holding::Channels, done)
        .await
        .unwrap();

    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let bite = store
            .sealed_by_others(Holding::Channels, "key-2", after, 2)
            .await
            .unwrap();
        let Some(last) = bite.last() else { break };
        after = Some(last.owner);
        found.extend(bite.into_iter().map(|it| it.owner));
    }

    let mut expected: Vec<_> = stored.iter().map(|channel| channel.uid.0).collect();
    expected.remove(3);
    assert_eq!(found, expected);
    let uses = [("key-1", 6), ("key-2", 1)].map(|(id, channels)| KeyUse {
        key_id: id.to_owned(),
        channels,
        webhooks: 0,
    });
    assert_eq!(store.key_uses().await.unwrap(), uses);
}

async fn a_rewrap_under_a_lease_leaves_the_lease_alone(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let channel = channels(&store, &clock, 1).await.remove(0);
    let lease = store.lease(testkit::lease_request(&channel)).await.unwrap();
    let LeaseOutcome::Leased(lease) = lease else {
        panic!("{lease:?}");
    };
    let read = all_by_others(&store, "key-2").await.remove(0);

    let rewrapped = vec![wrapped_by("key-2", read)];
    let count = store
        .store_rewrapped(Holding::Channels, rewrapped)
        .await
        .unwrap();
    let change = Change::Stored {
        sealed: testkit::sealed("second"),
        facts: testkit::facts(clock.now()),
    };
    let finished = store.finish(testkit::finish(&lease, "job", change)).await;

    assert_eq!((count, finished.unwrap()), (1, Finished::Stored));
    assert_eq!(sealed(&store, &channel).await, testkit::sealed("second"));
}

/// The fleet's transactions and the re-wrap touch the same rows; whoever comes
/// second must find the other's work, not undo half of it.
async fn a_refresh_and_a_rewrap_at_once_leave_an_envelope_with_its_own_key(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let stored = channels(&store, &clock, 40).await;

    let refreshing = stored.iter().map(|channel| {
        let (store, clock, channel) = (store.clone(), clock.clone(), channel.clone());
        tokio::spawn(async move { refresh(&store, &clock, &channel).await })
    });
    let refreshing: Vec<_> = refreshing.collect();
    for _ in 0..6 {
        let read = all_by_others(&store, "key-2").await;
        let rewrapped = read.into_iter().map(|it| wrapped_by("key-2", it));
        store
            .store_rewrapped(Holding::Channels, rewrapped.collect())
            .await
            .unwrap();
    }
    for one in refreshing {
        assert_eq!(one.await.unwrap(), Finished::Stored);
    }

    for SealedValue {
        sealed, generation, ..
    } in all_by_others(&store, "no key at all").await
    {
        assert_eq!(generation, Generation(2));
        let second = testkit::sealed("second");
        let wrapped = [b"key-2", &second.envelope[..]].concat();
        let expected = match sealed.key_id.as_str() {
            "key-1" => second.envelope,
            "key-2" => wrapped,
            other => panic!("{other}"),
        };
        assert_eq!(sealed.envelope, expected);
    }
}

/// Takes the lease, changes names under it, and stores the next credentials.
async fn refresh(store: &Store, clock: &TestClock, channel: &Channel) -> Finished {
    let lease = store.lease(testkit::lease_request(channel)).await.unwrap();
    let LeaseOutcome::Leased(lease) = lease else {
        panic!("{lease:?}");
    };
    let patch = store::ChannelPatch {
        display_name: Some("renamed".to_owned()),
        ..store::ChannelPatch::default()
    };
    store.patch_channel(channel.uid, patch).await.unwrap();
    let change = Change::Stored {
        sealed: testkit::sealed("second"),
        facts: testkit::facts(clock.now()),
    };
    let job = channel.uid.to_string();
    store
        .finish(testkit::finish(&lease, &job, change))
        .await
        .unwrap()
}

async fn a_key_goes_when_nothing_needs_it(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    two_keys(&store).await;
    store.active_key("k1").await.unwrap();
    channels(&store, &clock, 2).await;
    store.key_check("key-1", vec![1]).await.unwrap();
    let (old, new) = (
        process(&["key-1"], None),
        process(&["k1", "key-1"], Some("k1")),
    );
    store.register_process(old.clone()).await.unwrap();
    store.register_process(new).await.unwrap();

    let active = store.retire_key("k1").await.unwrap();
    let unknown = store.retire_key("k3").await.unwrap();
    let needed = store.retire_key("key-1").await.unwrap();
    store.forget_process(old.uid).await.unwrap();
    let read = all_by_others(&store, "k1").await;
    let rewrapped = read.into_iter().map(|it| wrapped_by("k1", it));
    store
        .store_rewrapped(Holding::Channels, rewrapped.collect())
        .await
        .unwrap();
    let retired = store.retire_key("key-1").await.unwrap();
    let back = store.activate_key("key-1").await.unwrap();

    let expected = Retirement::Needed {
        sealed: KeyUse {
            key_id: "key-1".to_owned(),
            channels: 2,
            webhooks: 0,
        },
        processes: vec![Process {
            info: old,
            started_at: clock.now(),
            seen_at: clock.now(),
        }],
    };
    assert_eq!(needed, expected);
    assert_eq!((active, unknown), (Retirement::Active, Retirement::Unknown));
    assert_eq!((retired, back), (Retirement::Retired, Activation::Retired));
    let known = store.known_keys().await.unwrap();
    let key = known.iter().find(|key| key.id == "key-1").unwrap();
    assert_eq!(key.retired_at, Some(clock.now()));
}

async fn the_first_key_wins(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;

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
        activated_at: Some(clock.now()),
        retired_at: None,
        check_value: None,
    };
    assert_eq!(store.known_keys().await.unwrap(), [known]);
}

async fn the_first_check_value_of_a_key_stays(database: Database) {
    let store = database.store().await;
    store.active_key("k1").await.unwrap();

    let first = store.key_check("k1", vec![1]).await.unwrap();
    let second = store.key_check("k1", vec![2]).await.unwrap();
    let other = store.key_check("k2", vec![3]).await.unwrap();

    assert_eq!((first, second, other), (vec![1], vec![1], vec![3]));
    assert_eq!(store.active_key("k2").await.unwrap(), "k1");
}
