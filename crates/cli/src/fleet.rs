//! Runs one or several roles in this process until it is asked to stop.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use domain::ProcessUid;
use queue::QueueName;
use store::{ProcessInfo, Store};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often a process says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A queue that was not polled for longer is not worked on.
const POLLED_WITHIN: Duration = Duration::from_secs(20);

/// The roles of this process.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// Finds what is due.
    pub(crate) scheduler: Option<scheduler::Deps>,
    /// Runs jobs.
    pub(crate) worker: Option<worker::Deps>,
    /// Answers requests at this listener.
    pub(crate) api: Option<(api::Deps, TcpListener)>,
}

/// How this process is known to the fleet.
#[derive(Debug)]
pub(crate) struct Presence {
    /// Where the fleet's processes are listed.
    pub(crate) store: Store,
    /// What is listed.
    pub(crate) info: ProcessInfo,
}

impl Presence {
    /// The process `uid` as it does `role`, opening envelopes with the keys `key_ids`.
    pub(crate) fn new(store: Store, uid: ProcessUid, role: &str, key_ids: Vec<String>) -> Self {
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        Self {
            store,
            info: ProcessInfo {
                uid,
                role: role.to_owned(),
                host,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                key_ids,
            },
        }
    }
}

impl Roles {
    /// Runs them until `shutdown`, then until they have drained. If one ends by
    /// itself, all do.
    ///
    /// # Errors
    ///
    /// Why a role could not run.
    pub(crate) async fn run(
        self,
        presence: Presence,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let polled = Arc::new(OnceLock::new());
        let mut running: JoinSet<anyhow::Result<()>> = JoinSet::new();
        presence
            .store
            .register_process(presence.info.clone())
            .await?;
        let beating = tokio::spawn(beat(presence, shutdown.clone()));
        if let Some((deps, listener)) = self.api {
            let deps = with_queue_checks(deps, self.worker.as_ref(), &polled)?;
            let stop = shutdown.clone();
            running.spawn(async move {
                let ended = api::run(deps, listener, stop).await;
                ended.context("the API ended")
            });
        }
        if let Some(deps) = self.worker {
            let stop = shutdown.clone();
            running.spawn(async move {
                let started = move |health| drop(polled.set(health));
                let ended = worker::run(deps, stop, started).await;
                ended.context("the workers ended")
            });
        }
        if let Some(deps) = self.scheduler {
            let stop = shutdown.clone();
            running.spawn(async move {
                scheduler::run(deps, stop).await;
                Ok(())
            });
        }
        let ended = all(running, &shutdown).await;
        shutdown.cancel();
        drop(beating.await);
        ended
    }
}

/// Waits for all; the first that fails, or ends unasked, stops the others.
async fn all(
    mut running: JoinSet<anyhow::Result<()>>,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut first = Ok(());
    while let Some(ended) = running.join_next().await {
        let ended = ended.unwrap_or_else(|panic| Err(anyhow!(panic).context("a role panicked")));
        let ended = match ended {
            Ok(()) if !shutdown.is_cancelled() => Err(anyhow!("a role ended by itself")),
            other => other,
        };
        shutdown.cancel();
        if first.is_ok() {
            first = ended;
        }
    }
    first
}

/// Adds to `/readyz` that each queue was polled lately by the workers of this process.
fn with_queue_checks(
    mut deps: api::Deps,
    worker: Option<&worker::Deps>,
    polled: &Arc<OnceLock<worker::Health>>,
) -> anyhow::Result<api::Deps> {
    let Some(worker) = worker else {
        return Ok(deps);
    };
    for name in worker::queue_names(worker)? {
        let polled = Arc::clone(polled);
        deps.health = deps.health.with(format!("queue {name}"), move || {
            polled_lately(&polled, &name)
        });
    }
    Ok(deps)
}

fn polled_lately(polled: &OnceLock<worker::Health>, name: &QueueName) -> Result<(), String> {
    let last = polled.get().and_then(|health| {
        let (_, queue) = health.queues.iter().find(|(known, _)| known == name)?;
        queue.last_round_trip()
    });
    match last.map(|at| at.elapsed()) {
        Some(age) if age < POLLED_WITHIN => Ok(()),
        Some(age) => Err(format!("not polled for {} s", age.as_secs())),
        None => Err("not polled yet".to_owned()),
    }
}

/// Tells the fleet that this process lives, until it does not.
async fn beat(presence: Presence, shutdown: CancellationToken) {
    let Presence { store, info } = presence;
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let told = match store.heartbeat(info.uid).await {
            Ok(true) => Ok(()),
            Ok(false) => store.register_process(info.clone()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            tracing::debug!(error = &error as &dyn std::error::Error, "no heartbeat");
        }
    }
    if let Err(error) = store.forget_process(info.uid).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "no goodbye");
    }
}
