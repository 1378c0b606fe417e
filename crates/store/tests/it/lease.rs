//! Who may refresh a channel, and until when.

use std::time::Duration;

use domain::{
    ChannelState, ChannelUid, Clock as _, Details, ErrorClass, Generation, ProcessUid, Timestamp,
};
use store::{
    Change, Channel, ChannelPatch, Failure, Finished, Intent, LastError, Lease, LeaseOutcome,
    LeaseRequest, Store,
};
use testkit::{Database, TestClock};

testkit::each_database!(
    a_lease_brings_the_credentials_and_writes_the_intent,
    of_many_callers_one_gets_the_lease,
    a_channel_that_is_gone_or_going_is_not_leased,
    a_channel_in_the_wrong_state_is_not_leased,
    a_job_for_an_older_generation_is_superseded_unless_the_channel_is_due_again,
    without_rotation_the_end_of_the_lease_is_enough,
    with_rotation_a_silent_owner_is_respected_for_the_grace,
    with_rotation_a_token_near_its_end_is_taken_over_earlier,
    a_dead_owner_is_not_waited_for_longer_than_his_request_took,
    proof_of_somebody_elses_death_proves_nothing,
    after_no_answer_the_next_one_may_try_at_once_and_is_told,
    a_released_lease_leaves_nothing_open,
    a_possible_loss_stays_open_until_the_provider_accepts_again,
    a_renewed_lease_lasts_longer,
    a_lost_lease_is_not_renewed,
);

const MINUTE: Duration = Duration::from_mins(1);
const TTL: Duration = Duration::from_secs(90);

async fn one_channel(store: &Store, ends: Timestamp) -> Channel {
    let tenant = testkit::tenant(store).await;
    let new = testkit::channel(tenant.uid, ends);
    testkit::channels(store, vec![new]).await.remove(0)
}

async fn setting(database: &Database) -> (Store, TestClock, Channel) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let channel = one_channel(&store, clock.now().plus(120 * MINUTE)).await;
    (store, clock, channel)
}

async fn leased(store: &Store, request: LeaseRequest) -> Lease {
    match store.lease(request).await.unwrap() {
        LeaseOutcome::Leased(lease) => *lease,
        other => panic!("not leased: {other:?}"),
    }
}

/// Until when a second process is held off, and by whom.
async fn held(store: &Store, request: LeaseRequest) -> (Timestamp, Option<ProcessUid>) {
    match store.lease(request).await.unwrap() {
        LeaseOutcome::Held { until, owner } => (until, owner),
        other => panic!("not held: {other:?}"),
    }
}

fn not_rotating(channel: &Channel) -> LeaseRequest {
    LeaseRequest {
        rotating: false,
        ..testkit::lease_request(channel)
    }
}

fn failure(at: Timestamp, no_answer: bool) -> Change {
    Change::Failed(Failure {
        state: None,
        next_handout_at: None,
        error: LastError {
            class: ErrorClass::Retryable,
            in_a_row: 1,
            at,
            details: Details::default(),
        },
        counts_as_failure: false,
        no_answer,
    })
}

async fn a_lease_brings_the_credentials_and_writes_the_intent(database: Database) {
    let (store, clock, channel) = setting(&database).await;

    let lease = leased(&store, testkit::lease_request(&channel)).await;

    let expected = Lease {
        channel,
        sealed: testkit::sealed("first"),
        epoch: 1,
        leased_at: clock.now(),
        until: clock.now().plus(TTL),
        open_intent: None,
        tells_refreshes: false,
    };
    assert_eq!(lease, expected);
}

async fn of_many_callers_one_gets_the_lease(database: Database) {
    let clock = TestClock::start();
    let stores = [
        database.store_at(&clock).await,
        database.store_at(&clock).await,
    ];
    let channel = one_channel(&stores[0], clock.now()).await;

    let callers = (0..40).map(|index| {
        let store = stores[index % 2].clone();
        let request = testkit::lease_request(&channel);
        tokio::spawn(async move { store.lease(request).await.unwrap() })
    });
    let mut winners = 0;
    for caller in callers.collect::<Vec<_>>() {
        match caller.await.unwrap() {
            LeaseOutcome::Leased(_) => winners += 1,
            LeaseOutcome::Held { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    assert_eq!(winners, 1);
}

async fn a_channel_that_is_gone_or_going_is_not_leased(database: Database) {
    let (store, _, channel) = setting(&database).await;
    store.delete_channel(channel.uid).await.unwrap();

    let going = store.lease(testkit::lease_request(&channel)).await;
    let mut request = testkit::lease_request(&channel);
    request.channel = ChannelUid::generate();
    let gone = store.lease(request).await;

    assert_eq!(going.unwrap(), LeaseOutcome::Gone);
    assert_eq!(gone.unwrap(), LeaseOutcome::Gone);
}

async fn a_channel_in_the_wrong_state_is_not_leased(database: Database) {
    let (store, _, channel) = setting(&database).await;
    let pause = ChannelPatch {
        paused: Some(true),
        ..ChannelPatch::default()
    };
    store.patch_channel(channel.uid, pause).await.unwrap();

    let outcome = store.lease(testkit::lease_request(&channel)).await;

    let expected = LeaseOutcome::Ineligible {
        state: ChannelState::Paused,
        reason: None,
        generation: Generation(1),
        access_expires_at: channel.access_expires_at,
    };
    assert_eq!(outcome.unwrap(), expected);
}

async fn a_job_for_an_older_generation_is_superseded_unless_the_channel_is_due_again(
    database: Database,
) {
    let (store, clock, channel) = setting(&database).await;
    let lease = leased(&store, testkit::lease_request(&channel)).await;
    let facts = testkit::facts(clock.now().plus(60 * MINUTE));
    let change = Change::Stored {
        sealed: testkit::sealed("second"),
        facts: facts.clone(),
    };
    store
        .finish(testkit::finish(&lease, "job", change))
        .await
        .unwrap();

    let fresh = store.lease(testkit::lease_request(&channel)).await;
    clock.set(facts.refresh_due_at.expect("it has one"));
    let due = store.lease(testkit::lease_request(&channel)).await;

    let superseded = LeaseOutcome::Superseded {
        generation: Generation(2),
        access_expires_at: facts.access_expires_at,
    };
    assert_eq!(fresh.unwrap(), superseded);
    assert!(matches!(due.unwrap(), LeaseOutcome::Leased(_)));
}

async fn without_rotation_the_end_of_the_lease_is_enough(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let first = not_rotating(&channel);
    let lease = leased(&store, first.clone()).await;

    let before = held(&store, not_rotating(&channel)).await;
    clock.set(lease.until);
    let after = leased(&store, not_rotating(&channel)).await;

    assert_eq!(before, (lease.until, Some(first.owner)));
    assert_eq!(after.epoch, lease.epoch + 1);
    let open = after
        .open_intent
        .expect("nobody knows what the first one did");
    assert_eq!((open.owner, open.no_answer), (first.owner, false));
}

async fn with_rotation_a_silent_owner_is_respected_for_the_grace(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let first = testkit::lease_request(&channel);
    let lease = leased(&store, first.clone()).await;
    let takeover = lease.leased_at.plus(10 * MINUTE);

    let during = held(&store, testkit::lease_request(&channel)).await;
    clock.set(lease.until);
    let after = held(&store, testkit::lease_request(&channel)).await;
    clock.set(takeover);
    let taken = leased(&store, testkit::lease_request(&channel)).await;

    assert_eq!(during, (takeover, Some(first.owner)));
    assert_eq!(after, (takeover, Some(first.owner)));
    let expected = Intent {
        job_id: first.job_id,
        attempt: 1,
        owner: first.owner,
        started_at: lease.leased_at,
        generation: Generation(1),
        fingerprint: testkit::sealed("first").fingerprint,
        no_answer: false,
    };
    assert_eq!(taken.open_intent, Some(expected));
}

async fn with_rotation_a_token_near_its_end_is_taken_over_earlier(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    // (the token ends in so many minutes, it is taken over after so many seconds)
    for (ends, takeover) in [(60, 600), (12, 420), (6, 90), (0, 90)] {
        let channel = one_channel(&store, clock.now().plus(MINUTE * ends)).await;
        leased(&store, testkit::lease_request(&channel)).await;

        let (until, _) = held(&store, testkit::lease_request(&channel)).await;

        assert_eq!(until.since(clock.now()).as_secs(), takeover, "{ends} min");
    }
}

async fn a_dead_owner_is_not_waited_for_longer_than_his_request_took(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let first = testkit::lease_request(&channel);
    let lease = leased(&store, first.clone()).await;
    let proven = |request: LeaseRequest| LeaseRequest {
        dead_owner: Some(first.owner),
        ..request
    };

    let rotating = held(&store, proven(testkit::lease_request(&channel))).await;
    clock.advance(Duration::from_secs(30));
    let second = leased(&store, proven(testkit::lease_request(&channel))).await;

    let answered_by = lease.leased_at.plus(Duration::from_secs(30));
    assert_eq!(rotating, (answered_by, Some(first.owner)));
    assert!(second.open_intent.is_some());

    let other = one_channel(&store, clock.now()).await;
    let mut first = first.clone();
    first.channel = other.uid;
    first.rotating = false;
    leased(&store, first.clone()).await;
    leased(&store, proven(not_rotating(&other))).await;
}

async fn proof_of_somebody_elses_death_proves_nothing(database: Database) {
    let (store, _, channel) = setting(&database).await;
    let lease = leased(&store, not_rotating(&channel)).await;

    let mut request = not_rotating(&channel);
    request.dead_owner = Some(ProcessUid::generate());
    let (until, _) = held(&store, request).await;

    assert_eq!(until, lease.until);
}

async fn after_no_answer_the_next_one_may_try_at_once_and_is_told(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let first = testkit::lease_request(&channel);
    let lease = leased(&store, first.clone()).await;
    let change = failure(clock.now(), true);
    store
        .finish(testkit::finish(&lease, "job", change))
        .await
        .unwrap();

    let next = leased(&store, testkit::lease_request(&channel)).await;

    let open = next.open_intent.expect("the request may have arrived");
    assert_eq!((open.owner, open.no_answer), (first.owner, true));
}

async fn a_released_lease_leaves_nothing_open(database: Database) {
    let (store, _, channel) = setting(&database).await;
    let lease = leased(&store, testkit::lease_request(&channel)).await;

    assert!(store.release(channel.uid, lease.epoch).await.unwrap());

    assert!(!store.release(channel.uid, lease.epoch).await.unwrap());
    let next = leased(&store, testkit::lease_request(&channel)).await;
    assert_eq!((next.epoch, next.open_intent), (2, None));
    assert!(store.attempts_of_job("job").await.unwrap().is_empty());
}

async fn a_possible_loss_stays_open_until_the_provider_accepts_again(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let lost = testkit::lease_request(&channel);
    leased(&store, lost.clone()).await;
    clock.advance(10 * MINUTE);

    // Taken over, given back unsent, refused for another reason: it is still not known.
    let lease = leased(&store, testkit::lease_request(&channel)).await;
    store.release(channel.uid, lease.epoch).await.unwrap();
    let lease = leased(&store, testkit::lease_request(&channel)).await;
    let change = failure(clock.now(), false);
    store
        .finish(testkit::finish(&lease, "a", change))
        .await
        .unwrap();
    let lease = leased(&store, testkit::lease_request(&channel)).await;
    let still_open = lease.open_intent.clone();
    let change = Change::Confirmed {
        facts: testkit::facts(clock.now()),
    };
    let finished = store.finish(testkit::finish(&lease, "b", change)).await;
    let next = leased(&store, testkit::lease_request(&channel)).await;

    assert_eq!(still_open.map(|open| open.owner), Some(lost.owner));
    assert_eq!(finished.unwrap(), Finished::Stored);
    assert_eq!(next.open_intent, None);
}

async fn a_renewed_lease_lasts_longer(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let lease = leased(&store, not_rotating(&channel)).await;
    clock.advance(MINUTE);

    let until = store.renew_lease(channel.uid, lease.epoch, TTL).await;

    let until = until.unwrap();
    assert_eq!(until, Some(clock.now().plus(TTL)));
    assert_eq!(Some(held(&store, not_rotating(&channel)).await.0), until);
    // Nobody took it: it can be had back even after its end.
    clock.advance(10 * TTL);
    let late = store.renew_lease(channel.uid, lease.epoch, TTL).await;
    assert!(late.unwrap().is_some());
}

async fn a_lost_lease_is_not_renewed(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let lease = leased(&store, not_rotating(&channel)).await;
    clock.set(lease.until);
    let second = leased(&store, not_rotating(&channel)).await;

    let taken_over = store.renew_lease(channel.uid, lease.epoch, TTL).await;
    store.release(channel.uid, second.epoch).await.unwrap();
    let given_back = store.renew_lease(channel.uid, second.epoch, TTL).await;
    let third = leased(&store, not_rotating(&channel)).await;
    store.delete_channel(channel.uid).await.unwrap();
    let going = store.renew_lease(channel.uid, third.epoch, TTL).await;

    for answer in [taken_over, given_back, going] {
        assert_eq!(answer.unwrap(), None);
    }
}
