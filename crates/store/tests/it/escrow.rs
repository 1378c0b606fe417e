//! Answers that come late: stored if they still fit.

use std::time::Duration;

use domain::{ChannelState, Clock as _, Generation, reason};
use store::{
    Change, Channel, Escrow, Failure, Finished, LastError, Lease, LeaseOutcome, NewGrant, Restored,
    Store,
};
use testkit::{Database, TestClock};

testkit::each_database!(
    a_late_answer_that_still_fits_brings_its_channel_back,
    a_late_answer_waits_for_a_later_request_and_gives_way_to_its_answer,
    a_late_answer_is_stored_under_the_lease_of_who_found_it,
    a_late_answer_counts_once_however_often_it_is_handed_in,
    a_repair_by_a_person_makes_a_late_answer_outdated,
    a_late_answer_for_a_deleted_channel_is_dropped,
);

const HOUR: Duration = Duration::from_hours(1);

async fn setting(database: &Database) -> (Store, TestClock, Channel) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let new = testkit::channel(tenant.uid, clock.now());
    let channel = testkit::channels(&store, vec![new]).await.remove(0);
    (store, clock, channel)
}

async fn lease(store: &Store, channel: &Channel) -> Lease {
    match store.lease(testkit::lease_request(channel)).await.unwrap() {
        LeaseOutcome::Leased(lease) => *lease,
        other => panic!("not leased: {other:?}"),
    }
}

async fn read(store: &Store, channel: &Channel) -> Channel {
    let found = store.channel_by_uid(channel.uid).await.unwrap();
    found.expect("it exists")
}

/// What a worker keeps of an answer under this lease.
fn kept(lease: &Lease, clock: &TestClock, job: &str) -> Escrow {
    let change = Change::Stored {
        sealed: testkit::sealed("late"),
        facts: testkit::facts(clock.now().plus(24 * HOUR)),
    };
    let finish = testkit::finish(lease, job, change);
    Escrow::of(&finish, lease).expect("it brought credentials")
}

/// The successor got the refusal that a spent refresh token gets.
async fn given_up(store: &Store, clock: &TestClock, lease: &Lease) {
    let lost = reason::POSSIBLY_LOST_ROTATION.to_owned();
    let change = Change::Failed(Failure {
        state: Some((ChannelState::NeedsReauth, Some(lost))),
        next_handout_at: None,
        error: LastError {
            class: domain::ErrorClass::ReauthRequired,
            in_a_row: 1,
            at: clock.now(),
            details: domain::Details::default(),
        },
        counts_as_failure: true,
        no_answer: false,
    });
    let mut finish = testkit::finish(lease, "successor", change);
    finish.attempt.outcome = domain::AttemptOutcome::Failed(domain::ErrorClass::ReauthRequired);
    assert_eq!(store.finish(finish).await.unwrap(), Finished::Stored);
}

async fn a_late_answer_that_still_fits_brings_its_channel_back(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let paused = lease(&store, &channel).await;
    let escrow = kept(&paused, &clock, "job");
    clock.advance(HOUR);
    let successor = lease(&store, &channel).await;
    given_up(&store, &clock, &successor).await;
    assert_eq!(
        read(&store, &channel).await.state,
        ChannelState::NeedsReauth
    );

    let restored = store.restore(escrow, None).await.unwrap();

    let channel = read(&store, &channel).await;
    assert_eq!(restored, Restored::Stored);
    assert_eq!(channel.state, ChannelState::Active);
    assert_eq!(channel.generation, Generation(2));
    assert_eq!(channel.failures, 0);
}

async fn a_late_answer_waits_for_a_later_request_and_gives_way_to_its_answer(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let paused = lease(&store, &channel).await;
    let escrow = kept(&paused, &clock, "job");
    clock.advance(HOUR);
    let successor = lease(&store, &channel).await;

    let meanwhile = store.restore(escrow.clone(), None).await.unwrap();
    clock.advance(HOUR);
    let silent = store.restore(escrow.clone(), None).await.unwrap();
    let change = Change::Stored {
        sealed: testkit::sealed("successor"),
        facts: testkit::facts(clock.now().plus(HOUR)),
    };
    let finish = testkit::finish(&successor, "job", change);
    store.finish(finish).await.unwrap();
    let afterwards = store.restore(escrow, None).await.unwrap();

    assert_eq!(
        meanwhile,
        Restored::Held {
            until: successor.until
        }
    );
    assert!(matches!(silent, Restored::Held { until } if until > clock.now()));
    assert_eq!(afterwards, Restored::Outdated);
    assert_eq!(read(&store, &channel).await.generation, Generation(2));
}

async fn a_late_answer_is_stored_under_the_lease_of_who_found_it(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let dead = lease(&store, &channel).await;
    let escrow = kept(&dead, &clock, "job");
    clock.advance(HOUR);
    let finder = lease(&store, &channel).await;

    let restored = store.restore(escrow, Some(finder.epoch)).await.unwrap();

    let change = Change::Stored {
        sealed: testkit::sealed("asked anew"),
        facts: testkit::facts(clock.now().plus(HOUR)),
    };
    let late = store.finish(testkit::finish(&finder, "b", change)).await;
    assert_eq!(restored, Restored::Stored);
    assert!(matches!(
        late.unwrap(),
        Finished::Fenced {
            generation: Generation(2),
            ..
        }
    ));
}

async fn a_late_answer_counts_once_however_often_it_is_handed_in(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let leased = lease(&store, &channel).await;
    let escrow = kept(&leased, &clock, "job");

    let first = store.restore(escrow.clone(), None).await.unwrap();
    let second = store.restore(escrow, None).await.unwrap();

    let totals = store.job_totals(Some(channel.tenant)).await.unwrap();
    assert_eq!((first, second), (Restored::Stored, Restored::Outdated));
    assert_eq!(totals.completed, 1);
    let result = store.job_result("job").await.unwrap().expect("it ended");
    assert_eq!(result.generation, Some(Generation(2)));
}

async fn a_repair_by_a_person_makes_a_late_answer_outdated(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let leased = lease(&store, &channel).await;
    let escrow = kept(&leased, &clock, "job");
    let grant = NewGrant {
        generation: channel.generation.next(),
        sealed: testkit::sealed("repaired"),
        facts: testkit::facts(clock.now().plus(HOUR)),
        app_identity: None,
    };
    store.replace_grant(channel.uid, grant).await.unwrap();

    let restored = store.restore(escrow, None).await.unwrap();

    assert_eq!(restored, Restored::Outdated);
}

async fn a_late_answer_for_a_deleted_channel_is_dropped(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let leased = lease(&store, &channel).await;
    let escrow = kept(&leased, &clock, "job");
    store.delete_channel(channel.uid).await.unwrap();

    let restored = store.restore(escrow, None).await.unwrap();

    assert_eq!(restored, Restored::Gone);
}
