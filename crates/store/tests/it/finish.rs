//! Outcomes: stored once, fenced when the lease was lost, told on transitions.

use std::time::Duration;

use domain::{
    AttemptOutcome, AttemptRecord, ChannelState, Clock as _, Details, ErrorClass, EventKind,
    Generation, JobTotals,
};
use entity::events;
use sea_orm::{EntityTrait as _, QueryOrder as _};
use store::{
    Change, Channel, ChannelPatch, Facts, Failure, Finish, Finished, LastError, Lease,
    LeaseOutcome, Store,
};
use testkit::{Database, TestClock};

testkit::each_database!(
    stored_credentials_make_the_channel_fresh,
    confirmed_credentials_keep_their_generation,
    a_failure_keeps_the_credentials,
    a_channel_without_a_due_time_is_probed_a_day_later,
    an_outcome_of_an_older_lease_is_fenced,
    an_outcome_of_an_older_generation_is_fenced,
    the_same_outcome_handed_in_twice_is_stored_once,
    a_going_channel_is_not_revived,
    a_paused_channel_stays_paused_with_its_new_credentials,
    the_end_of_a_job_fulfils_the_wish,
    only_transitions_are_told_unless_the_tenant_wants_every_refresh,
    many_outcomes_at_once_are_all_stored,
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

fn stored(facts: &Facts) -> Change {
    Change::Stored {
        sealed: testkit::sealed("second"),
        facts: facts.clone(),
    }
}

fn failed(error: &LastError, state: Option<(ChannelState, Option<String>)>) -> Change {
    Change::Failed(Failure {
        state,
        next_handout_at: Some(error.at.plus(HOUR)),
        error: error.clone(),
        counts_as_failure: true,
        no_answer: false,
    })
}

fn refusal(clock: &TestClock) -> LastError {
    LastError {
        class: ErrorClass::Retryable,
        in_a_row: 1,
        at: clock.now(),
        details: Details::because("unreachable"),
    }
}

fn failed_attempt(mut finish: Finish, ends_job: bool) -> Finish {
    finish.attempt.outcome = AttemptOutcome::Failed(ErrorClass::Retryable);
    finish.attempt.ends_job = ends_job;
    finish
}

async fn told(database: &Database) -> Vec<(String, serde_json::Value)> {
    let db = sea_orm::Database::connect(database.url()).await.unwrap();
    let events = events::Entity::find()
        .order_by_asc(events::Column::Uid)
        .all(&db)
        .await
        .unwrap();
    events
        .into_iter()
        .map(|event| (event.kind, event.payload.parse().unwrap()))
        .collect()
}

async fn stored_credentials_make_the_channel_fresh(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let first = lease(&store, &channel).await;
    let finish = testkit::finish(&first, "a", failed(&refusal(&clock), None));
    store.finish(failed_attempt(finish, false)).await.unwrap();
    let second = lease(&store, &channel).await;
    clock.advance(Duration::from_secs(2));
    let facts = Facts {
        external_id: Some("1789".to_owned()),
        refresh_expires_at: Some(clock.now().plus(48 * HOUR)),
        ..testkit::facts(clock.now().plus(HOUR))
    };

    let finish = testkit::finish(&second, "a", stored(&facts));
    let finished = store.finish(finish.clone()).await.unwrap();

    assert_eq!(finished, Finished::Stored);
    let expected = Channel {
        external_id: facts.external_id.clone(),
        generation: Generation(2),
        access_expires_at: facts.access_expires_at,
        refresh_expires_at: facts.refresh_expires_at,
        refresh_due_at: facts.refresh_due_at,
        next_handout_at: facts.refresh_due_at,
        last_refreshed_at: Some(clock.now()),
        failures: 0,
        last_error: None,
        updated_at: clock.now(),
        ..channel.clone()
    };
    assert_eq!(read(&store, &channel).await, expected);
    let result = store.job_result("a").await.unwrap();
    let expected = AttemptRecord {
        generation: Some(Generation(2)),
        new_expires_at: facts.access_expires_at,
        ..finish.attempt
    };
    assert_eq!(result, Some(expected));
    clock.advance(HOUR);
    let next = lease(&store, &read(&store, &channel).await).await;
    assert_eq!(next.sealed, testkit::sealed("second"));
}

async fn confirmed_credentials_keep_their_generation(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let lease = lease(&store, &channel).await;
    let facts = testkit::facts(clock.now().plus(HOUR));

    let change = Change::Confirmed {
        facts: facts.clone(),
    };
    store
        .finish(testkit::finish(&lease, "a", change))
        .await
        .unwrap();

    let expected = Channel {
        access_expires_at: facts.access_expires_at,
        refresh_due_at: facts.refresh_due_at,
        next_handout_at: facts.refresh_due_at,
        ..channel.clone()
    };
    assert_eq!(read(&store, &channel).await, expected);
}

async fn a_failure_keeps_the_credentials(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let lease = lease(&store, &channel).await;
    let error = refusal(&clock);

    let finish = testkit::finish(&lease, "a", failed(&error, None));
    store.finish(failed_attempt(finish, true)).await.unwrap();

    let expected = Channel {
        next_handout_at: Some(clock.now().plus(HOUR)),
        failures: 1,
        last_error: Some(error),
        ..channel.clone()
    };
    assert_eq!(read(&store, &channel).await, expected);
    let failed = JobTotals {
        failed: 1,
        ..JobTotals::default()
    };
    assert_eq!(store.job_totals(None).await.unwrap(), failed);
}

async fn a_channel_without_a_due_time_is_probed_a_day_later(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let lease = lease(&store, &channel).await;
    let facts = Facts {
        state: ChannelState::NeverExpires,
        access_expires_at: None,
        refresh_due_at: None,
        ..testkit::facts(clock.now())
    };

    let change = Change::Confirmed { facts };
    store
        .finish(testkit::finish(&lease, "a", change))
        .await
        .unwrap();

    let after = read(&store, &channel).await;
    assert_eq!(after.state, ChannelState::NeverExpires);
    assert_eq!(after.next_handout_at, Some(clock.now().plus(24 * HOUR)));
}

async fn an_outcome_of_an_older_lease_is_fenced(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let slow = lease(&store, &channel).await;
    clock.advance(HOUR);
    lease(&store, &channel).await;

    let facts = testkit::facts(clock.now().plus(HOUR));
    let finished = store
        .finish(testkit::finish(&slow, "slow", stored(&facts)))
        .await;

    let fenced = Finished::Fenced {
        generation: Generation(1),
        state: ChannelState::Active,
    };
    assert_eq!(finished.unwrap(), fenced);
    assert_eq!(read(&store, &channel).await, channel);
    let attempts = store.attempts_of_job("slow").await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert!(!attempts[0].ends_job && attempts[0].generation.is_none());
    assert_eq!(store.job_totals(None).await.unwrap(), JobTotals::default());
}

async fn an_outcome_of_an_older_generation_is_fenced(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let lease = lease(&store, &channel).await;
    let grant = store::NewGrant {
        generation: Generation(2),
        sealed: testkit::sealed("repaired"),
        facts: testkit::facts(clock.now().plus(HOUR)),
        app_identity: None,
    };
    let repaired = store.replace_grant(channel.uid, grant).await.unwrap();

    let facts = testkit::facts(clock.now().plus(2 * HOUR));
    let finished = store
        .finish(testkit::finish(&lease, "a", stored(&facts)))
        .await;

    let fenced = Finished::Fenced {
        generation: Generation(2),
        state: ChannelState::Active,
    };
    assert_eq!(finished.unwrap(), fenced);
    assert_eq!(Some(read(&store, &channel).await), repaired);
}

async fn the_same_outcome_handed_in_twice_is_stored_once(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let lease = lease(&store, &channel).await;
    let finish = testkit::finish(&lease, "a", failed(&refusal(&clock), None));
    let finish = failed_attempt(finish, true);

    let first = store.finish(finish.clone()).await.unwrap();
    let again = store.finish(finish).await.unwrap();

    assert_eq!([first, again], [Finished::Stored, Finished::Stored]);
    assert_eq!(read(&store, &channel).await.failures, 1);
    assert_eq!(store.job_totals(None).await.unwrap().failed, 1);
    assert_eq!(store.attempts_of_job("a").await.unwrap().len(), 1);
}

async fn a_going_channel_is_not_revived(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let held = lease(&store, &channel).await;
    store.delete_channel(channel.uid).await.unwrap();
    assert_eq!(store.remove_deleted(&[channel.uid]).await.unwrap(), 0);

    let facts = testkit::facts(clock.now().plus(HOUR));
    let finish = testkit::finish(&held, "a", stored(&facts));
    let going = store.finish(finish.clone()).await.unwrap();
    let removed = store.remove_deleted(&[channel.uid]).await.unwrap();
    let gone = store.finish(finish).await.unwrap();

    let fenced = Finished::Fenced {
        generation: Generation(1),
        state: ChannelState::Deleting,
    };
    assert_eq!((going, removed, gone), (fenced, 1, Finished::Gone));
    assert_eq!(store.attempts_of_job("a").await.unwrap(), []);
}

async fn a_paused_channel_stays_paused_with_its_new_credentials(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let lease = lease(&store, &channel).await;
    let paused = |paused| ChannelPatch {
        paused: Some(paused),
        ..ChannelPatch::default()
    };
    store
        .patch_channel(channel.uid, paused(true))
        .await
        .unwrap();

    let facts = testkit::facts(clock.now().plus(HOUR));
    let finished = store
        .finish(testkit::finish(&lease, "a", stored(&facts)))
        .await;

    assert_eq!(finished.unwrap(), Finished::Stored);
    let after = read(&store, &channel).await;
    assert_eq!(
        (after.state, after.generation),
        (ChannelState::Paused, Generation(2))
    );
    assert_eq!(store.take_due(9).await.unwrap(), []);
    let resumed = store.patch_channel(channel.uid, paused(false)).await;
    assert_eq!(
        resumed.unwrap().map(|c| c.state),
        Some(ChannelState::Active)
    );
}

async fn the_end_of_a_job_fulfils_the_wish(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let wished = || async {
        clock.advance(HOUR);
        let due = store.take_due(1).await.unwrap();
        due[0].request_job_id.clone()
    };
    let wish = || store.request_refresh(channel.uid, None, "a");

    wish().await.unwrap();
    let held = lease(&store, &channel).await;
    let finish = testkit::finish(&held, "a", failed(&refusal(&clock), None));
    store.finish(failed_attempt(finish, false)).await.unwrap();
    let after_a_try = wished().await;
    let held = lease(&store, &channel).await;
    let finish = testkit::finish(&held, "a", failed(&refusal(&clock), None));
    store.finish(failed_attempt(finish, true)).await.unwrap();
    let after_the_job = wished().await;
    wish().await.unwrap();
    store
        .record(testkit::attempt(&channel, "other"))
        .await
        .unwrap();
    let after_another_job = wished().await;
    let mut end = testkit::attempt(&channel, "a");
    end.attempt = 0;
    store.record(end).await.unwrap();

    assert_eq!(after_a_try.as_deref(), Some("a"));
    assert_eq!(after_the_job, None);
    assert_eq!(after_another_job.as_deref(), Some("a"));
}

async fn only_transitions_are_told_unless_the_tenant_wants_every_refresh(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let facts = || testkit::facts(clock.now());
    let error = refusal(&clock);
    let stuck = |state, reason: &str| failed(&error, Some((state, Some(reason.to_owned()))));

    let changes = [
        stored(&facts()),
        stuck(ChannelState::Error, "unknown_answer"),
        stuck(ChannelState::Error, "unknown_answer"),
        stored(&facts()),
        stuck(ChannelState::NeedsReauth, "revoked"),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let lease = lease(&store, &read(&store, &channel).await).await;
        let finish = testkit::finish(&lease, &format!("job-{index}"), change);
        assert_eq!(store.finish(finish).await.unwrap(), Finished::Stored);
    }
    testkit::endpoint(&store, channel.tenant, &[EventKind::Refreshed]).await;
    let grant = store::NewGrant {
        generation: Generation(4),
        sealed: testkit::sealed("repaired"),
        facts: facts(),
        app_identity: None,
    };
    store.replace_grant(channel.uid, grant).await.unwrap();
    let lease = lease(&store, &read(&store, &channel).await).await;
    let finish = testkit::finish(&lease, "last", stored(&facts()));
    store.finish(finish).await.unwrap();

    let told = told(&database).await;
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "channel.error",
            "channel.recovered",
            "channel.needs_reauth",
            "channel.recovered",
            "channel.refreshed",
        ]
    );
    let expected = serde_json::json!({
        "channel_id": channel.id,
        "provider": "tiktok",
        "state": "needs_reauth",
        "reason": "revoked",
        "generation": 3,
        "expires_at": clock.now(),
    });
    assert_eq!(told[2].1, expected);
}

async fn many_outcomes_at_once_are_all_stored(database: Database) {
    let clock = TestClock::start();
    let stores = [
        database.store_at(&clock).await,
        database.store_at(&clock).await,
    ];
    let tenant = testkit::tenant(&stores[0]).await;
    let new = (0..400).map(|_| testkit::channel(tenant.uid, clock.now()));
    let channels = testkit::channels(&stores[0], new.collect()).await;
    let facts = testkit::facts(clock.now().plus(HOUR));

    let workers = channels.into_iter().enumerate().map(|(index, channel)| {
        let store = stores[index % 2].clone();
        let change = stored(&facts);
        tokio::spawn(async move {
            let lease = lease(&store, &channel).await;
            let finish = testkit::finish(&lease, &channel.uid.to_string(), change);
            store.finish(finish).await.unwrap()
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        assert_eq!(worker.await.unwrap(), Finished::Stored);
    }

    let totals = stores[0].job_totals(Some(tenant.uid)).await.unwrap();
    assert_eq!(totals.completed, 400);
    assert_eq!(stores[0].take_due(500).await.unwrap(), []);
}
