//! Carries the plan out, and undoes what is left of it at the end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Clock as _, SystemClock, Timestamp};
use simulator::Faults;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;
use crate::plan::{Act, Other, RedisFault, Step};
use crate::progress::Progress;

const TEND: Duration = Duration::from_millis(100);

/// What happened that explains something later.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    redis_lost: Mutex<Vec<Timestamp>>,
}

impl Chronicle {
    /// Whether Redis lost its data in this time.
    pub(crate) fn redis_lost_within(&self, from: Timestamp, until: Timestamp) -> bool {
        let lost = self
            .redis_lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lost.iter().any(|at| *at >= from && *at <= until)
    }

    fn redis_is_lost(&self) {
        let mut lost = self
            .redis_lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lost.push(SystemClock.now());
    }
}

/// Starts whoever should run and does not, until told.
///
/// # Errors
///
/// If a process cannot be started at all.
pub(crate) async fn tend(fleet: Arc<Fleet>, stop: CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        for place in &fleet.places {
            place.tend()?;
        }
        sleep(TEND).await;
    }
    Ok(())
}

/// Takes all steps at their time, and waits for the end of the last.
///
/// # Errors
///
/// If the harness itself fails, for instance to bring a server back.
pub(crate) async fn strike(
    (fleet, chronicle): (&Arc<Fleet>, &Arc<Chronicle>),
    plan: &[Step],
    length: Duration,
    progress: Progress,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut steps = JoinSet::new();
    for step in plan.iter().copied() {
        sleep_until(begin + step.at).await;
        progress.say(&step);
        let (fleet, chronicle) = (Arc::clone(fleet), Arc::clone(chronicle));
        let ends_at = begin + length;
        steps.spawn(async move { take(&fleet, &chronicle, step, ends_at).await });
    }
    while let Some(ended) = steps.join_next().await {
        ended??;
    }
    sleep_until(begin + length).await;
    Ok(())
}

/// One step from its beginning to its end: that of the run, unless it has to be longer than a lease.
async fn take(
    fleet: &Fleet,
    chronicle: &Chronicle,
    step: Step,
    ends_at: Instant,
) -> anyhow::Result<()> {
    let lasts = step
        .lasts
        .min(ends_at.saturating_duration_since(Instant::now()));
    match step.act {
        Act::Kill(seat) => fleet.at(seat).kill(step.lasts)?,
        Act::Stop(seat) => {
            if let Some(life) = fleet.at(seat).pause() {
                sleep(step.lasts).await;
                fleet.at(seat).resume(life);
            }
        }
        Act::Redis(fault) => {
            if matches!(fault, RedisFault::Flushed | RedisFault::Killed) {
                chronicle.redis_is_lost();
            }
            fleet.dispatcher.suffer(fault, lasts).await?;
        }
        Act::Database => {
            let away = fleet.base.take_away().await?;
            sleep(lasts).await;
            fleet.base.give_back(away).await?;
        }
        Act::Provider(storm) => {
            fleet.simulator.set_faults(storm.parse()?);
            sleep(lasts).await;
            fleet.simulator.set_faults(Faults::default());
        }
        Act::Cut(seat, other, failing) => {
            if let Some(link) = fleet.at(seat).links.to(other) {
                link.cut(failing);
                sleep(lasts).await;
                // A request that arrives at a provider after its sender gave it up would be a
                // second use of a token by nobody's fault; statements that arrive late are fenced.
                link.heal(other != Other::Provider);
            }
        }
    }
    Ok(())
}
