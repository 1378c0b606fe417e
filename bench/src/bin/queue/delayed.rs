//! How late delayed jobs begin, and whether one was early.

use std::time::Duration;

use queue::{NewJob, When};
use serde_json::json;
use tokenfleet_bench::figures::{Figures, quantile};
use tokio::sync::mpsc;

use crate::ground::{Ground, job, now_ms};

/// Until the first is due: all of them are pushed by then.
const LEAD: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Delayed jobs
    #[arg(long, default_value_t = 2000)]
    jobs: usize,
    /// Milliseconds from one to the next
    #[arg(long, default_value_t = 2)]
    apart_ms: i64,
    /// Jobs at once
    #[arg(long, default_value_t = 10)]
    concurrency: usize,
}

pub(crate) async fn measure(ground: &Ground, args: &Args) -> anyhow::Result<()> {
    let (sender, mut begun) = mpsc::unbounded_channel();
    let worker = ground.work(args.concurrency, move |payload| {
        // Nobody listens any more once all have begun.
        let _ = sender.send((payload.channel_id, now_ms()));
        std::future::ready(())
    });
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds fit")]
    let first_ms = (now_ms() + LEAD.as_secs_f64() * 1e3) as i64;
    let due_ms = |number: usize| first_ms + args.apart_ms * i64::try_from(number).unwrap_or(0);
    let jobs = (0..args.jobs).map(|number| NewJob {
        when: When::At(due_ms(number)),
        ..job(number, 100)
    });
    ground.push(jobs).await?;

    let mut late = Vec::new();
    while late.len() < args.jobs {
        let Some((name, at_ms)) = begun.recv().await else {
            break;
        };
        let number = name.trim_start_matches("channel_").parse()?;
        #[expect(clippy::cast_precision_loss, reason = "this is no distant future")]
        late.push(at_ms - due_ms(number) as f64);
    }
    worker.stop().await?;

    let figures = Figures::of(
        "queue-delayed",
        &json!({
            "engine": "tokenfleet", "jobs": args.jobs, "apart_ms": args.apart_ms,
            "concurrency": args.concurrency,
        }),
    );
    figures.print("late_min_ms", quantile(&mut late, 0.0), "ms");
    figures.print("late_p50_ms", quantile(&mut late, 0.5), "ms");
    figures.print("late_p99_ms", quantile(&mut late, 0.99), "ms");
    figures.print("late_max_ms", quantile(&mut late, 1.0), "ms");
    Ok(())
}
