//! What a due channel costs the scheduler, in a small table and in a large one.
//!
//! Each sweep is the scheduler's own: rows handed out by the store, jobs pushed to the
//! queue. The channels of one sweep are spread evenly over the table and were not touched
//! since it was filled, as those of a fleet that has run for hours. See `bench/README.md`.

mod filled;

use std::time::{Duration, Instant};

use anyhow::ensure;
use bench::figures::{Figures, Spread};
use bench::process::{cpu_exact, cpu_exact_with_children, own_cpu, until_stopped};
use bench::table;
use clap::Parser;
use serde_json::json;
use tokenfleet_bench as bench;

use crate::filled::{Filled, Filling};

/// Sweeps of each table before the clock starts: statements are prepared, scripts are loaded.
const WARMUP: u32 = 2;

/// Measures the due scan and the hand-out.
#[derive(Debug, Parser)]
struct Args {
    /// `sqlite`, `postgres` (a private server); both by default
    #[arg(long = "database", default_values = ["sqlite", "postgres"])]
    databases: Vec<String>,
    /// Channels of the small table
    #[arg(long, default_value_t = 10_000)]
    small: u32,
    /// Channels of the large table
    #[arg(long, default_value_t = 1_000_000)]
    large: u32,
    /// Channels that are due at each sweep, at most the scheduler's batch of 1,000
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    due: u32,
    /// Measured sweeps of each table; with two more they must fit into the small one
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// Milliseconds per due channel.
#[derive(Clone, Copy, Debug)]
struct Cost {
    wall: f64,
    cpu: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    until_stopped(Box::pin(measure(Args::parse()))).await
}

async fn measure(args: Args) -> anyhow::Result<()> {
    let sweeps = args.rounds + WARMUP;
    ensure!(
        args.small.min(args.large) / args.due >= sweeps,
        "{sweeps} sweeps of {} do not fit into a table of {}",
        args.due,
        args.small.min(args.large)
    );
    let mut rows = Vec::new();
    for database in &args.databases {
        rows.extend(compare(&args, database).await?);
    }
    table::print(
        "A due channel's cost: median (min–max)",
        &[
            "database", "channels", "wall ms", "CPU ms", "wall ×", "CPU ×",
        ],
        rows,
    );
    Ok(())
}

/// Both tables of one kind of database, in turn.
async fn compare(args: &Args, database: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let mut tables = Vec::new();
    for channels in [args.small, args.large] {
        let filling = Filling {
            channels,
            due: args.due,
            sweeps: args.rounds + WARMUP,
        };
        tables.push(Filled::new(database, filling).await?);
    }
    let mut costs = [Vec::new(), Vec::new()];
    for round in 0..args.rounds + WARMUP {
        for (table, costs) in tables.iter().zip(&mut costs) {
            let cost = sweep(table, args.due).await?;
            if round >= WARMUP {
                costs.push(cost);
            }
        }
    }
    let [small, large] = costs;
    Ok(tables
        .iter()
        .zip([&small, &large])
        .map(|(table, costs)| report(args, table, costs, &small))
        .collect())
}

async fn sweep(table: &Filled, due: u32) -> anyhow::Result<Cost> {
    table.let_some_become_due();
    table.forget_jobs().await?;
    let (cpu, at) = (cpu_of(table)?, Instant::now());
    let swept = scheduler::sweep(&table.scheduler).await?;
    let (wall, cpu) = (at.elapsed(), cpu_of(table)?.saturating_sub(cpu));
    ensure!(
        swept.handed_out == u64::from(due) && swept.queued == swept.handed_out,
        "{due} channels were due, but it was {swept:?}"
    );
    let each = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(due);
    Ok(Cost {
        wall: each(wall),
        cpu: each(cpu),
    })
}

/// Of everybody who takes part: this process, Redis and the database.
fn cpu_of(table: &Filled) -> anyhow::Result<Duration> {
    let postmaster = table.database.postmaster;
    let database = postmaster.map_or(Ok(Duration::ZERO), cpu_exact_with_children)?;
    Ok(own_cpu() + cpu_exact(table.redis.pid())? + database)
}

/// Prints the figures, and makes a row of the table of them.
fn report(args: &Args, table: &Filled, costs: &[Cost], small: &[Cost]) -> Vec<String> {
    let of = |field: fn(&Cost) -> f64| Spread::of(costs.iter().map(field));
    let by_small = |field: fn(&Cost) -> f64| {
        let pairs = costs.iter().zip(small);
        Spread::of(pairs.map(|(cost, small)| field(cost) / field(small)))
    };
    let figures = Figures::of(
        "sweep",
        &json!({
            "database": table.database.kind(), "channels": table.filling.channels,
            "due": args.due, "rounds": args.rounds,
        }),
    );
    let (wall, cpu) = (of(|cost| cost.wall), of(|cost| cost.cpu));
    figures.print_spread("wall_ms_per_due", &wall, "ms");
    figures.print_spread("cpu_ms_per_due", &cpu, "ms");
    let mut row = vec![
        table.database.kind().to_owned(),
        table.filling.channels.to_string(),
        format!("{wall:.4}"),
        format!("{cpu:.4}"),
    ];
    if table.filling.channels != args.small {
        let (wall, cpu) = (by_small(|cost| cost.wall), by_small(|cost| cost.cpu));
        figures.print_spread("wall_by_small", &wall, "ratio");
        figures.print_spread("cpu_by_small", &cpu, "ratio");
        row.extend([format!("{wall:.2}"), format!("{cpu:.2}")]);
    }
    row
}
