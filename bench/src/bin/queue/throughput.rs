//! Jobs per second pushed and worked off, CPU and memory per job.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use queue::NewJob;
use serde_json::json;
use tokenfleet_bench::figures::Figures;
use tokenfleet_bench::process::{output, own_cpu, peak_resident_mib};
use tokio::sync::Notify;

use crate::ground::{Ground, Worker, job, job_of, push, queue_on};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Jobs that are worked off
    #[arg(long, default_value_t = 20_000, value_parser = some)]
    jobs: usize,
    /// Tenants that they belong to
    #[arg(long, default_value_t = 100, value_parser = some)]
    tenants: usize,
    /// Jobs at once
    #[arg(long, default_value_t = 50)]
    concurrency: usize,
    /// Jobs that still wait in the end
    #[arg(long, default_value_t = 0)]
    backlog: usize,
    /// Jobs of another worker that run all the time
    #[arg(long, default_value_t = 0)]
    running: usize,
    /// Another process pushes: memory is that of a worker alone, and pushing is not measured
    #[arg(long)]
    pusher_apart: bool,
}

/// What another process pushes.
#[derive(Debug, clap::Args)]
pub(crate) struct PushArgs {
    /// Jobs
    #[arg(long, value_parser = some)]
    jobs: usize,
    /// Tenants that they belong to
    #[arg(long, value_parser = some)]
    tenants: usize,
}

/// A number of things, at least one.
pub(crate) fn some(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a number, at least 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// Where the clocks stand.
struct Mark {
    at: Instant,
    /// Of this process and Redis.
    cpu: Duration,
}

impl Mark {
    async fn now(ground: &mut Ground) -> anyhow::Result<Self> {
        let redis = ground.redis_cpu().await?;
        Ok(Self {
            at: Instant::now(),
            cpu: own_cpu() + redis,
        })
    }

    fn per_s(&self, jobs: usize, later: &Self) -> f64 {
        count(jobs) / later.at.duration_since(self.at).as_secs_f64()
    }

    fn cpu_us(&self, jobs: usize, later: &Self) -> f64 {
        later.cpu.saturating_sub(self.cpu).as_secs_f64() * 1e6 / count(jobs)
    }
}

pub(crate) async fn measure(ground: &mut Ground, args: &Args) -> anyhow::Result<()> {
    let busy = match args.running {
        0 => None,
        running => Some(Busy::start(ground, running).await?),
    };
    let empty = ground.redis_bytes().await?;
    let pushed = args.jobs + args.backlog;
    let start = Mark::now(ground).await?;
    if args.pusher_apart {
        push_apart(ground, pushed, args.tenants).await?;
    } else {
        ground.push(jobs(pushed, args.tenants)).await?;
    }
    let enqueued = Mark::now(ground).await?;
    let full = ground.redis_bytes().await?;

    let begun = Mark::now(ground).await?;
    let worked = drain(ground, args).await?;
    let end = Mark::now(ground).await?;

    let figures = Figures::of(
        "queue",
        &json!({
            "engine": "tokenfleet", "jobs": args.jobs, "tenants": args.tenants,
            "concurrency": args.concurrency, "backlog": args.backlog, "running": args.running,
            "pusher_apart": args.pusher_apart,
        }),
    );
    if !args.pusher_apart {
        let cpu = start.cpu_us(pushed, &enqueued);
        figures.print("enqueue_per_s", start.per_s(pushed, &enqueued), "1/s");
        figures.print("enqueue_cpu_us_per_job", cpu, "µs");
    }
    figures.print("process_per_s", begun.per_s(worked, &end), "1/s");
    figures.print("process_cpu_us_per_job", begun.cpu_us(worked, &end), "µs");
    figures.print("waiting_bytes_per_job", (full - empty) / count(pushed), "B");
    if args.backlog == 0 {
        let kept = args.tenants * (args.jobs / args.tenants).min(10);
        let left = ground.redis_bytes().await? - empty;
        figures.print("finished_bytes_per_kept_job", left / count(kept), "B");
    }
    figures.print(
        "resident_mib",
        peak_resident_mib(std::process::id())?,
        "MiB",
    );
    match busy {
        Some(busy) => busy.stop().await,
        None => Ok(()),
    }
}

/// Pushes to a queue that somebody else has prepared.
pub(crate) async fn push_only(redis: Option<&str>, args: &PushArgs) -> anyhow::Result<()> {
    let queue = queue_on(redis.context("push needs --redis")?).await?;
    push(&queue, jobs(args.jobs, args.tenants)).await
}

/// Pushes from another process of this program.
async fn push_apart(ground: &Ground, count: usize, tenants: usize) -> anyhow::Result<()> {
    let (count, tenants) = (count.to_string(), tenants.to_string());
    let arguments = [
        "--redis",
        &ground.url,
        "push",
        "--jobs",
        &count,
        "--tenants",
        &tenants,
    ];
    let said = output(&std::env::current_exe()?, &arguments, &[]).await?;
    ensure!(said.is_empty(), "the pusher said {said}");
    Ok(())
}

fn jobs(count: usize, tenants: usize) -> impl Iterator<Item = NewJob> {
    (0..count).map(move |number| job(number, tenants))
}

/// Another worker, whose jobs run until it is let go.
struct Busy {
    worker: Worker,
    release: Arc<Notify>,
}

impl Busy {
    /// Starts it, and waits until so many jobs run.
    async fn start(ground: &Ground, running: usize) -> anyhow::Result<Self> {
        let jobs = (0..running).map(|number| NewJob {
            key: format!("busy_{number}"),
            ..job_of("busy", number)
        });
        ground.push(jobs).await?;
        let (begun, all) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let (begun, release) = (Arc::new(begun), Arc::new(Notify::new()));
        let worker = ground.work(running, {
            let (all, release) = (Arc::clone(&all), Arc::clone(&release));
            move |_| {
                let released = Arc::clone(&release).notified_owned();
                if begun.fetch_add(1, Ordering::Relaxed) + 1 == running {
                    all.notify_one();
                }
                released
            }
        });
        all.notified().await;
        Ok(Self { worker, release })
    }

    /// Ends its jobs.
    async fn stop(self) -> anyhow::Result<()> {
        self.release.notify_waiters();
        self.worker.stop().await
    }
}

/// Works off the jobs, and says how many it were when all of them were settled.
async fn drain(ground: &Ground, args: &Args) -> anyhow::Result<usize> {
    let (done, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let worker = ground.work(args.concurrency, {
        let (done, all, jobs) = (Arc::clone(&done), Arc::clone(&all), args.jobs);
        move |_| {
            if done.fetch_add(1, Ordering::Relaxed) + 1 == jobs {
                all.notify_one();
            }
            std::future::ready(())
        }
    });
    let limit = Duration::from_mins(10);
    let finished = tokio::time::timeout(limit, all.notified()).await;
    finished.context("the jobs were not worked off in ten minutes")?;
    worker.stop().await?;
    Ok(done.load(Ordering::Relaxed))
}

#[expect(clippy::cast_precision_loss, reason = "there are not that many jobs")]
pub(crate) fn count(jobs: usize) -> f64 {
    jobs as f64
}
