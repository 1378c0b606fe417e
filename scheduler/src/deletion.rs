//! Removes channels that are on their way out, once nothing holds them.

use std::collections::BTreeMap;

use queue::QueueName;
use store::Due;

use crate::{Deps, SweepError};

/// Takes the channels out of their queues and then out of the database.
///
/// A channel whose lease is still held stays and is found by a later sweep.
pub(crate) async fn remove(deps: &Deps, leaving: &[Due]) -> Result<u64, SweepError> {
    if leaving.is_empty() {
        return Ok(0);
    }
    let mut by_queue: BTreeMap<QueueName, Vec<&Due>> = BTreeMap::new();
    for due in leaving {
        let queue = jobs::refresh_queue(&due.provider);
        by_queue.entry(queue).or_default().push(due);
    }
    for (name, leaving) in by_queue {
        let queue = deps.queues.queue(&name);
        for due in leaving {
            let key = jobs::refresh_key(due.channel);
            queue.purge_key(&due.tenant.to_string(), &key).await?;
        }
    }
    let uids: Vec<_> = leaving.iter().map(|due| due.channel).collect();
    Ok(deps.store.remove_deleted(&uids).await?)
}
