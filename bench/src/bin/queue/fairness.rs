//! How long newcomers wait while one tenant has a backlog.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokenfleet_bench::figures::{Figures, quantile};
use tokio::sync::mpsc;

use crate::ground::{Ground, job_of};
use crate::throughput::{count, some};

const BIG: &str = "big";
/// What the big tenant's jobs may have done before anybody comes.
const HEAD_START: usize = 1000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Jobs of the one
    #[arg(long, default_value_t = 100_000)]
    backlog: usize,
    /// The others, one after the other
    #[arg(long, default_value_t = 99)]
    newcomers: usize,
    /// Jobs of each of them
    #[arg(long, default_value_t = 10, value_parser = some)]
    jobs: usize,
    /// Jobs at once
    #[arg(long, default_value_t = 50)]
    concurrency: usize,
}

pub(crate) async fn measure(ground: &Ground, args: &Args) -> anyhow::Result<()> {
    let of_big = (0..args.backlog).map(|number| job_of(BIG, number));
    ground.push(of_big).await?;
    let begun_of_big = Arc::new(AtomicUsize::new(0));
    let (sender, mut begun) = mpsc::unbounded_channel();
    let worker = ground.work(args.concurrency, {
        let begun_of_big = Arc::clone(&begun_of_big);
        move |payload| {
            let is_big = payload.tenant_id == BIG;
            let of_big = begun_of_big.fetch_add(usize::from(is_big), Ordering::Relaxed);
            if !is_big || of_big == HEAD_START {
                // Nobody listens any more once all have begun.
                let _ = sender.send((Instant::now(), of_big));
            }
            std::future::ready(())
        }
    });
    begun.recv().await.context("the worker has ended")?;

    let (mut waits, mut behind) = (Vec::new(), Vec::new());
    for newcomer in 0..args.newcomers {
        let tenant = format!("newcomer_{newcomer}");
        let first = args.backlog + newcomer * args.jobs;
        let (came_at, of_big_then) = (Instant::now(), begun_of_big.load(Ordering::Relaxed));
        let jobs = (first..first + args.jobs).map(|number| job_of(&tenant, number));
        ground.push(jobs).await?;
        for place in 0..args.jobs {
            let (at, of_big) = begun.recv().await.context("the worker has ended")?;
            if place == 0 {
                waits.push(at.saturating_duration_since(came_at).as_secs_f64() * 1e3);
                behind.push(count(of_big.saturating_sub(of_big_then)));
            }
        }
    }
    let of_big = begun_of_big.load(Ordering::Relaxed);
    worker.stop().await?;
    ensure!(of_big < args.backlog, "the backlog was too small to last");
    report(args, &mut waits, &mut behind);
    Ok(())
}

fn report(args: &Args, waits: &mut [f64], behind: &mut [f64]) {
    let figures = Figures::of(
        "queue-fairness",
        &json!({
            "engine": "tokenfleet", "backlog": args.backlog, "newcomers": args.newcomers,
            "jobs": args.jobs, "concurrency": args.concurrency,
        }),
    );
    figures.print("first_job_p50_ms", quantile(waits, 0.5), "ms");
    figures.print("first_job_max_ms", quantile(waits, 1.0), "ms");
    figures.print("first_job_behind_p50", quantile(behind, 0.5), "jobs");
    figures.print("first_job_behind_max", quantile(behind, 1.0), "jobs");
}
