//! How keys are made: kind, purpose, and a hash of what they are about.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::Cache;

impl Cache {
    /// `prefix:kind:name:hash`. What callers bring is hashed, so that keys have a
    /// bounded length and show neither a token nor an address of a person.
    pub(crate) fn key(&self, kind: &str, name: &str, subject: &[&str]) -> String {
        format!("{}:{kind}:{name}:{}", self.prefix, digest(subject))
    }
}

/// SHA-256 over the parts, each with its length, in 43 characters.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_one_another() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["ab", "c"]).len(), 43);
    }
}
