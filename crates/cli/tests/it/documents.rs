//! The documents: the tests that they name as proofs are there, and their paragraphs stand apart.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 2] = ["guarantees.md", "hard-cases.md"];

#[test]
fn every_test_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let defined = functions(&root);

    for document in DOCUMENTS {
        let path = root.join("docs").join(document);
        let text = fs::read_to_string(&path).expect("the document is there");
        let named = names(&text);

        let missing: Vec<_> = named.difference(&defined).collect();
        assert!(named.len() > 30, "{document} names {}", named.len());
        assert_eq!(missing, Vec::<&String>::new(), "named in {document}");
    }
}

/// Two who add to a list at the same time glue their paragraphs together.
#[test]
fn headings_and_dated_paragraphs_of_documents_stand_apart() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut glued = Vec::new();
    let mut paragraphs = BTreeSet::new();

    for entry in fs::read_dir(docs).expect("it can be read").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|it| it != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a document is text");
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            let begins = pair[1].starts_with("## ") || pair[1].starts_with("**2026-");
            let is_twice = pair[1].starts_with("**2026-") && !paragraphs.insert(pair[1].to_owned());
            if (begins && !pair[0].is_empty()) || is_twice {
                glued.push(pair[1].to_owned());
            }
        }
    }

    assert_eq!(glued, Vec::<String>::new());
}

/// What stands in backticks and has the form of a test's name: a sentence of four words.
fn names(text: &str) -> BTreeSet<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name = |word: &&str| {
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        word.matches('_').count() >= 3 && word.chars().all(|it| it == '_' || plain(it))
    };
    quoted.filter(is_name).map(str::to_owned).collect()
}

/// All functions of all sources.
fn functions(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in sources(root) {
        let text = fs::read_to_string(&path).expect("a source is text");
        let after_fn = text.split("fn ").skip(1);
        let name = |rest: &str| {
            let end = rest.find(|it: char| it != '_' && !it.is_ascii_alphanumeric());
            rest[..end.unwrap_or(rest.len())].to_owned()
        };
        found.extend(after_fn.map(name));
    }
    found
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("it can be read").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type().expect("it can be read");
            if kind.is_dir() && name != "target" && name != ".git" {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }
    found
}
