//! Takes the jobs of what was deleted out of the queues.
//!
//! The database has the deletion already; a job that stays behind, because Redis
//! is away, finds nothing to do. So a failure here is logged and nothing else.

use domain::TenantUid;
use futures::future::join_all;
use queue::{QueueError, QueueName};
use store::Channel;

use crate::App;

/// Removes the job of a channel.
pub(crate) async fn channel(app: &App, channel: &Channel) {
    let queue = app.queues.queue(&jobs::refresh_queue(&channel.provider));
    let key = jobs::refresh_key(channel.uid);
    let purged = queue.purge_key(&channel.tenant.to_string(), &key).await;
    report(queue.name(), purged);
}

/// Removes all jobs of a tenant.
pub(crate) async fn tenant(app: &App, tenant: TenantUid) {
    let tenant = tenant.to_string();
    let purges = app.queue_names().map(|name| {
        let (queue, tenant) = (app.queues.queue(&name), &tenant);
        async move { (name, queue.purge_tenant(tenant).await) }
    });
    for (name, purged) in join_all(purges).await {
        report(&name, purged);
    }
}

fn report<T>(queue: &QueueName, purged: Result<T, QueueError>) {
    if let Err(error) = purged {
        tracing::warn!(
            queue = %queue,
            error = &error as &dyn std::error::Error,
            "jobs of something deleted stay in the queue until they run"
        );
    }
}
