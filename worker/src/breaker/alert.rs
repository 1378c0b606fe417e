//! Tells the operator of an incident: a line in the log, and an event of the tenant `platform`.

use std::sync::{Mutex, PoisonError};

use domain::{Alert, EventKind, Incident};
use providers::Upstream;
use serde_json::{Value, json};
use store::Store;

/// Notices that wait for the database at most; the log has them all.
const WAITING_MAX: usize = 100;

/// Alerts on their way to the outbox.
#[derive(Debug)]
pub(super) struct Alerts {
    store: Store,
    waiting: Mutex<Vec<(EventKind, Value)>>,
}

impl Alerts {
    pub(super) const fn new(store: Store) -> Self {
        Self {
            store,
            waiting: Mutex::new(Vec::new()),
        }
    }

    /// One line: an error if the fleet stopped, a warning that it is back.
    pub(super) fn log(app: &str, alert: &Alert) {
        match alert {
            Alert::Opened(incident) => tracing::error!(
                app,
                why = incident.why.as_str(),
                sample = incident.sample,
                "the fleet stopped calling a provider; jobs wait, no channel is given up"
            ),
            Alert::Ended(incident) => tracing::warn!(
                app,
                why = incident.why.as_str(),
                probes = incident.probes,
                "the fleet calls a provider again"
            ),
        }
    }

    /// Writes the event; later, if the database is away.
    pub(super) async fn tell(&self, upstream: &Upstream, alert: Alert) {
        let (kind, incident) = match alert {
            Alert::Opened(incident) => (EventKind::BreakerOpened, incident),
            Alert::Ended(incident) => (EventKind::BreakerClosed, incident),
        };
        self.write(kind, payload(upstream, &incident)).await;
    }

    /// Tries what the database did not take.
    pub(super) async fn retry(&self) {
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        for (kind, payload) in waiting {
            self.write(kind, payload).await;
        }
    }

    async fn write(&self, kind: EventKind, payload: Value) {
        let Err(error) = self.store.tell_operator(kind, &payload).await else {
            return;
        };
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "an alert waits for the database"
        );
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.push((kind, payload));
        }
    }
}

fn payload(upstream: &Upstream, incident: &Incident) -> Value {
    json!({
        "app_identity": upstream.identity,
        "fingerprint": upstream.fingerprint,
        "why": incident.why,
        "opened_at": incident.opened_at,
        "closed_at": incident.closed_at,
        "sample": incident.sample,
        "probes": incident.probes,
    })
}
