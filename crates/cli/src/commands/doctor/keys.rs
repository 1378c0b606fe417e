//! Are the master keys good, and is the one among them that seals?

use config::Loaded;
use store::{KnownKey, Store};
use vault::KeyRing;

use super::Finding;
use crate::parts;

const PART: &str = "master keys";

/// What was found.
pub(super) async fn examine(loaded: &Loaded, store: Option<&Store>) -> Finding {
    let (keys, origin) = match parts::known_master_keys(loaded) {
        Ok(Some(known)) => known,
        Ok(None) => return missing(store).await,
        Err(error) => return Finding::bad(PART, format!("{error:#}"), "make it readable"),
    };
    let ring = match KeyRing::parse(&keys) {
        Ok(ring) => ring,
        Err(error) => return Finding::bad(PART, format!("{origin}: {error}"), "correct the keys"),
    };
    let ids: Vec<&str> = ring.ids().collect();
    let known = match store {
        Some(store) => store.known_keys().await,
        None => Ok(Vec::new()),
    };
    match known {
        Err(error) => Finding::bad(PART, format!("{error}"), "look at the database"),
        Ok(known) => match known.iter().find(|key| is_lost(key, &ids)) {
            None => Finding::good(PART, format!("{origin}: {}", ids.join(", "))),
            Some(lost) => Finding::bad(
                PART,
                format!(
                    "{origin} holds {}, but the fleet has sealed with '{}'",
                    ids.join(", "),
                    lost.id
                ),
                "add that key, or what it sealed does not open; `tokenfleet keys status` tells more",
            ),
        },
    }
}

/// Whether the key has sealed, may still be needed, and is not here.
fn is_lost(key: &KnownKey, ids: &[&str]) -> bool {
    let needed = key.activated_at.is_some() && key.retired_at.is_none();
    needed && !ids.contains(&key.id.as_str())
}

async fn missing(store: Option<&Store>) -> Finding {
    let sealed = match store {
        Some(store) => store.known_keys().await.is_ok_and(|keys| !keys.is_empty()),
        None => false,
    };
    if sealed {
        return Finding::bad(
            PART,
            "none are set, but the database holds sealed credentials",
            "set TOKENFLEET_MASTER_KEYS to the keys that sealed them",
        );
    }
    Finding::good(
        PART,
        "none yet; `up` makes one, single roles need TOKENFLEET_MASTER_KEYS",
    )
}
