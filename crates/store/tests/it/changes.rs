//! What people change: names, pauses, repairs, deletion.

use std::time::Duration;

use domain::{ChannelState, ChannelUid, Clock as _, Details, ErrorClass, Generation, Name};
use store::{
    Change, Channel, ChannelPatch, Facts, Failure, LastError, LeaseOutcome, NewGrant, Store,
};
use testkit::{Database, TestClock};

testkit::each_database!(
    names_are_changed_and_taken_away,
    a_resumed_channel_is_looked_at_at_once,
    a_channel_that_needed_a_person_needs_one_again_after_a_pause,
    a_channel_that_never_expires_still_does_not_after_a_pause,
    pausing_twice_changes_nothing,
    a_repair_wins_over_a_refresh_that_is_under_way,
    a_repair_for_another_generation_is_refused,
    a_deleted_name_is_free_at_once,
    a_deleted_channel_is_nowhere_to_be_seen,
    a_deleted_channel_goes_with_its_history_when_its_lease_is_over,
);

const HOUR: Duration = Duration::from_hours(1);

async fn setting(database: &Database) -> (Store, TestClock, Channel) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let channel = one_channel(&store, &clock, |_| {}).await;
    (store, clock, channel)
}

async fn one_channel(store: &Store, clock: &TestClock, change: impl FnOnce(&mut Facts)) -> Channel {
    let tenant = testkit::tenant(store).await;
    let mut new = testkit::channel(tenant.uid, clock.now().plus(HOUR));
    change(&mut new.facts);
    testkit::channels(store, vec![new]).await.remove(0)
}

fn paused(paused: bool) -> ChannelPatch {
    ChannelPatch {
        paused: Some(paused),
        ..ChannelPatch::default()
    }
}

async fn patch(store: &Store, channel: &Channel, patch: ChannelPatch) -> Channel {
    let patched = store.patch_channel(channel.uid, patch).await.unwrap();
    patched.expect("it exists")
}

fn repair(clock: &TestClock, generation: i64) -> NewGrant {
    NewGrant {
        generation: Generation(generation),
        sealed: testkit::sealed("repaired"),
        facts: testkit::facts(clock.now().plus(2 * HOUR)),
        app_identity: Some("own key".to_owned()),
    }
}

async fn names_are_changed_and_taken_away(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    clock.advance(HOUR);

    let named = ChannelPatch {
        display_name: Some("Tienda".to_owned()),
        local_name: Some(Some("shop-1".to_owned())),
        paused: None,
    };
    let named = patch(&store, &channel, named).await;
    let taken_away = ChannelPatch {
        local_name: Some(None),
        ..ChannelPatch::default()
    };
    let unnamed = patch(&store, &channel, taken_away).await;
    let unknown = store
        .patch_channel(ChannelUid::generate(), paused(true))
        .await;

    let expected = Channel {
        display_name: "Tienda".to_owned(),
        local_name: Some("shop-1".to_owned()),
        updated_at: clock.now(),
        ..channel.clone()
    };
    assert_eq!(named, expected);
    assert_eq!(
        (unnamed.display_name.as_str(), unnamed.local_name),
        ("Tienda", None)
    );
    assert_eq!(unknown.unwrap(), None);
}

async fn a_resumed_channel_is_looked_at_at_once(database: Database) {
    let (store, clock, channel) = setting(&database).await;

    let stopped = patch(&store, &channel, paused(true)).await;
    clock.advance(Duration::from_secs(1));
    let resumed = patch(&store, &channel, paused(false)).await;

    assert_eq!(stopped.state, ChannelState::Paused);
    let expected = Channel {
        next_handout_at: Some(clock.now()),
        updated_at: clock.now(),
        ..channel
    };
    assert_eq!(resumed, expected);
}

async fn a_channel_that_needed_a_person_needs_one_again_after_a_pause(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let channel = one_channel(&store, &clock, |facts| {
        facts.state = ChannelState::NeedsReauth;
        facts.reason = Some("revoked".to_owned());
    });
    let channel = channel.await;

    let stopped = patch(&store, &channel, paused(true)).await;
    let resumed = patch(&store, &channel, paused(false)).await;

    assert_eq!(stopped.reason.as_deref(), Some("revoked"));
    assert_eq!(resumed, channel);
}

async fn a_channel_that_never_expires_still_does_not_after_a_pause(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let channel = one_channel(&store, &clock, |facts| {
        facts.state = ChannelState::NeverExpires;
        facts.access_expires_at = None;
        facts.refresh_due_at = None;
    });
    let channel = channel.await;

    patch(&store, &channel, paused(true)).await;
    let resumed = patch(&store, &channel, paused(false)).await;

    assert_eq!(resumed.state, ChannelState::NeverExpires);
    assert_eq!(resumed.next_handout_at, Some(clock.now()));
}

async fn pausing_twice_changes_nothing(database: Database) {
    let (store, _, channel) = setting(&database).await;

    let resumed = patch(&store, &channel, paused(false)).await;
    let once = patch(&store, &channel, paused(true)).await;
    let twice = patch(&store, &channel, paused(true)).await;
    let back = patch(&store, &channel, paused(false)).await;

    assert_eq!(resumed, channel);
    assert_eq!(once, twice);
    assert_eq!(back.state, ChannelState::Active);
}

async fn a_repair_wins_over_a_refresh_that_is_under_way(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let request = testkit::lease_request(&channel);
    let LeaseOutcome::Leased(lease) = store.lease(request.clone()).await.unwrap() else {
        panic!("it is free");
    };
    let error = LastError {
        class: ErrorClass::ReauthRequired,
        in_a_row: 1,
        at: clock.now(),
        details: Details::because("revoked"),
    };
    let change = Change::Failed(Failure {
        state: Some((ChannelState::NeedsReauth, Some("revoked".to_owned()))),
        next_handout_at: None,
        error,
        counts_as_failure: true,
        no_answer: false,
    });
    store
        .finish(testkit::finish(&lease, "a", change))
        .await
        .unwrap();

    let repaired = store.replace_grant(channel.uid, repair(&clock, 2)).await;

    let facts = repair(&clock, 2).facts;
    let expected = Channel {
        app_identity: "own key".to_owned(),
        generation: Generation(2),
        access_expires_at: facts.access_expires_at,
        refresh_due_at: facts.refresh_due_at,
        next_handout_at: facts.refresh_due_at,
        last_refreshed_at: Some(clock.now()),
        ..channel
    };
    assert_eq!(repaired.unwrap(), Some(expected.clone()));
    clock.advance(2 * HOUR);
    let LeaseOutcome::Leased(next) = store.lease(request).await.unwrap() else {
        panic!("the repair cleared the lease");
    };
    assert_eq!(
        (next.sealed, next.open_intent, next.epoch),
        (testkit::sealed("repaired"), None, lease.epoch + 2)
    );
}

async fn a_repair_for_another_generation_is_refused(database: Database) {
    let (store, clock, channel) = setting(&database).await;

    let refused = store.replace_grant(channel.uid, repair(&clock, 3)).await;

    assert_eq!(refused.unwrap(), None);
    assert_eq!(
        store.channel_by_uid(channel.uid).await.unwrap(),
        Some(channel)
    );
}

async fn a_deleted_name_is_free_at_once(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let mut again = testkit::channel(channel.tenant, clock.now());
    again.id = channel.id.clone();

    assert!(store.delete_channel(channel.uid).await.unwrap());

    assert!(!store.delete_channel(channel.uid).await.unwrap());
    let again = testkit::channels(&store, vec![again]).await.remove(0);
    let found = store.channel(channel.tenant, &channel.id).await.unwrap();
    assert_eq!(found, Some(again));
}

async fn a_deleted_channel_is_nowhere_to_be_seen(database: Database) {
    let (store, _, channel) = setting(&database).await;
    let tenant = channel.tenant;
    store.delete_channel(channel.uid).await.unwrap();

    let page = store
        .channels(
            tenant,
            &store::ChannelFilter::default(),
            store::PageRequest::default(),
        )
        .await
        .unwrap();

    assert_eq!(page.items, []);
    assert_eq!(store.channel_by_uid(channel.uid).await.unwrap(), None);
    let id: Name = channel.id.clone();
    assert_eq!(store.channels_named(tenant, &[id]).await.unwrap(), []);
    let soon = store.needing_refresh(tenant, 10 * HOUR, None).await;
    assert_eq!(soon.unwrap(), []);
    assert_eq!(store.due_for_batch(tenant).await.unwrap(), []);
    assert_eq!(store.statistics(tenant).await.unwrap().total_channels, 0);
    let patched = store.patch_channel(channel.uid, paused(true)).await;
    assert_eq!(patched.unwrap(), None);
    assert!(!store.request_refresh(channel.uid, None, "a").await.unwrap());
}

async fn a_deleted_channel_goes_with_its_history_when_its_lease_is_over(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    store.record(testkit::attempt(&channel, "a")).await.unwrap();
    let living = one_channel(&store, &clock, |_| {}).await;
    store.lease(testkit::lease_request(&channel)).await.unwrap();
    store.delete_channel(channel.uid).await.unwrap();
    let both = [living.uid, channel.uid];

    let too_early = store.remove_deleted(&both).await.unwrap();
    clock.advance(Duration::from_secs(90));
    let removed = store.remove_deleted(&both).await.unwrap();

    assert_eq!((too_early, removed), (0, 1));
    assert_eq!(store.job_result("a").await.unwrap(), None);
    assert_eq!(store.job_totals(None).await.unwrap().completed, 1);
    assert_eq!(
        store.channel_by_uid(living.uid).await.unwrap(),
        Some(living)
    );
}
