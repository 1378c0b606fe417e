//! What tenants and channels are called, as one watcher has learned it.

use std::collections::HashMap;

use domain::{ChannelUid, Name, TenantUid};
use queue::JobEvent;

use crate::App;

/// Names that are kept; more than that begin anew.
const MOST: usize = 10_000;

/// Names by the ids that events carry; `None` for what has none, or is gone. An id keeps its
/// name for good.
#[derive(Debug, Default)]
pub(super) struct Names {
    tenants: HashMap<String, Option<Name>>,
    channels: HashMap<ChannelUid, Option<Name>>,
}

impl Names {
    /// Those of a watcher who sees one tenant alone.
    pub(super) fn within(tenant: TenantUid, name: Name) -> Self {
        Self {
            tenants: HashMap::from([(tenant.to_string(), Some(name))]),
            channels: HashMap::new(),
        }
    }

    /// Learns what these events are about, with one question for all channels. While the
    /// database is away it learns nothing, and asks again for the next event.
    pub(super) async fn learn(&mut self, app: &App, events: &[JobEvent]) {
        if self.channels.len() > MOST {
            self.channels.clear();
        }
        let uids = events.iter().filter_map(channel_of);
        let new: Vec<ChannelUid> = uids.filter(|it| !self.channels.contains_key(it)).collect();
        if let Ok(mut found) = app.store.channel_names(&new).await {
            let known = new.iter().map(|uid| (*uid, found.remove(uid)));
            self.channels.extend(known);
        }
        for event in events {
            if self.tenants.contains_key(&event.tenant) {
                continue;
            }
            let Ok(uid) = event.tenant.parse() else {
                continue;
            };
            if let Ok(found) = app.store.tenant_by_uid(uid).await {
                let name = found.map(|tenant| tenant.id);
                self.tenants.insert(event.tenant.clone(), name);
            }
        }
    }

    /// The names of tenant and channel.
    pub(super) fn of(&self, event: &JobEvent) -> (Option<Name>, Option<Name>) {
        let channel = channel_of(event).and_then(|uid| self.channels.get(&uid));
        let tenant = self.tenants.get(&event.tenant);
        (tenant.cloned().flatten(), channel.cloned().flatten())
    }
}

/// The key of a refresh is its channel's uid; what another uid names is no channel.
fn channel_of(event: &JobEvent) -> Option<ChannelUid> {
    event.id.key.parse().ok()
}
