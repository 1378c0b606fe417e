//! Is the database there, and are its tables those of this version?

use config::Loaded;
use store::{SchemaError, Store};

use super::Finding;
use crate::parts;

const PART: &str = "database";

/// The database if it can be used, and what was found.
pub(super) async fn examine(loaded: &Loaded) -> (Option<Store>, Vec<Finding>) {
    let Some(url) = parts::known_database_url(loaded) else {
        let found = "none yet; `up` makes one in the data directory";
        return (None, vec![Finding::good(PART, found)]);
    };
    let store = match parts::open_database(loaded, &url).await {
        Ok(store) => store,
        Err(error) => {
            let fix = "start it, or correct DATABASE_URL";
            return (None, vec![Finding::bad(PART, format!("{error:#}"), fix)]);
        }
    };
    let reached = match loaded.settings.database.url {
        Some(_) => format!("{} answers", loaded.told("database.url")),
        None => "its own, in the data directory, answers".to_owned(),
    };
    match store.check_schema().await {
        Ok(()) => (Some(store), vec![Finding::good(PART, reached)]),
        Err(error) => {
            let fix = match &error {
                SchemaError::Pending(_) => "tokenfleet migrate up",
                SchemaError::Newer(_) => "run the newer tokenfleet that made them",
                SchemaError::Store(_) => "look at the database's log",
            };
            let finding = Finding::bad(PART, format!("{error:#}"), fix);
            store.close().await;
            (None, vec![finding])
        }
    }
}
