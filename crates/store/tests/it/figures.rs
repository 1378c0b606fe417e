//! Figures: statistics, and totals that always equal the history.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::{
    AttemptOutcome, ChannelState, Clock as _, ErrorClass, JobTotals, Misfire, ProviderName,
    TenantUid,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use store::{Channel, InState, Statistics, Store};
use testkit::{Database, TestClock};

testkit::each_database!(
    statistics_of_a_tenant_without_channels_are_zero,
    statistics_count_by_state_provider_and_time,
    figures_of_the_fleet_count_every_tenants_channels_by_state,
    a_channel_is_due_until_it_is_handed_out,
    figures_of_the_last_day_roll,
    totals_are_what_the_history_says,
);

const HOUR: Duration = Duration::from_hours(1);

async fn statistics_of_a_tenant_without_channels_are_zero(database: Database) {
    let store = database.store().await;
    let tenant = testkit::tenant(&store).await;

    let statistics = store.statistics(tenant.uid).await.unwrap();

    let expected = Statistics {
        by_state: ChannelState::VISIBLE.map(|state| (state, 0)).into(),
        ..Statistics::default()
    };
    assert_eq!(statistics, expected);
}

async fn statistics_count_by_state_provider_and_time(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let mut new = Vec::new();
    for hours in [0, 1, 3, 2, 1, 0] {
        new.push(testkit::channel(tenant.uid, clock.now().plus(HOUR * hours)));
    }
    new[0].facts.state = ChannelState::NeedsReauth;
    new[1].provider = ProviderName::from_static("facebook");
    new[4].facts.has_refresh_material = false;
    let channels = testkit::channels(&store, new).await;
    store.delete_channel(channels[5].uid).await.unwrap();

    let default_window = store.statistics(tenant.uid).await.unwrap();
    store
        .put_schedule(tenant.uid, 120, Some(125), Misfire::Once)
        .await
        .unwrap();
    let own_window = store.statistics(tenant.uid).await.unwrap();

    let mut by_state = BTreeMap::from(ChannelState::VISIBLE.map(|state| (state, 0)));
    by_state.insert(ChannelState::Active, 4);
    by_state.insert(ChannelState::NeedsReauth, 1);
    let expected = Statistics {
        total_channels: 5,
        channels_needing_refresh: 1,
        channels_with_refresh_token: 4,
        urgent_channels: 1,
        by_state,
        by_provider: BTreeMap::from([("facebook".to_owned(), 1), ("tiktok".to_owned(), 4)]),
        refreshed_24h: 0,
        failed_24h: 0,
        next_expiry: Some(clock.now().plus(HOUR)),
    };
    assert_eq!(default_window, expected);
    let expected = Statistics {
        channels_needing_refresh: 2,
        ..expected
    };
    assert_eq!(own_window, expected);
}

async fn figures_of_the_fleet_count_every_tenants_channels_by_state(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    for hours in [1, 3] {
        let tenant = testkit::tenant(&store).await;
        let new =
            [0, hours].map(|hours| testkit::channel(tenant.uid, clock.now().plus(HOUR * hours)));
        let channels = testkit::channels(&store, new.into()).await;
        if hours == 3 {
            store.delete_channel(channels[0].uid).await.unwrap();
        }
    }

    clock.advance(HOUR * 2);
    let states = store.channels_by_state().await.unwrap();

    let (channels, expired) = (3, 2);
    let mut expected =
        BTreeMap::from(ChannelState::VISIBLE.map(|state| (state, InState::default())));
    expected.insert(ChannelState::Active, InState { channels, expired });
    assert_eq!(states, expected);
}

async fn a_channel_is_due_until_it_is_handed_out(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;

    let before = store.longest_due().await.unwrap();
    testkit::channels(&store, vec![testkit::channel(tenant.uid, clock.now())]).await;
    clock.advance(HOUR);
    let late = store.longest_due().await.unwrap();
    store.take_due(10).await.unwrap();
    let handed_out = store.longest_due().await.unwrap();

    assert_eq!((before, handed_out), (Duration::ZERO, Duration::ZERO));
    assert!(late >= HOUR, "{late:?}");
}

async fn figures_of_the_last_day_roll(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let new = testkit::channel(tenant.uid, clock.now());
    let channel = testkit::channels(&store, vec![new]).await.remove(0);
    let record = |job: &str, outcome| {
        let mut attempt = testkit::attempt(&channel, job);
        attempt.outcome = outcome;
        store.record(attempt)
    };
    let rolling = || async {
        let statistics = store.statistics(tenant.uid).await.unwrap();
        (statistics.refreshed_24h, statistics.failed_24h)
    };

    record("a", AttemptOutcome::Refreshed).await.unwrap();
    record("b", AttemptOutcome::NotNeeded).await.unwrap();
    let cancelled = AttemptOutcome::Failed(ErrorClass::Cancelled);
    record("c", cancelled).await.unwrap();
    clock.advance(12 * HOUR);
    let failed = AttemptOutcome::Failed(ErrorClass::Fatal);
    record("d", failed).await.unwrap();

    let half_a_day = rolling().await;
    clock.advance(12 * HOUR);
    let a_day = rolling().await;
    clock.advance(12 * HOUR);
    let later = rolling().await;

    assert_eq!([half_a_day, a_day, later], [(1, 1), (0, 1), (0, 0)]);
    let totals = JobTotals {
        completed: 2,
        failed: 1,
        cancelled: 1,
    };
    assert_eq!(store.job_totals(Some(tenant.uid)).await.unwrap(), totals);
}

/// A random record: which channel, which job, whether it ends it, and how.
type Step = (usize, u8, bool, AttemptOutcome);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        3 => Just(AttemptOutcome::Refreshed),
        1 => Just(AttemptOutcome::NotNeeded),
        1 => Just(AttemptOutcome::Failed(ErrorClass::Cancelled)),
        2 => Just(AttemptOutcome::Failed(ErrorClass::Retryable)),
    ];
    let step = (0..4_usize, 0..20_u8, any::<bool>(), outcome);
    proptest::collection::vec(step, 1..60)
}

/// What the totals must be: the first end of every job counts.
fn model(channels: &[Channel], steps: &[Step]) -> BTreeMap<TenantUid, JobTotals> {
    let mut ended = BTreeSet::new();
    let mut totals: BTreeMap<TenantUid, JobTotals> = BTreeMap::new();
    for (channel, job, ends, outcome) in steps {
        if !ends || !ended.insert((*channel, *job)) {
            continue;
        }
        let total = totals.entry(channels[*channel].tenant).or_default();
        match outcome {
            AttemptOutcome::Refreshed | AttemptOutcome::NotNeeded => total.completed += 1,
            AttemptOutcome::Failed(ErrorClass::Cancelled) => total.cancelled += 1,
            AttemptOutcome::Failed(_) => total.failed += 1,
        }
    }
    totals
}

async fn run(store: &Store, channels: &[Channel], steps: &[Step], round: usize) {
    // In order per job, so that its first end is known; otherwise at once.
    let mut by_job: BTreeMap<(usize, u8), Vec<Step>> = BTreeMap::new();
    for step in steps {
        by_job.entry((step.0, step.1)).or_default().push(*step);
    }
    let jobs = by_job.into_iter().map(|((channel, job), steps)| {
        let (store, channel) = (store.clone(), channels[channel].clone());
        tokio::spawn(async move {
            for (index, _, ends, outcome) in steps {
                let job = format!("job-{round}-{index}-{job}");
                let mut attempt = testkit::attempt(&channel, &job);
                attempt.ends_job = ends;
                attempt.outcome = outcome;
                store.record(attempt).await.unwrap();
            }
        })
    });
    for job in jobs.collect::<Vec<_>>() {
        job.await.unwrap();
    }
}

async fn totals_are_what_the_history_says(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let mut runner = TestRunner::deterministic();

    for round in 0..12 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let mut channels = Vec::new();
        for _ in 0..2 {
            let tenant = testkit::tenant(&store).await;
            let new = (0..2).map(|_| testkit::channel(tenant.uid, clock.now()));
            channels.extend(testkit::channels(&store, new.collect()).await);
        }

        run(&store, &channels, &steps, round).await;

        for (tenant, expected) in model(&channels, &steps) {
            let totals = store.job_totals(Some(tenant)).await.unwrap();
            assert_eq!(totals, expected, "round {round}: {steps:?}");
        }
    }
}
