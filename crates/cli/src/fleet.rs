//! Runs one or several roles in this process until it is asked to stop.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use domain::ProcessUid;
use queue::QueueName;
use store::{ProcessInfo, Store, StoreError};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use vault::Vault;

/// How often a process looks which master key seals.
const KEY_LOOK: Duration = Duration::from_secs(2);
/// A process says that it lives every so many looks, and whenever the key has changed.
const LOOKS_PER_HEARTBEAT: u32 = 5;
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
    /// What it seals with; `None` in a role without keys.
    vault: Option<Arc<Vault>>,
    /// The key that the fleet seals with, if this process was found to lack it.
    lacking: Option<String>,
}

impl Presence {
    /// The process `uid` as it does `role`, with the keys of this vault.
    pub(crate) fn new(
        store: Store,
        uid: ProcessUid,
        role: &str,
        vault: Option<Arc<Vault>>,
    ) -> Self {
        let key_ids = vault.iter().flat_map(|vault| vault.ring().ids());
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
                key_ids: key_ids.map(str::to_owned).collect(),
                seals_with: vault.as_ref().map(|vault| vault.active_id()),
            },
            vault,
            lacking: None,
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
        if let Err(error) = presence.beat_once().await {
            // The database answered a moment ago; the next heartbeat makes up for it.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "this process is not in the list of processes yet"
            );
        }
        let beating = tokio::spawn(beat(presence, shutdown.clone()));
        if let Some((deps, listener)) = self.api {
            let deps = with_queue_checks(deps, self.worker.as_ref(), &polled)?;
            let stop = shutdown.clone();
            running.spawn(async move {
                api::run(deps, listener, stop).await;
                Ok(())
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

/// Tells the fleet that this process lives, and follows its master key, until it does not.
async fn beat(mut presence: Presence, shutdown: CancellationToken) {
    let mut ticks = interval(KEY_LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let beats = match presence.follow_key().await {
            Ok(changed) => changed || looks % LOOKS_PER_HEARTBEAT == 0,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "no look at the keys"
                );
                true
            }
        };
        looks += 1;
        if beats && let Err(error) = presence.beat_once().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "no heartbeat");
        }
    }
    let Presence { store, info, .. } = presence;
    if let Err(error) = store.forget_process(info.uid).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "no goodbye");
    }
}

impl Presence {
    /// Seals with the key that the database names; whether that is another one now.
    ///
    /// A key that this process lacks is told once: it goes on with the old one, and
    /// cannot open what the others seal.
    async fn follow_key(&mut self) -> Result<bool, StoreError> {
        let Some(vault) = &self.vault else {
            return Ok(false);
        };
        let Some(id) = self.store.active_key_id().await? else {
            return Ok(false);
        };
        if id == vault.active_id() || self.lacking.as_ref() == Some(&id) {
            return Ok(false);
        }
        match vault.activate(&id) {
            Ok(()) => {
                tracing::info!(key = id, "sealing with another master key");
                self.info.seals_with = Some(id);
                Ok(true)
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the fleet seals with a master key that this process lacks; add it and restart"
                );
                self.lacking = Some(id);
                Ok(false)
            }
        }
    }

    async fn beat_once(&self) -> Result<(), StoreError> {
        let seals_with = self.info.seals_with.as_deref();
        if self.store.heartbeat(self.info.uid, seals_with).await? {
            return Ok(());
        }
        self.store.register_process(self.info.clone()).await
    }
}
