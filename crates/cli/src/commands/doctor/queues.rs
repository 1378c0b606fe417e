//! Is a queue paused that somebody may have forgotten?

use config::Loaded;
use queue::{QueueName, Queues};

use super::Finding;
use crate::parts;

const PART: &str = "queues";

/// Which of them give nothing out, to anybody or to some tenants.
pub(super) async fn examine(loaded: &Loaded, queues: &Queues) -> Vec<Finding> {
    let Ok(providers) = parts::open_providers(loaded) else {
        // The providers' own finding says so.
        return Vec::new();
    };
    let names = providers.names().map(jobs::refresh_queue);
    let mut findings = Vec::new();
    for name in names.chain([jobs::sweep_queue(), jobs::webhook_queue()]) {
        match look(queues, &name).await {
            Ok(found) => findings.extend(found),
            Err(error) => {
                let found = format!("{name}: {error}");
                findings.push(Finding::bad(PART, found, "see the Redis server's log"));
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding::good(PART, "none is paused"));
    }
    findings
}

async fn look(queues: &Queues, name: &QueueName) -> Result<Option<Finding>, queue::QueueError> {
    let queue = queues.queue(name);
    if queue.limits(None).await?.paused {
        let fix = format!("`tokenfleet queue resume {name}` when it may go on");
        return Ok(Some(Finding::bad(PART, format!("{name} is paused"), fix)));
    }
    let limited = queue.limited_tenants().await?;
    let paused = limited.iter().filter(|(_, limits)| limits.paused).count();
    Ok((paused > 0).then(|| {
        let found = format!("{name} is paused for {paused} tenants");
        let fix = format!("`tokenfleet queue resume {name} --tenant …` for those that may go on");
        Finding::bad(PART, found, fix)
    }))
}
