//! Two queues in one process, under the monitor of apalis.
//!
//! `cargo run -p tokenfleet-queue --example two_queues [redis://…]`; without an address it takes
//! database 15 of the Redis on port 6379. It ends by itself and leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use apalis_core::monitor::Monitor;
use apalis_core::task::data::Data;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::ext::parallelize::ParallelizeExt as _;
use tokenfleet_queue::{
    BoxDynError, ConnectOptions, ConsumerOptions, JobContext, NewJob, Outcome, Queue, QueueName,
    Queues, When,
};
use tokio::time::Instant;
use uuid::Uuid;

/// What the handlers share; apalis hands it over as `Data`.
#[derive(Clone, Default)]
struct Sent(Arc<AtomicU32>);

/// A task function of apalis: the payload, then what it wants to have extracted.
async fn mail(address: String, job: JobContext, sent: Data<Sent>) -> Result<Outcome, BoxDynError> {
    if job.attempt() == 1 && address.starts_with("slow") {
        return Ok(Outcome::Retry {
            after: Some(Duration::from_millis(200)),
            not_before: false,
            why: "the server is busy".to_owned(),
        });
    }
    sent.0.0.fetch_add(1, Ordering::Relaxed);
    Ok(Outcome::Done)
}

/// Looks now and then whether somebody wants it to stop.
async fn report(name: String, job: JobContext) -> Result<Outcome, BoxDynError> {
    let stop = job.stop_token();
    tokio::select! {
        () = stop.cancelled() => Ok(Outcome::Cancelled),
        () = tokio::time::sleep(Duration::from_millis(50)) => {
            if name.is_empty() {
                return Err("a report without a name".into());
            }
            Ok(Outcome::Done)
        }
    }
}

fn job(tenant: &str, key: &str) -> Result<NewJob, serde_json::Error> {
    Ok(NewJob {
        key: key.to_owned(),
        tenant: tenant.to_owned(),
        payload: serde_json::to_vec(key)?,
        when: When::Now,
        deadline_ms: 0,
        not_before_ms: 0,
        version: 1,
        id_hint: None,
        max_attempts: None,
    })
}

/// Workers of both queues; a worker that ends by an error of its own is started again.
fn monitor(mails: Queue, reports: Queue, sent: Sent) -> Monitor {
    let process = Uuid::now_v7();
    Monitor::new()
        .register(move |_| {
            let options = ConsumerOptions::new("mails", process).concurrency(20);
            WorkerBuilder::new("mails")
                .backend(mails.consumer(options))
                .parallelize(tokio::spawn)
                .data(sent.clone())
                .build(mail)
        })
        .register(move |_| {
            let options = ConsumerOptions::new("reports", process).concurrency(2);
            WorkerBuilder::new("reports")
                .backend(reports.consumer(options))
                .parallelize(tokio::spawn)
                .build(report)
        })
        .should_restart(|_, _| true)
        .shutdown_timeout(Duration::from_secs(10))
}

#[tokio::main]
async fn main() -> Result<(), BoxDynError> {
    let url = std::env::args().nth(1);
    let url = url.unwrap_or_else(|| "redis://127.0.0.1:6379/15".to_owned());
    let queues = Queues::connect(ConnectOptions::new(url).prefix("example")).await?;
    let named = |name: &str| name.parse::<QueueName>().map(|name| queues.queue(&name));
    let (mails, reports) = (named("mails")?, named("reports")?);

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let sent = Sent::default();
    let running = monitor(mails.clone(), reports.clone(), sent.clone());
    let running = tokio::spawn(running.run_with_signal(async {
        // A service would wait for `tokio::signal::ctrl_c()`.
        let _ = stopped.await;
        Ok(())
    }));

    let mut pushed = Vec::new();
    for key in ["ann", "bob", "slow-carl"] {
        pushed.push((mails.clone(), mails.push(job("acme", key)?).await?));
    }
    pushed.push((reports.clone(), reports.push(job("acme", "july")?).await?));
    let in_a_while = Instant::now() + Duration::from_secs(20);
    for (queue, pushed) in &pushed {
        tracing::info!(waited = ?queue.wait(pushed.id(), in_a_while).await?, "a job ended");
    }
    assert_eq!(sent.0.load(Ordering::Relaxed), 3);

    let _ = stop.send(());
    running.await??;
    for queue in [mails, reports] {
        queue.purge_tenant("acme").await?;
    }
    Ok(())
}
