//! The history: one end per job, pages, batches, retention.

use std::time::Duration;

use domain::{
    AttemptOutcome, AttemptRecord, Clock as _, Details, ErrorClass, Generation, JobTotals,
    RefreshResult, Replaced, Timestamp,
};
use store::{BatchItem, Channel, PageRequest, Pruned, Retention, Store};
use testkit::{Database, TestClock};
use uuid::Uuid;

testkit::each_database!(
    a_record_is_read_as_it_was_written,
    a_job_ends_once,
    what_ended_counts_the_same_before_and_after_it_is_added_up,
    results_of_many_jobs_are_found_at_once,
    a_timeline_is_read_newest_first_page_by_page,
    a_batch_is_read_as_it_was_asked_for,
    the_history_keeps_the_last_attempts_of_a_channel,
    the_history_forgets_what_is_too_old,
);

async fn setting(database: &Database) -> (Store, TestClock, Channel) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let new = testkit::channel(tenant.uid, clock.now());
    let channel = testkit::channels(&store, vec![new]).await.remove(0);
    (store, clock, channel)
}

/// An attempt whose uid is as old as this instant.
fn attempt_at(channel: &Channel, at: Timestamp, number: u32) -> AttemptRecord {
    let millis = u128::try_from(at.as_millis()).unwrap();
    AttemptRecord {
        uid: Uuid::from_u128(millis << 80 | 7 << 76 | u128::from(number)),
        started_at: at,
        ..testkit::attempt(channel, &format!("job-{number}-{millis}"))
    }
}

async fn uids_of(store: &Store, channel: &Channel) -> Vec<Uuid> {
    let all = PageRequest {
        after: None,
        limit: 200,
    };
    let page = store.attempts_of_channel(channel.uid, all).await.unwrap();
    page.items.iter().map(|attempt| attempt.uid).collect()
}

async fn a_record_is_read_as_it_was_written(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let record = AttemptRecord {
        outcome: AttemptOutcome::Failed(ErrorClass::RateLimited),
        attempt: 3,
        started_at: clock.now(),
        generation: Some(Generation(1)),
        new_expires_at: Some(clock.now()),
        replaced: Some(Replaced {
            provider: channel.provider.clone(),
            due_at: Some(Timestamp::from_millis(1)),
            old_expires_at: Some(Timestamp::from_millis(2)),
        }),
        details: Details {
            provider_code: Some("613".to_owned()),
            http_status: Some(429),
            retry_at: Some(clock.now()),
            ..Details::because("policy_block")
        },
        ..testkit::attempt(&channel, "a")
    };

    store.record(record.clone()).await.unwrap();

    assert_eq!(store.job_result("a").await.unwrap().as_ref(), Some(&record));
    assert_eq!(store.attempts_of_job("a").await.unwrap(), [record]);
    assert_eq!(store.job_result("b").await.unwrap(), None);
}

async fn a_job_ends_once(database: Database) {
    let (store, _, channel) = setting(&database).await;
    let first = testkit::attempt(&channel, "a");
    let cancelled = AttemptRecord {
        outcome: AttemptOutcome::Failed(ErrorClass::Cancelled),
        ..testkit::attempt(&channel, "a")
    };

    let ends = [first.clone(), cancelled.clone(), first.clone(), cancelled].map(|end| {
        let store = store.clone();
        tokio::spawn(async move { store.record(end).await })
    });
    for end in ends {
        end.await.unwrap().unwrap();
    }

    let totals = store.job_totals(None).await.unwrap();
    assert_eq!(totals.completed + totals.failed + totals.cancelled, 1);
    assert_eq!(store.attempts_of_job("a").await.unwrap().len(), 1);
}

async fn what_ended_counts_the_same_before_and_after_it_is_added_up(database: Database) {
    let (store, _, channel) = setting(&database).await;
    let tenant = channel.tenant;
    store.record(testkit::attempt(&channel, "a")).await.unwrap();
    store.fold_counters().await.unwrap();
    store.record(testkit::attempt(&channel, "b")).await.unwrap();
    let failed = AttemptRecord {
        outcome: AttemptOutcome::Failed(ErrorClass::Cancelled),
        ..testkit::attempt(&channel, "c")
    };
    store.record(failed).await.unwrap();

    let before = store.job_totals(Some(tenant)).await.unwrap();
    let folds = [(); 4].map(|()| {
        let store = store.clone();
        tokio::spawn(async move { store.fold_counters().await })
    });
    for fold in folds {
        fold.await.unwrap().unwrap();
    }
    let after = store.job_totals(Some(tenant)).await.unwrap();
    let of_all = store.job_totals(None).await.unwrap();

    let expected = JobTotals {
        completed: 2,
        failed: 0,
        cancelled: 1,
    };
    assert_eq!([before, after, of_all], [expected; 3]);
}

async fn results_of_many_jobs_are_found_at_once(database: Database) {
    let (store, _, channel) = setting(&database).await;
    for job in ["a", "b"] {
        store.record(testkit::attempt(&channel, job)).await.unwrap();
    }
    let mut running = testkit::attempt(&channel, "c");
    running.ends_job = false;
    store.record(running).await.unwrap();

    let jobs = ["a", "c", "b", "a", "d"].map(ToOwned::to_owned);
    let results = store.job_results(&jobs).await.unwrap();
    let none = store.job_results(&[]).await.unwrap();

    let mut found: Vec<&String> = results.keys().collect();
    found.sort();
    assert_eq!(found, ["a", "b"]);
    assert!(none.is_empty());
}

async fn a_timeline_is_read_newest_first_page_by_page(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let mut all = Vec::new();
    for number in 0..5 {
        let attempt = attempt_at(&channel, clock.now(), number);
        all.insert(0, attempt.uid);
        store.record(attempt).await.unwrap();
    }

    let mut seen = Vec::new();
    let mut page = PageRequest {
        after: None,
        limit: 2,
    };
    loop {
        let part = store.attempts_of_channel(channel.uid, page).await.unwrap();
        let uids: Vec<Uuid> = part.items.iter().map(|attempt| attempt.uid).collect();
        seen.push(uids);
        page = PageRequest {
            after: part.next,
            limit: 2,
        };
        if page.after.is_none() {
            break;
        }
    }

    let pages: Vec<Vec<Uuid>> = all.chunks(2).map(<[Uuid]>::to_vec).collect();
    assert_eq!(seen, pages);
}

async fn a_batch_is_read_as_it_was_asked_for(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let items = vec![
        BatchItem {
            channel_id: channel.id.to_string(),
            job_id: Some("a".to_owned()),
            result: None,
        },
        BatchItem {
            channel_id: "unknown".to_owned(),
            job_id: None,
            result: Some(RefreshResult::refused(
                "unknown",
                ErrorClass::NotFound,
                None,
            )),
        },
    ];

    let id = store
        .create_batch(channel.tenant, items.clone())
        .await
        .unwrap();

    let expected = store::Batch {
        tenant: channel.tenant,
        created_at: clock.now(),
        items,
    };
    assert_eq!(store.batch(id).await.unwrap(), Some(expected));
    assert_eq!(store.batch(Uuid::now_v7()).await.unwrap(), None);
}

async fn the_history_keeps_the_last_attempts_of_a_channel(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let mut kept = Vec::new();
    for number in 0..12 {
        let attempt = attempt_at(&channel, clock.now(), number);
        if number >= 7 {
            kept.insert(0, attempt.uid);
        }
        store.record(attempt).await.unwrap();
    }
    let retention = Retention {
        attempts_per_channel: 5,
        ..Retention::default()
    };
    let other = testkit::channel(channel.tenant, clock.now());
    let other = testkit::channels(&store, vec![other]).await.remove(0);
    store
        .record(attempt_at(&other, clock.now(), 99))
        .await
        .unwrap();
    clock.advance(Duration::from_mins(6));

    let mut pruned = 0;
    for _ in 0..5 {
        pruned += store.prune_history(retention, 4).await.unwrap().attempts;
    }

    assert_eq!(pruned, 7);
    assert_eq!(uids_of(&store, &channel).await, kept);
    assert_eq!(uids_of(&store, &other).await.len(), 1);
    let completed = JobTotals {
        completed: 13,
        ..JobTotals::default()
    };
    assert_eq!(store.job_totals(None).await.unwrap(), completed);
}

async fn the_history_forgets_what_is_too_old(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    for number in 0..3 {
        let attempt = attempt_at(&channel, clock.now(), number);
        store.record(attempt).await.unwrap();
    }
    store.fold_counters().await.unwrap();
    clock.advance(Duration::from_hours(91 * 24));
    let young = attempt_at(&channel, clock.now(), 9);
    store.record(young.clone()).await.unwrap();

    let first = store.prune_history(Retention::default(), 2).await.unwrap();
    let second = store.prune_history(Retention::default(), 2).await.unwrap();
    let third = store.prune_history(Retention::default(), 2).await.unwrap();

    // A completed job has one minute: when it was refreshed.
    let minutes = 1;
    assert_eq!(
        [first, second, third],
        [
            Pruned {
                attempts: 2,
                others: minutes
            },
            Pruned {
                attempts: 1,
                others: 0
            },
            Pruned::default(),
        ]
    );
    assert_eq!(uids_of(&store, &channel).await, [young.uid]);
    assert_eq!(store.job_totals(None).await.unwrap().completed, 4);
}
