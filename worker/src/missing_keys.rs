//! Master keys that envelopes name and this process lacks.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Says of each missing key once that channels wait for it: after a rotation that
/// went past this process there may be thousands of them, every minute.
#[derive(Debug, Default)]
pub(crate) struct MissingKeys(Mutex<HashSet<String>>);

impl MissingKeys {
    /// Tells the log, if the key was not told before.
    pub(crate) fn tell(&self, key_id: &str) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(key_id.to_owned()) {
            tracing::error!(
                key = key_id,
                "channels wait for a master key that this process lacks; add it and restart"
            );
        }
    }
}
