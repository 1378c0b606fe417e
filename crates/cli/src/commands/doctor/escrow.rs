//! Do answers wait for the database, or lie there damaged?

use std::path::Path;

use super::Finding;
use crate::escrow_files::EscrowFiles;

const PART: &str = "escrow";

/// What was found.
pub(super) fn examine(data_dir: &Path) -> Vec<Finding> {
    let found = EscrowFiles::in_dir(data_dir);
    let mut findings = Vec::new();
    if !found.sealed_with.is_empty() {
        findings.push(Finding::bad(
            PART,
            format!(
                "{} answers of providers wait for the database",
                found.sealed_with.len()
            ),
            "start a worker (or `up`) with this data directory: it stores them first",
        ));
    }
    if !found.left.is_empty() {
        findings.push(Finding::bad(
            PART,
            format!(
                "a process was killed with up to {} answers of providers on their way to the \
                 database",
                found.left.len()
            ),
            "start a worker (or `up`) with this data directory: it stores what is not stored yet",
        ));
    }
    if let Some(first) = found.damaged.first() {
        findings.push(Finding::bad(
            PART,
            format!(
                "{} files cannot be read, such as {}",
                found.damaged.len(),
                first.display()
            ),
            "keep them for a look, then move them away; their channels were refreshed anew or \
             say possibly_lost_rotation",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::good(PART, "nothing waits"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_found_and_an_empty_directory_is_fine() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let fine = examine(dir.path());
        let owner = dir.path().join("escrow").join("owner");
        std::fs::create_dir_all(&owner).expect("it is ours");
        std::fs::write(owner.join("a-1.damaged"), "{").expect("it is ours");
        std::fs::write(owner.join("b-1.json"), "{\"version\":").expect("it is ours");

        let found = examine(dir.path());

        assert!(fine.iter().all(|finding| finding.ok));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].found.starts_with("2 files cannot be read"),
            "{found:?}"
        );
    }
}
