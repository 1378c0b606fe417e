//! From a push to the start of the handler, on an idle worker.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use tokenfleet_bench::figures::{Figures, quantile};
use tokio::sync::oneshot;

use crate::ground::{Ground, job};

/// Jobs before the clock starts.
const WARMUP: usize = 200;
/// The worker is waiting again.
const PAUSE: Duration = Duration::from_millis(5);
/// How long an idle worker is listened to: several of its safety polls.
const IDLE: Duration = Duration::from_secs(12);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Jobs, one at a time
    #[arg(long, default_value_t = 500)]
    jobs: usize,
}

/// Who wants to know when the next job begins.
type Waiting = Arc<Mutex<Option<oneshot::Sender<Instant>>>>;

pub(crate) async fn measure(ground: &mut Ground, args: &Args) -> anyhow::Result<()> {
    let waiting = Waiting::default();
    let worker = ground.work(10, {
        let waiting = Arc::clone(&waiting);
        move |_| {
            let begun_at = Instant::now();
            let waiting = waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            // Nobody else waits for it.
            let _ = waiting.map(|waiting| waiting.send(begun_at));
            std::future::ready(())
        }
    });
    let mut latencies = Vec::new();
    for number in 0..WARMUP + args.jobs {
        let (sender, begun) = oneshot::channel();
        *waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let pushed_at = Instant::now();
        ground.queue.push(job(number, 100)).await?;
        let begun_at = begun.await.context("the job did not begin")?;
        if number >= WARMUP {
            let latency = begun_at.saturating_duration_since(pushed_at);
            latencies.push(latency.as_secs_f64() * 1e3);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let commands = idle_commands(ground).await?;
    worker.stop().await?;

    let parameters = json!({"engine": "tokenfleet", "jobs": args.jobs});
    let figures = Figures::of("queue-pick-up", &parameters);
    figures.print("pick_up_p50_ms", quantile(&mut latencies, 0.5), "ms");
    figures.print("pick_up_p90_ms", quantile(&mut latencies, 0.9), "ms");
    figures.print("pick_up_p99_ms", quantile(&mut latencies, 0.99), "ms");
    figures.print("pick_up_max_ms", quantile(&mut latencies, 1.0), "ms");
    figures.print("idle_commands_per_s", commands, "1/s");
    Ok(())
}

/// What an idle worker asks of Redis.
async fn idle_commands(ground: &mut Ground) -> anyhow::Result<f64> {
    let field = "total_commands_processed";
    let before = ground.info("stats", field).await?;
    tokio::time::sleep(IDLE).await;
    // The question itself is one.
    let asked = ground.info("stats", field).await? - before - 1.0;
    Ok(asked / IDLE.as_secs_f64())
}
