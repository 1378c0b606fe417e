//! Lists and counts.

use tokenfleet_queue::{Counts, JobFilter, JobState, JobView, NewJob, Outcome, QueueError, When};

use crate::support::{Bench, failed, job, now_ms, of};

/// One tenant with a job in every state, and another tenant with some.
async fn filled() -> Bench {
    let bench = Bench::new().await;
    let worker = bench.worker();
    bench.push_all(&["done", "failed", "runs"]).await;
    let jobs = worker.claim(3).await.unwrap();
    worker.settle(&jobs[0], Outcome::Done).await.unwrap();
    worker.settle(&jobs[1], failed()).await.unwrap();
    bench.push_all(&["waits-1", "waits-2"]).await;
    let later = When::At(now_ms() + 60_000);
    bench
        .push(NewJob {
            when: later,
            ..job("later")
        })
        .await;
    let cancelled = bench.push(job("cancelled")).await;
    bench.queue.cancel(cancelled.id()).await.unwrap();
    bench.push(of("t2", "other")).await;
    bench
}

fn keys(items: &[JobView]) -> Vec<&str> {
    items.iter().map(|view| &*view.id.key).collect()
}

#[tokio::test]
async fn counts_tell_where_jobs_stand_by_tenant_and_in_all() {
    let bench = filled().await;

    let own = bench.queue.counts(Some("t1")).await.unwrap();
    let all = bench.queue.counts(None).await.unwrap();
    let none = bench.queue.counts(Some("t9")).await.unwrap();

    let expected = Counts {
        waiting: 2,
        delayed: 1,
        active: 1,
        completed: 1,
        failed: 2,
    };
    assert_eq!(own, expected);
    assert_eq!(
        all,
        Counts {
            waiting: 3,
            ..expected
        }
    );
    assert_eq!(none, Counts::default());
}

#[tokio::test]
async fn a_tenants_list_is_in_order_and_has_only_its_own_jobs() {
    let bench = filled().await;

    let page = bench
        .queue
        .list(Some("t1"), &JobFilter::default())
        .await
        .unwrap();

    let in_order = [
        "runs",
        "waits-1",
        "waits-2",
        "later",
        "done",
        "cancelled",
        "failed",
    ];
    assert_eq!(keys(&page.items), in_order);
    assert_eq!(page.next_cursor, None);
}

#[tokio::test]
async fn pages_of_any_size_make_up_the_whole_list() {
    let bench = filled().await;
    for tenant in [Some("t1"), None] {
        let whole = bench
            .queue
            .list(tenant, &JobFilter::default())
            .await
            .unwrap()
            .items;
        for limit in 1..=8 {
            let mut filter = JobFilter {
                limit,
                ..JobFilter::default()
            };
            let mut items = Vec::new();
            loop {
                let page = bench.queue.list(tenant, &filter).await.unwrap();
                assert!(page.items.len() <= limit);
                items.extend(page.items);
                filter.cursor = page.next_cursor;
                if filter.cursor.is_none() {
                    break;
                }
            }
            assert_eq!(items, whole, "{tenant:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_list_may_ask_for_one_state_or_one_key() {
    let bench = filled().await;
    for tenant in [Some("t1"), None] {
        for state in JobState::ALL {
            let filter = JobFilter {
                state: Some(state),
                ..JobFilter::default()
            };
            let page = bench.queue.list(tenant, &filter).await.unwrap();
            assert!(!page.items.is_empty(), "{state}");
            assert!(page.items.iter().all(|view| view.state == state), "{state}");
        }
        for key in ["done", "waits-1"] {
            let filter = JobFilter {
                key: Some(key.to_owned()),
                ..JobFilter::default()
            };
            let page = bench.queue.list(tenant, &filter).await.unwrap();
            assert_eq!(keys(&page.items), [key]);
        }
    }
}

#[tokio::test]
async fn a_page_goes_on_where_the_last_one_ended_even_if_that_job_has_moved_on() {
    let bench = Bench::new().await;
    for at in 0..6 {
        bench
            .push(NewJob {
                deadline_ms: 1_000 + at,
                ..job(&format!("c{at}"))
            })
            .await;
    }
    let filter = JobFilter {
        state: Some(JobState::Waiting),
        limit: 3,
        ..JobFilter::default()
    };
    let first = bench.queue.list(Some("t1"), &filter).await.unwrap();

    let last = &first.items[2].id;
    bench.queue.cancel(last).await.unwrap();
    let second = JobFilter {
        cursor: first.next_cursor,
        ..filter
    };
    let second = bench.queue.list(Some("t1"), &second).await.unwrap();

    assert_eq!(keys(&first.items), ["c0", "c1", "c2"]);
    assert_eq!(keys(&second.items), ["c3", "c4", "c5"]);
}

#[tokio::test]
async fn a_cursor_that_is_not_ours_is_refused() {
    let bench = Bench::new().await;
    for (tenant, cursor) in [(Some("t1"), "nonsense"), (None, "1.2"), (Some("t1"), "")] {
        let filter = JobFilter {
            cursor: Some(cursor.to_owned()),
            ..JobFilter::default()
        };

        let answer = bench.queue.list(tenant, &filter).await;

        assert!(matches!(answer, Err(QueueError::Cursor)), "{cursor}");
    }
}
