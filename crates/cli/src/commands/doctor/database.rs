//! Is the database there, and are its tables those of this version?

use config::Loaded;
use secrecy::SecretString;
use store::{SchemaError, Store};

use super::Finding;
use crate::data_dir::{self, DataDir};
use crate::parts;

const PART: &str = "database";

/// The database if it can be used, and what was found.
pub(super) async fn examine(loaded: &Loaded) -> (Option<Store>, Vec<Finding>) {
    let Some(url) = url(loaded) else {
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

/// The one that is set, else the embedded one if it is there: the doctor makes none.
fn url(loaded: &Loaded) -> Option<SecretString> {
    if let Some(url) = &loaded.settings.database.url {
        return Some(url.clone());
    }
    let dir = &loaded.settings.data_dir;
    if !data_dir::database_file(dir).is_file() {
        return None;
    }
    Some(DataDir::open(dir).ok()?.database_url())
}
