//! Lines for programs, and tables with the ratios for people.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tokenfleet_bench::figures::{Figures, Spread};
use tokenfleet_bench::table;

use crate::engine::{Engine, Run};
use crate::scenario::Scenario;

const ENGINES: [Engine; 3] = [Engine::Postgres, Engine::Peer, Engine::Sqlite];

/// All runs so far.
#[derive(Debug, Default)]
pub(crate) struct Results {
    runs: BTreeMap<(Scenario, Engine), Vec<Run>>,
}

impl Results {
    /// Notes a run; those of one scenario come in rounds.
    pub(crate) fn add(&mut self, scenario: Scenario, engine: Engine, run: Run) {
        self.runs.entry((scenario, engine)).or_default().push(run);
    }

    /// Prints a line per figure and engine.
    pub(crate) fn print_lines(&self, scenario: Scenario) {
        for engine in ENGINES {
            let Some(runs) = self.runs.get(&(scenario, engine)) else {
                continue;
            };
            let figures = Figures::of(
                "compare-fleet",
                &json!({
                    "engine": engine.name(), "channels": scenario.channels,
                    "concurrency": scenario.concurrency, "latency_ms": scenario.latency_ms,
                    "rounds": runs.len(),
                }),
            );
            let of = |field: fn(&Run) -> f64| Spread::of(runs.iter().map(field));
            figures.print_spread("refreshes_per_s", &of(|run| run.refreshes_per_s), "1/s");
            figures.print_spread(
                "cpu_ms_per_refresh",
                &of(|run| run.cpu_ms_per_refresh),
                "ms",
            );
            figures.print_spread(
                "worker_resident_mib",
                &of(|run| run.worker_resident_mib),
                "MiB",
            );
            figures.print_spread(
                "due_to_stored_p99_ms",
                &of(|run| run.due_to_stored_p99_ms),
                "ms",
            );
        }
    }

    /// Prints what was measured, and how ours compares to the peer.
    pub(crate) fn print_tables(&self) {
        table::print(
            "Measured: median (min–max)",
            &[
                "latency ms, at once, channels",
                "engine",
                "refreshes/s",
                "of ideal",
                "CPU ms per refresh",
                "worker MiB",
                "due to stored p99 ms",
            ],
            self.runs.iter().map(measured),
        );
        let ratios: Vec<Vec<String>> = self.ratios().chain(self.best_ratios()).collect();
        if !ratios.is_empty() {
            table::print(
                "Ours by the peer's: median (min–max) of the rounds",
                &[
                    "latency ms, at once, channels",
                    "engine",
                    "refreshes/s ×",
                    "CPU ×",
                    "worker memory ×",
                ],
                ratios,
            );
        }
    }

    /// Round by round, so that noise which both met falls out.
    fn ratios(&self) -> impl Iterator<Item = Vec<String>> {
        let ours = self.runs.iter();
        ours.filter_map(|((scenario, engine), ours)| {
            let theirs = self.runs.get(&(*scenario, Engine::Peer))?;
            if *engine == Engine::Peer {
                return None;
            }
            let by = |field: fn(&Run) -> f64| {
                let pairs = ours.iter().zip(theirs);
                Spread::of(pairs.map(|(ours, theirs)| field(ours) / field(theirs)))
            };
            Some(vec![
                label(*scenario),
                engine.to_string(),
                format!("{:.2}", by(|run| run.refreshes_per_s)),
                format!("{:.2}", by(|run| run.cpu_ms_per_refresh)),
                format!("{:.2}", by(|run| run.worker_resident_mib)),
            ])
        })
    }

    /// With a free choice of concurrency, where a latency was measured with several.
    fn best_ratios(&self) -> impl Iterator<Item = Vec<String>> {
        let mut concurrencies: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for (scenario, _) in self.runs.keys() {
            let of_latency = concurrencies.entry(scenario.latency_ms).or_default();
            of_latency.insert(scenario.concurrency);
        }
        concurrencies.retain(|_, several| several.len() > 1);
        let engines = [Engine::Postgres, Engine::Sqlite];
        let pairs = engines.into_iter().flat_map(move |engine| {
            concurrencies
                .clone()
                .into_keys()
                .map(move |it| (it, engine))
        });
        pairs.filter_map(|(latency_ms, engine)| self.best_ratio(latency_ms, engine))
    }

    fn best_ratio(&self, latency_ms: u32, engine: Engine) -> Option<Vec<String>> {
        let (ours, our_speed) = self.best(latency_ms, engine)?;
        let (theirs, their_speed) = self.best(latency_ms, Engine::Peer)?;
        Some(vec![
            format!(
                "{latency_ms}, best ({} and {})",
                ours.concurrency, theirs.concurrency
            ),
            engine.to_string(),
            format!("{:.2}", our_speed / their_speed),
            String::new(),
            String::new(),
        ])
    }

    /// The scenario with the highest median of refreshes per second.
    fn best(&self, latency_ms: u32, engine: Engine) -> Option<(Scenario, f64)> {
        self.runs
            .iter()
            .filter(|((scenario, of), _)| scenario.latency_ms == latency_ms && *of == engine)
            .map(|((scenario, _), runs)| (*scenario, speed(runs).median))
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

fn measured(((scenario, engine), runs): (&(Scenario, Engine), &Vec<Run>)) -> Vec<String> {
    let speed = speed(runs);
    let of = |field: fn(&Run) -> f64| Spread::of(runs.iter().map(field));
    let share = scenario
        .ideal_per_s()
        .map_or_else(String::new, |ideal| format!("{:.3}", speed.median / ideal));
    vec![
        label(*scenario),
        engine.to_string(),
        format!("{speed:.0}"),
        share,
        format!("{:.3}", of(|run| run.cpu_ms_per_refresh)),
        format!("{:.0}", of(|run| run.worker_resident_mib)),
        format!("{:.0}", of(|run| run.due_to_stored_p99_ms)),
    ]
}

fn speed(runs: &[Run]) -> Spread {
    Spread::of(runs.iter().map(|run| run.refreshes_per_s))
}

fn label(scenario: Scenario) -> String {
    let Scenario {
        latency_ms,
        concurrency,
        channels,
    } = scenario;
    format!("{latency_ms}, {concurrency}, {channels}")
}
