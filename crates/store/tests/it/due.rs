//! What is due: handed out once, rests, comes back; wishes.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::{
    AttemptOutcome, ChannelState, ChannelUid, Clock as _, ErrorClass, Timestamp, rehandout_after,
};
use store::{Channel, Due, RefreshRequest, Store};
use testkit::{Database, TestClock};

testkit::each_database!(
    a_due_channel_is_handed_out_once_however_many_ask,
    the_longest_due_comes_first_across_states,
    a_handed_out_channel_rests_and_comes_back,
    only_some_states_are_scanned,
    a_wish_for_now_is_handed_out_after_the_callers_own_job_had_its_chance,
    an_earlier_wish_stays,
    a_wish_about_a_stuck_channel_is_refused,
    a_promise_is_told_until_its_job_has_ended,
    a_snoozed_channel_comes_back_then,
);

const MINUTE: Duration = Duration::from_mins(1);

/// Channels that are due so many minutes before now, and end an hour from now.
async fn due_since(store: &Store, clock: &TestClock, minutes: &[u32]) -> Vec<Channel> {
    let tenant = testkit::tenant(store).await;
    let new = minutes.iter().map(|minutes| {
        let mut channel = testkit::channel(tenant.uid, clock.now().plus(60 * MINUTE));
        channel.facts.refresh_due_at = Some(clock.now().minus(MINUTE * *minutes));
        channel
    });
    testkit::channels(store, new.collect()).await
}

fn uids(due: &[Due]) -> Vec<ChannelUid> {
    due.iter().map(|due| due.channel).collect()
}

async fn next_handout(store: &Store, uid: ChannelUid) -> Option<Timestamp> {
    let channel = store.channel_by_uid(uid).await.unwrap();
    channel.expect("it exists").next_handout_at
}

async fn a_due_channel_is_handed_out_once_however_many_ask(database: Database) {
    let clock = TestClock::start();
    let stores = [
        database.store_at(&clock).await,
        database.store_at(&clock).await,
    ];
    let channels = due_since(&stores[0], &clock, &[5; 300]).await;

    let askers = (0..8).map(|index| {
        let store = stores[index % 2].clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            loop {
                let due = store.take_due(17).await.unwrap();
                if due.is_empty() {
                    return taken;
                }
                taken.extend(uids(&due));
            }
        })
    });
    let mut taken = Vec::new();
    for asker in askers.collect::<Vec<_>>() {
        taken.extend(asker.await.unwrap());
    }

    assert_eq!(taken.len(), 300);
    assert_eq!(
        taken.into_iter().collect::<BTreeSet<_>>(),
        channels.iter().map(|channel| channel.uid).collect()
    );
}

async fn the_longest_due_comes_first_across_states(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let new = [
        (3, ChannelState::Active),
        (9, ChannelState::Error),
        (5, ChannelState::NeverExpires),
        (7, ChannelState::Active),
    ];
    let new = new.map(|(minutes, state)| {
        let mut channel = testkit::channel(tenant.uid, clock.now());
        channel.facts.refresh_due_at = Some(clock.now().minus(MINUTE * minutes));
        channel.facts.state = state;
        channel
    });
    let channels = testkit::channels(&store, new.into()).await;

    let first = store.take_due(3).await.unwrap();
    let rest = store.take_due(3).await.unwrap();

    assert_eq!(
        uids(&first),
        [channels[1].uid, channels[3].uid, channels[2].uid]
    );
    assert_eq!(uids(&rest), [channels[0].uid]);
    assert_eq!(
        first[0],
        Due {
            tenant: tenant.uid,
            channel: channels[1].uid,
            provider: channels[1].provider.clone(),
            state: ChannelState::Error,
            generation: channels[1].generation,
            due_at: channels[1].refresh_due_at,
            access_expires_at: channels[1].access_expires_at,
            requested_at: None,
            request_job_id: None,
        }
    );
}

async fn a_handed_out_channel_rests_and_comes_back(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let mut new = Vec::new();
    for ends_in in [Some(-5), Some(20), Some(600), Some(86_400), None] {
        let mut channel = testkit::channel(tenant.uid, clock.now());
        channel.facts.refresh_due_at = Some(clock.now());
        channel.facts.access_expires_at =
            ends_in.map(|secs: i64| Timestamp::from_millis(clock.now().as_millis() + secs * 1000));
        new.push(channel);
    }
    let channels = testkit::channels(&store, new).await;

    assert_eq!(store.take_due(9).await.unwrap().len(), 5);

    assert_eq!(store.take_due(9).await.unwrap(), []);
    for channel in &channels {
        let rest = rehandout_after(clock.now(), channel.access_expires_at);
        assert_eq!(
            next_handout(&store, channel.uid).await,
            Some(clock.now().plus(rest))
        );
    }
    clock.advance(Duration::from_secs(15));
    let back = uids(&store.take_due(9).await.unwrap());
    assert_eq!(
        back.into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([channels[0].uid, channels[1].uid])
    );
}

async fn only_some_states_are_scanned(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let channels = due_since(&store, &clock, &[1, 1, 1]).await;
    let pause = store::ChannelPatch {
        paused: Some(true),
        ..store::ChannelPatch::default()
    };
    store.patch_channel(channels[0].uid, pause).await.unwrap();
    store.delete_channel(channels[1].uid).await.unwrap();

    let due = store.take_due(9).await.unwrap();

    let seen: Vec<_> = due.iter().map(|due| (due.channel, due.state)).collect();
    assert_eq!(
        seen,
        [
            (channels[2].uid, ChannelState::Active),
            (channels[1].uid, ChannelState::Deleting)
        ]
    );
}

async fn a_wish_for_now_is_handed_out_after_the_callers_own_job_had_its_chance(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let new = testkit::channel(tenant.uid, clock.now().plus(600 * MINUTE));
    let channel = testkit::channels(&store, vec![new]).await.remove(0);

    assert!(
        store
            .request_refresh(channel.uid, None, "job-7")
            .await
            .unwrap()
    );

    assert_eq!(store.take_due(9).await.unwrap(), []);
    let asked_at = clock.now();
    clock.advance(Duration::from_secs(15));
    let due = store.take_due(9).await.unwrap();
    assert_eq!(due[0].requested_at, Some(asked_at));
    assert_eq!(due[0].request_job_id.as_deref(), Some("job-7"));
}

async fn an_earlier_wish_stays(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let new = (0..3).map(|_| testkit::channel(tenant.uid, clock.now().plus(600 * MINUTE)));
    let channels = testkit::channels(&store, new.collect()).await;
    let wish = |channel: &Channel, minutes: u32| RefreshRequest {
        channel: channel.uid,
        at: Some(clock.now().plus(MINUTE * minutes)),
        job_id: format!("job-{minutes}"),
    };

    for wishes in [
        [wish(&channels[0], 30), wish(&channels[1], 10)],
        [wish(&channels[0], 10), wish(&channels[1], 30)],
    ] {
        store.request_many(&wishes).await.unwrap();
    }

    for channel in &channels[..2] {
        let at = Some(clock.now().plus(10 * MINUTE));
        assert_eq!(next_handout(&store, channel.uid).await, at);
    }
    clock.advance(10 * MINUTE);
    let due = store.take_due(9).await.unwrap();
    assert_eq!(due.len(), 2);
    assert!(due.iter().all(|due| due.requested_at == Some(clock.now())));
    assert_eq!(
        next_handout(&store, channels[2].uid).await,
        channels[2].refresh_due_at
    );
}

async fn a_wish_about_a_stuck_channel_is_refused(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let mut new = testkit::channel(tenant.uid, clock.now());
    new.facts.state = ChannelState::NeedsReauth;
    let stuck = testkit::channels(&store, vec![new]).await.remove(0);

    let refused = store.request_refresh(stuck.uid, None, "job").await;
    let unknown = store
        .request_refresh(ChannelUid::generate(), None, "job")
        .await;

    assert!(!refused.unwrap());
    assert!(!unknown.unwrap());
    assert_eq!(store.channel_by_uid(stuck.uid).await.unwrap(), Some(stuck));
}

async fn a_promise_is_told_until_its_job_has_ended(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let new = testkit::channel(tenant.uid, clock.now().plus(600 * MINUTE));
    let channel = testkit::channels(&store, vec![new]).await.remove(0);
    let at = clock.now().plus(30 * MINUTE);
    let wish = store.request_refresh(channel.uid, Some(at), "job-7");
    assert!(wish.await.unwrap());

    let promise = store.promise(channel.uid).await.unwrap();
    let mut end = testkit::attempt(&channel, "job-7");
    end.outcome = AttemptOutcome::Failed(ErrorClass::Cancelled);
    store.record(end).await.unwrap();

    let job_id = "job-7".to_owned();
    assert_eq!(promise, Some(store::Promise { job_id, at }));
    assert_eq!(store.promise(channel.uid).await.unwrap(), None);
    assert_eq!(
        next_handout(&store, channel.uid).await,
        channel.refresh_due_at
    );
}

async fn a_snoozed_channel_comes_back_then(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let channel = due_since(&store, &clock, &[5]).await.remove(0);

    store
        .snooze_channel(channel.uid, clock.now().plus(MINUTE))
        .await
        .unwrap();

    assert_eq!(store.take_due(9).await.unwrap(), []);
    clock.advance(MINUTE);
    assert_eq!(uids(&store.take_due(9).await.unwrap()), [channel.uid]);
}
