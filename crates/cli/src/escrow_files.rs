//! What lies in escrow in a data directory: answers that the database was not given yet.

use std::fs;
use std::path::{Path, PathBuf};

use store::Escrow;

/// The files that were found.
#[derive(Debug, Default)]
pub(crate) struct EscrowFiles {
    /// Ids of the master keys that seal the waiting answers, one per answer.
    pub(crate) sealed_with: Vec<String>,
    /// The same of answers that processes had on their way when they were killed, stored or not.
    pub(crate) left: Vec<String>,
    /// Files that cannot be read, set aside or not.
    pub(crate) damaged: Vec<PathBuf>,
}

impl EscrowFiles {
    /// Looks through `escrow/*/` of a data directory; one without it has none.
    pub(crate) fn in_dir(data_dir: &Path) -> Self {
        let left = worker::left_in(data_dir).into_iter();
        let mut found = Self {
            left: left.map(|answer| answer.sealed.key_id).collect(),
            ..Self::default()
        };
        for owner in entries(&data_dir.join("escrow")) {
            for file in entries(&owner) {
                match file.extension().and_then(|it| it.to_str()) {
                    Some("json") => found.read(file),
                    Some("damaged") => found.damaged.push(file),
                    // One that is being written has no name of its own yet.
                    _ => {}
                }
            }
        }
        found
    }

    fn read(&mut self, file: PathBuf) {
        // One that is gone was stored meanwhile.
        let Ok(text) = fs::read_to_string(&file) else {
            return;
        };
        match Escrow::parse(&text) {
            Ok(escrow) => self.sealed_with.push(escrow.sealed.key_id),
            Err(_) => self.damaged.push(file),
        }
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}
