//! What the processes of a fleet cost.

use std::time::Duration;

use tokenfleet_bench::process::{cpu, cpu_with_children};

/// The processes whose costs count.
pub(crate) struct Pids {
    pub(crate) worker: u32,
    pub(crate) scheduler: u32,
    pub(crate) redis: u32,
    pub(crate) postmaster: Option<u32>,
    pub(crate) provider: u32,
}

/// CPU time by process.
pub(crate) struct Cost {
    pub(crate) fleet: Duration,
    pub(crate) redis: Duration,
    pub(crate) postgres: Duration,
    pub(crate) provider: Duration,
}

impl Cost {
    /// Since each was started.
    pub(crate) fn so_far(pids: &Pids) -> anyhow::Result<Self> {
        Ok(Self {
            fleet: cpu(pids.worker)? + cpu(pids.scheduler)?,
            redis: cpu(pids.redis)?,
            postgres: pids
                .postmaster
                .map_or(Ok(Duration::ZERO), cpu_with_children)?,
            provider: cpu(pids.provider)?,
        })
    }

    /// From then to now.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            fleet: self.fleet.saturating_sub(before.fleet),
            redis: self.redis.saturating_sub(before.redis),
            postgres: self.postgres.saturating_sub(before.postgres),
            provider: self.provider.saturating_sub(before.provider),
        }
    }

    /// Without the provider: it is somebody else's.
    pub(crate) fn ours(&self) -> Duration {
        self.fleet + self.redis + self.postgres
    }
}
