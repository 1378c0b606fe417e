//! Live progress: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use store::Store;

use super::seed::{Fleet, Look};
use crate::output::say;

const TICK: Duration = Duration::from_millis(100);
/// Without a terminal a line now and then is enough.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// Reading all channels costs more than reading the totals.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches until every due channel is refreshed, only people can help the rest,
/// or the time is over.
///
/// # Errors
///
/// If the database fails.
pub(super) async fn watch(store: &Store, fleet: &Fleet, limit: Duration) -> anyhow::Result<Look> {
    let due = u64::try_from(fleet.due()).unwrap_or(u64::MAX);
    let started = Instant::now();
    let mut show = Show::new(due);
    let mut looked = started;
    loop {
        let totals = store.job_totals(None).await?;
        let ended = totals.completed + totals.failed;
        show.tell(ended.min(due), totals.failed, started.elapsed());
        let over = started.elapsed() > limit;
        if over || ended >= due && looked.elapsed() > TICK || looked.elapsed() > LOOK_EVERY {
            let look = fleet.look(store).await?;
            looked = Instant::now();
            if over || look.open == look.stuck {
                show.end();
                return Ok(look);
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Where progress is shown.
enum Show {
    Bar(ProgressBar),
    Lines { due: u64, told: Instant },
}

impl Show {
    fn new(due: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines {
                due,
                told: Instant::now(),
            };
        }
        let style = ProgressStyle::with_template(
            "{bar:40} {pos}/{len} jobs done, {per_sec}, {elapsed} {msg}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        Self::Bar(ProgressBar::new(due).with_style(style))
    }

    fn tell(&mut self, done: u64, failed: u64, elapsed: Duration) {
        match self {
            Self::Bar(bar) => {
                if failed > 0 {
                    bar.set_message(format!("{failed} failed"));
                }
                bar.set_position(done);
            }
            Self::Lines { due, told } if told.elapsed() >= LINE_EVERY => {
                *told = Instant::now();
                say(format_args!(
                    "{:>4} s: {done}/{due} jobs done, {failed} failed",
                    elapsed.as_secs()
                ));
            }
            Self::Lines { .. } => {}
        }
    }

    fn end(self) {
        if let Self::Bar(bar) = self {
            bar.finish();
        }
    }
}
