//! Looking at jobs: one of them, and how many there are.

use crate::error::QueueError;
use crate::job::{Counts, JobView};
use crate::name::JobId;
use crate::queues::Queue;

impl Queue {
    /// One job, live or retained. O(1).
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer.
    pub async fn job(&self, id: &JobId) -> Result<Option<JobView>, QueueError> {
        let (core, local) = (&self.core, id.local());
        let mut read = redis::pipe();
        read.atomic()
            .hget(core.keys.jobs(), &id.key)
            .hget(core.keys.ok(), &local)
            .hget(core.keys.ko(), &local);
        let [live, ended @ ..]: [Option<Vec<u8>>; 3] = core.link.query_all(&read).await?;
        if let Some(record) = live
            && let Some(view) = core.decode(&record)?.view_of(id)
        {
            return Ok(Some(view));
        }
        let mut views = Vec::new();
        for record in ended.into_iter().flatten() {
            views.extend(core.decode(&record)?.view_of(id));
        }
        // An id that a pusher chose twice may have ended twice.
        Ok(views.into_iter().max_by_key(|view| view.finished_at_ms))
    }

    /// The live job of a key. O(1).
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer.
    pub async fn find(&self, key: &str) -> Result<Option<JobView>, QueueError> {
        let core = &self.core;
        let mut read = redis::cmd("HGET");
        read.arg(core.keys.jobs()).arg(key);
        let record: Option<Vec<u8>> = core.link.query(&read).await?;
        record
            .map(|record| Ok(core.decode(&record)?.view(&core.name, key)))
            .transpose()
    }

    /// How many jobs of a tenant, or of all, stand where. O(1).
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer.
    pub async fn counts(&self, tenant: Option<&str>) -> Result<Counts, QueueError> {
        let (keys, link) = (&self.core.keys, &self.core.link);
        let mut read = redis::pipe();
        read.atomic();
        if let Some(tenant) = tenant {
            read.zcard(keys.of('w', tenant))
                .zcard(keys.of('d', tenant))
                .hget(keys.running(), tenant)
                .llen(keys.of('c', tenant))
                .llen(keys.of('f', tenant));
        } else {
            read.hlen(keys.jobs())
                .zcard(keys.delayed())
                .zcard(keys.leases())
                .hlen(keys.ok())
                .hlen(keys.ko());
        }
        let counts: [Option<u64>; 5] = link.query_all(&read).await?;
        let [first, delayed, active, completed, failed] = counts.map(Option::unwrap_or_default);
        Ok(Counts {
            waiting: match tenant {
                Some(_) => first,
                // Every live job is in exactly one of three places.
                None => first.saturating_sub(delayed + active),
            },
            delayed,
            active,
            completed,
            failed,
        })
    }
}
