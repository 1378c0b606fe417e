//! How many jobs a worker runs at once, while that changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokenfleet_queue::{Concurrency, Outcome};
use tokio::sync::Semaphore;

use crate::support::{Bench, until};
use crate::worker::{options, start};

#[tokio::test]
async fn slots_come_and_go_while_the_worker_runs() {
    let bench = Bench::new().await;
    let slots = Concurrency::new(2);
    let running = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Semaphore::new(0));
    let (now, opened) = (running.clone(), gate.clone());
    let options = options(1).concurrency(slots.clone());
    let worker = start(&bench.queue, options, move |_, _| {
        let (now, gate) = (now.clone(), gate.clone());
        async move {
            now.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(Outcome::Done)
        }
    });
    let are_running = async |count| {
        until("so many run", || async {
            running.load(Ordering::SeqCst) == count
        })
        .await;
    };

    bench
        .push_all(&["c1", "c2", "c3", "c4", "c5", "c6", "c7"])
        .await;
    are_running(2).await;
    slots.set(4);
    opened.add_permits(1);
    are_running(4).await;
    slots.set(0);
    opened.add_permits(4);
    until("five are done and one runs", || async {
        let counts = bench.counts().await;
        (counts.completed, counts.active, counts.waiting) == (5, 1, 1)
    })
    .await;
    are_running(1).await;
    opened.add_permits(2);
    until("all done", || async { bench.counts().await.completed == 7 }).await;

    assert_eq!(slots.get(), 1);
    worker.stop().await;
}
