//! Lines for programs, and tables with the ratios for people.

use std::collections::BTreeMap;

use serde_json::json;
use tokenfleet_bench::figures::{Figures, Spread};
use tokenfleet_bench::table;

use crate::engine::{Engine, PickUp, Run};

/// A figure of a run, with its name and unit.
type Field<T> = (&'static str, &'static str, fn(&T) -> f64);

const RUN: [Field<Run>; 4] = [
    ("enqueue_per_s", "1/s", |run| run.enqueue_per_s),
    ("process_per_s", "1/s", |run| run.process_per_s),
    ("cpu_us_per_job", "µs", |run| run.cpu_us_per_job),
    ("resident_mib", "MiB", |run| run.resident_mib),
];
const PICK_UP: [Field<PickUp>; 2] = [
    ("pick_up_p50_ms", "ms", |run| run.p50),
    ("pick_up_p99_ms", "ms", |run| run.p99),
];

/// All runs so far.
#[derive(Debug, Default)]
pub(crate) struct Results {
    runs: BTreeMap<(u32, Engine), Vec<Run>>,
    pick_ups: BTreeMap<Engine, Vec<PickUp>>,
}

impl Results {
    /// Notes a run; those of one concurrency come in rounds.
    pub(crate) fn add(&mut self, engine: Engine, concurrency: u32, run: Run) {
        self.runs
            .entry((concurrency, engine))
            .or_default()
            .push(run);
    }

    /// Notes a round of pick-ups.
    pub(crate) fn add_pick_up(&mut self, engine: Engine, pick_up: PickUp) {
        self.pick_ups.entry(engine).or_default().push(pick_up);
    }

    /// Prints a line per figure and engine.
    pub(crate) fn print_lines(&self, jobs: u32) {
        for ((concurrency, engine), runs) in &self.runs {
            let parameters = json!({
                "engine": engine.name(), "jobs": jobs, "concurrency": concurrency,
                "rounds": runs.len(),
            });
            let figures = Figures::of("compare-queue", &parameters);
            for (name, unit, field) in RUN {
                figures.print_spread(name, &Spread::of(runs.iter().map(field)), unit);
            }
        }
        for (engine, runs) in &self.pick_ups {
            let parameters = json!({"engine": engine.name(), "rounds": runs.len()});
            let figures = Figures::of("compare-queue", &parameters);
            for (name, unit, field) in PICK_UP {
                figures.print_spread(name, &Spread::of(runs.iter().map(field)), unit);
            }
        }
    }

    /// Prints what was measured, and how ours compares to each of the others.
    pub(crate) fn print_tables(&self) {
        table::print(
            "Measured: median (min–max)",
            &[
                "at once",
                "engine",
                "enqueue/s",
                "process/s",
                "CPU µs per job",
                "client MiB",
            ],
            self.runs.iter().map(|((concurrency, engine), runs)| {
                let figures = RUN.map(|(_, _, field)| {
                    let spread = Spread::of(runs.iter().map(field));
                    format!("{spread:.0}")
                });
                row(concurrency.to_string(), *engine, figures)
            }),
        );
        table::print(
            "Ours by theirs: median (min–max) of the rounds",
            &[
                "at once",
                "beside",
                "enqueue/s ×",
                "process/s ×",
                "CPU ×",
                "memory ×",
            ],
            self.runs
                .iter()
                .filter_map(|((concurrency, engine), theirs)| {
                    let ours = self.runs.get(&(*concurrency, Engine::Tokenfleet))?;
                    let ratios = RUN.map(|(_, _, field)| ratio(ours, theirs, field));
                    let is_other = *engine != Engine::Tokenfleet;
                    is_other.then(|| row(concurrency.to_string(), *engine, ratios))
                }),
        );
        table::print(
            "Pick-up on an idle worker: median (min–max)",
            &["engine", "p50 ms", "p99 ms"],
            self.pick_ups.iter().map(|(engine, runs)| {
                let figures = PICK_UP.map(|(_, _, field)| {
                    let spread = Spread::of(runs.iter().map(field));
                    format!("{spread:.3}")
                });
                [engine.to_string()].into_iter().chain(figures).collect()
            }),
        );
    }
}

/// Round by round, so that noise which both met falls out.
fn ratio(ours: &[Run], theirs: &[Run], field: fn(&Run) -> f64) -> String {
    let pairs = ours.iter().zip(theirs);
    let spread = Spread::of(pairs.map(|(ours, theirs)| field(ours) / field(theirs)));
    format!("{spread:.2}")
}

fn row<const N: usize>(first: String, engine: Engine, rest: [String; N]) -> Vec<String> {
    [first, engine.to_string()]
        .into_iter()
        .chain(rest)
        .collect()
}
