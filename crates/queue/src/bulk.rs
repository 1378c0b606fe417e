//! What people do to all jobs that match.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::error::QueueError;
use crate::job::{CancelOutcome, JobFilter, PromoteOutcome, RemoveOutcome, RetryOutcome};
use crate::name::JobId;
use crate::queues::Queue;

/// Jobs that are changed at once; each is a script call of its own.
const AT_ONCE: usize = 16;

/// What is done to jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// As [`Queue::cancel`].
    Cancel,
    /// As [`Queue::retry`].
    Retry,
    /// As [`Queue::promote`].
    Promote,
    /// As [`Queue::remove`].
    Remove,
}

/// What a change of all jobs that match came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bulk {
    /// Jobs that matched.
    pub matched: u64,
    /// Jobs that were changed; the others were in no state for it, or had just left it.
    pub changed: u64,
}

impl Queue {
    /// Changes all jobs of a tenant, or of all, that match; a dry run only counts them.
    /// O(log n) per job, 16 at once; queue-wide it looks through all jobs. It remembers the
    /// ids of all that match, about 100 bytes each.
    ///
    /// The filter's `cursor` and `limit` are not heeded. Jobs that arrive meanwhile may or
    /// may not be changed.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer; some jobs may be changed by then.
    pub async fn change_all(
        &self,
        change: Change,
        tenant: Option<&str>,
        filter: &JobFilter,
        is_dry_run: bool,
    ) -> Result<Bulk, QueueError> {
        let mut filter = JobFilter {
            cursor: None,
            limit: 200,
            ..filter.clone()
        };
        // All of them before the first is changed, for a change may move others in the list.
        let mut ids = Vec::new();
        loop {
            let page = self.list(tenant, &filter).await?;
            ids.extend(page.items.into_iter().map(|view| view.id));
            filter.cursor = page.next_cursor;
            if filter.cursor.is_none() {
                break;
            }
        }
        let mut bulk = Bulk {
            matched: ids.len() as u64,
            changed: 0,
        };
        if !is_dry_run {
            // Ids by value, for a future that borrows them cannot be spawned.
            let changes = ids
                .into_iter()
                .map(|id| async move { self.change(change, &id).await });
            let mut changes = stream::iter(changes).buffered(AT_ONCE);
            while let Some(is_changed) = changes.try_next().await? {
                bulk.changed += u64::from(is_changed);
            }
        }
        Ok(bulk)
    }

    async fn change(&self, change: Change, id: &JobId) -> Result<bool, QueueError> {
        Ok(match change {
            Change::Cancel => matches!(
                self.cancel(id).await?,
                CancelOutcome::Removed(_) | CancelOutcome::Signalled
            ),
            Change::Retry => matches!(
                self.retry(id).await?,
                RetryOutcome::Requeued(_) | RetryOutcome::Merged(_)
            ),
            Change::Promote => {
                matches!(self.promote(id).await?, PromoteOutcome::Promoted(_))
            }
            Change::Remove => self.remove(id).await? != RemoveOutcome::Unknown,
        })
    }
}
