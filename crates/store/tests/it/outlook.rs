//! How fresh everything is, and what comes.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{AttemptRecord, ChannelState, Clock as _, ProviderName, Timestamp};
use store::{
    CallsByHour, Change, Channel, Finish, Finished, Freshness, FreshnessFigures, LeaseOutcome,
    NewChannel, Store,
};
use testkit::{Database, TestClock};

testkit::each_database!(
    s5_7_nothing_has_figures_of_zero,
    s5_7_figures_tell_what_lives_and_how_long_tokens_were_dead,
    s5_7_a_token_is_dead_since_its_import_and_within_the_window,
    s5_7_lag_is_told_of_refreshes_that_were_due,
    s5_7_figures_are_told_by_tenant_and_provider,
    s5_8_calls_come_when_channels_are_due_and_once_per_interval,
    s5_8_grants_that_end_are_told_the_first_in_front,
);

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

async fn setting(database: &Database) -> (Store, TestClock) {
    let clock = TestClock::start();
    (database.store_at(&clock).await, clock)
}

/// Stores new credentials that end at this instant, as a worker that took 100 ms does.
async fn refresh(store: &Store, clock: &TestClock, channel: &Channel, ends: Timestamp) {
    let channel = store.channel_by_uid(channel.uid).await.unwrap().unwrap();
    let lease = match store.lease(testkit::lease_request(&channel)).await.unwrap() {
        LeaseOutcome::Leased(lease) => lease,
        other => panic!("not leased: {other:?}"),
    };
    let job = format!("{}-{}", channel.id, channel.generation.0);
    let change = Change::Stored {
        sealed: testkit::sealed(&job),
        facts: testkit::facts(ends),
    };
    let finish = testkit::finish(&lease, &job, change);
    let duration = Duration::from_millis(100);
    let finish = Finish {
        attempt: AttemptRecord {
            started_at: clock.now().minus(duration),
            duration,
            ..finish.attempt.clone()
        },
        ..finish
    };
    assert_eq!(store.finish(finish).await.unwrap(), Finished::Stored);
}

async fn import<const N: usize>(store: &Store, new: [NewChannel; N]) -> [Channel; N] {
    let channels = testkit::channels(store, new.into()).await;
    channels.try_into().expect("as many as were imported")
}

fn at_facebook(new: NewChannel) -> NewChannel {
    NewChannel {
        provider: ProviderName::from_static("facebook"),
        ..new
    }
}

fn in_state(mut new: NewChannel, state: ChannelState) -> NewChannel {
    new.facts.state = state;
    new
}

async fn day(store: &Store) -> FreshnessFigures {
    store.freshness(None, DAY, 5 * MINUTE).await.unwrap().all
}

async fn s5_7_nothing_has_figures_of_zero(database: Database) {
    let (store, _) = setting(&database).await;
    let tenant = testkit::tenant(&store).await;

    let of_all = store.freshness(None, DAY, MINUTE).await.unwrap();
    let of_tenant = store.freshness(Some(tenant.uid), DAY, MINUTE).await;

    assert_eq!(of_all, Freshness::default());
    assert_eq!(of_tenant.unwrap(), Freshness::default());
}

async fn s5_7_figures_tell_what_lives_and_how_long_tokens_were_dead(database: Database) {
    let (store, clock) = setting(&database).await;
    let tenant = testkit::tenant(&store).await;
    let new = |ends| testkit::channel(tenant.uid, clock.now().plus(ends));
    let mut endless = new(HOUR);
    endless.facts.access_expires_at = None;
    let [_, _, refreshed, ..] = import(
        &store,
        [
            new(3 * HOUR),
            new(2 * HOUR + 5 * MINUTE),
            new(HOUR),
            in_state(new(HOUR + 30 * MINUTE), ChannelState::NeedsReauth),
            in_state(new(5 * HOUR), ChannelState::Error),
            in_state(new(HOUR), ChannelState::Paused),
            in_state(new(HOUR), ChannelState::NeverExpires),
            endless,
        ],
    )
    .await;

    clock.advance(2 * HOUR);
    let before = day(&store).await;
    refresh(&store, &clock, &refreshed, clock.now().plus(HOUR)).await;
    let after = day(&store).await;

    let figures = |figures: &FreshnessFigures| {
        let FreshnessFigures {
            channels,
            valid,
            dead_now,
            dead,
            refreshed,
            ..
        } = *figures;
        (channels, valid, dead_now, dead, refreshed)
    };
    assert_eq!(figures(&before), (5, 2, 2, 90 * MINUTE, 0));
    assert_eq!(figures(&after), (5, 3, 1, 90 * MINUTE, 1));
    assert_eq!(after.valid_share(), Some(0.6));
}

async fn s5_7_a_token_is_dead_since_its_import_and_within_the_window(database: Database) {
    let (store, clock) = setting(&database).await;
    let tenant = testkit::tenant(&store).await;
    let long_ago = clock.now().minus(10 * DAY);
    let [channel, _] = import(
        &store,
        [
            testkit::channel(tenant.uid, long_ago),
            testkit::channel(tenant.uid, long_ago),
        ],
    )
    .await;
    let dead = async |window| {
        store
            .freshness(None, window, MINUTE)
            .await
            .unwrap()
            .all
            .dead
    };

    clock.advance(3 * HOUR);
    refresh(&store, &clock, &channel, clock.now().plus(DAY)).await;
    let since_import = dead(DAY).await;
    clock.advance(HOUR);
    let within_two_hours = dead(2 * HOUR).await;

    assert_eq!(since_import, 3 * HOUR + 3 * HOUR);
    assert_eq!(within_two_hours, HOUR + 2 * HOUR);
}

async fn s5_7_lag_is_told_of_refreshes_that_were_due(database: Database) {
    let (store, clock) = setting(&database).await;
    let tenant = testkit::tenant(&store).await;
    // Due six minutes before its end: nine minutes ago, in a minute, or at a time unknown.
    let ends = |minutes| testkit::channel(tenant.uid, clock.now().plus(MINUTE * minutes));
    let mut unknown = ends(20);
    unknown.facts.refresh_due_at = None;
    let channels = import(&store, [ends(7), ends(17), unknown]).await;

    clock.advance(10 * MINUTE);
    for channel in &channels {
        refresh(&store, &clock, channel, clock.now().plus(HOUR)).await;
    }
    let figures = day(&store).await;

    let nine = Some(9 * MINUTE);
    let lags = figures.lags;
    assert_eq!(figures.refreshed, 3);
    assert_eq!(
        [lags.within(50), lags.within(99), lags.longest()],
        [nine; 3]
    );
}

async fn s5_7_figures_are_told_by_tenant_and_provider(database: Database) {
    let (store, clock) = setting(&database).await;
    let (one, two) = (testkit::tenant(&store).await, testkit::tenant(&store).await);
    let ends = clock.now().plus(HOUR);
    let channels = import(
        &store,
        [
            testkit::channel(one.uid, ends),
            at_facebook(testkit::channel(one.uid, ends)),
            testkit::channel(two.uid, ends),
            testkit::channel(two.uid, ends),
        ],
    )
    .await;
    for channel in &channels {
        refresh(&store, &clock, channel, ends.plus(HOUR)).await;
    }
    store.delete_channel(channels[3].uid).await.unwrap();

    let of_all = store.freshness(None, DAY, MINUTE).await.unwrap();
    let of_one = store.freshness(Some(one.uid), DAY, MINUTE).await.unwrap();
    let names = store.tenant_names(&[one.uid, two.uid]).await.unwrap();

    let counts = |figures: &FreshnessFigures| (figures.channels, figures.refreshed);
    let by_provider = |freshness: &Freshness| -> Vec<(String, (u64, u64))> {
        let parts = freshness.by_provider.iter();
        parts.map(|(name, it)| (name.clone(), counts(it))).collect()
    };
    let line = |name: &str, counts: (u64, u64)| (name.to_owned(), counts);
    assert_eq!(counts(&of_all.all), (3, 4));
    assert_eq!(
        by_provider(&of_all),
        [line("facebook", (1, 1)), line("tiktok", (2, 3))]
    );
    assert_eq!(counts(&of_all.by_tenant[&two.uid]), (1, 2));
    assert_eq!(
        by_provider(&of_one),
        [line("facebook", (1, 1)), line("tiktok", (1, 1))]
    );
    assert_eq!(
        of_one.by_tenant.keys().copied().collect::<Vec<_>>(),
        [one.uid]
    );
    assert_eq!((&names[&one.uid], &names[&two.uid]), (&one.id, &two.id));
}

async fn s5_8_calls_come_when_channels_are_due_and_once_per_interval(database: Database) {
    let (store, clock) = setting(&database).await;
    let (tenant, other) = (testkit::tenant(&store).await, testkit::tenant(&store).await);
    let new = |ends| testkit::channel(tenant.uid, clock.now().plus(ends));
    let [twice_a_day, ..] = import(
        &store,
        [
            new(HOUR),
            at_facebook(in_state(new(HOUR), ChannelState::Error)),
            at_facebook(in_state(new(HOUR), ChannelState::NeverExpires)),
            at_facebook(new(60 * DAY)),
            in_state(new(HOUR), ChannelState::Paused),
            in_state(new(HOUR), ChannelState::NeedsReauth),
            testkit::channel(other.uid, clock.now()),
        ],
    )
    .await;
    // Due in 11 hours, and 11 hours after each refresh.
    let ends = clock.now().plus(11 * HOUR + 6 * MINUTE);
    refresh(&store, &clock, &twice_a_day, ends).await;

    let of_tenant = store.forecast(Some(tenant.uid), 7 * DAY, 10).await.unwrap();
    let of_all = store.forecast(None, 7 * DAY, 10).await.unwrap();

    let mut tiktok = CallsByHour::default();
    (tiktok[11], tiktok[22]) = (1, 1);
    let mut facebook = CallsByHour::default();
    facebook[0] = 2;
    let expected = [
        ("facebook".to_owned(), facebook),
        ("tiktok".to_owned(), tiktok),
    ];
    assert_eq!(of_tenant.calls, BTreeMap::from(expected));
    assert_eq!(of_tenant.waiting, 1);
    // The other tenant's is overdue, and then taken to come every 11 hours as well.
    (tiktok[0], tiktok[11], tiktok[22]) = (1, 2, 2);
    assert_eq!(of_all.calls["tiktok"], tiktok);
}

async fn s5_8_grants_that_end_are_told_the_first_in_front(database: Database) {
    let (store, clock) = setting(&database).await;
    let tenant = testkit::tenant(&store).await;
    let new = |ends: Option<Duration>| {
        let mut new = testkit::channel(tenant.uid, clock.now().plus(HOUR));
        new.facts.refresh_expires_at = ends.map(|ends| clock.now().plus(ends));
        new
    };
    let [third, first, second, ..] = import(
        &store,
        [
            at_facebook(new(Some(7 * DAY))),
            new(Some(HOUR)),
            in_state(new(Some(DAY)), ChannelState::Error),
            new(Some(7 * DAY + HOUR)),
            in_state(new(Some(DAY)), ChannelState::NeedsReauth),
            in_state(new(Some(DAY)), ChannelState::Paused),
            new(None),
        ],
    )
    .await;

    let all = store.forecast(None, 7 * DAY, 100).await.unwrap();
    let two = store.forecast(Some(tenant.uid), 7 * DAY, 2).await.unwrap();

    let told = |forecast: &store::Forecast| -> Vec<_> {
        let grants = forecast.first.iter();
        grants
            .map(|it| (it.tenant.clone(), it.channel.clone(), it.ends_at))
            .collect()
    };
    let ends = |channel: &Channel| {
        let ends_at = channel.refresh_expires_at.expect("it has one");
        (tenant.id.clone(), channel.id.clone(), ends_at)
    };
    let by_provider = [("facebook".to_owned(), 1), ("tiktok".to_owned(), 2)];
    assert_eq!(all.ending, BTreeMap::from(by_provider));
    assert_eq!(told(&all), [ends(&first), ends(&second), ends(&third)]);
    assert_eq!(all.waiting, 1);
    assert_eq!(two.ending, all.ending);
    assert_eq!(told(&two), [ends(&first), ends(&second)]);
}
