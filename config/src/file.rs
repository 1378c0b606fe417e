//! `tokenfleet.toml`: where it is looked for, and what it sets.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::catalog;
use crate::environment::read_secret_file;
use crate::error::hint;
use crate::setting::Bare;
use crate::values::{Layer, Sourced};
use crate::{SettingsError, Source};

const NAME: &str = "tokenfleet.toml";
const FILE: &str = "_file";
const DEFAULTS: &str = include_str!("../default.toml");

/// Who may name the file, and the directories in which it may lie.
pub(crate) struct Search<'a> {
    /// From `--config`; it must exist.
    pub(crate) by_flag: Option<&'a Path>,
    /// From `TOKENFLEET_CONFIG`; it must exist.
    pub(crate) by_variable: Option<&'a Path>,
    /// Where the process runs; relative paths begin here.
    pub(crate) cwd: &'a Path,
    /// The data directory, looked at last.
    pub(crate) data_dir: &'a Path,
}

impl Search<'_> {
    /// The file that counts, and who named it; `None` if there is none.
    pub(crate) fn find(&self) -> Option<(PathBuf, &'static str)> {
        if let Some(path) = self.by_flag {
            return Some((self.cwd.join(path), "flag --config"));
        }
        if let Some(path) = self.by_variable {
            return Some((
                self.cwd.join(path),
                "environment variable TOKENFLEET_CONFIG",
            ));
        }
        [
            (self.cwd, "the working directory"),
            (self.data_dir, "the data directory"),
        ]
        .into_iter()
        .map(|(dir, named_by)| (dir.join(NAME), named_by))
        .find(|(path, _)| path.is_file())
    }
}

/// The embedded defaults.
///
/// # Panics
///
/// If they are wrong, which a test rules out.
pub(crate) fn defaults() -> Layer {
    let table = DEFAULTS.parse().expect("default.toml is TOML");
    layer(&table, &Source::Default, Path::new("")).expect("default.toml holds settings only")
}

/// What the file at `path` sets.
pub(crate) fn read(path: &Path, named_by: &str) -> Result<Layer, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
        path: path.to_owned(),
        named_by: named_by.to_owned(),
        source,
    })?;
    let table: Table = text.parse().map_err(|error| syntax(path, &text, &error))?;
    let dir = path.parent().unwrap_or(Path::new(""));
    layer(&table, &Source::File(path.to_owned()), dir)
}

fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> SettingsError {
    let before = error
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    SettingsError::Syntax {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
        problem: error.message().to_owned(),
    }
}

/// The settings in a table; `dir` is where relative `…_file` paths begin.
fn layer(table: &Table, source: &Source, dir: &Path) -> Result<Layer, SettingsError> {
    let mut leaves = Vec::new();
    flatten(table, "", &mut leaves);
    let mut layer = Layer::new();
    for (key, value) in leaves {
        if let Some(setting) = catalog::find(&key) {
            let sourced = Sourced::checked(setting, &key, value, Bare::Refused, source.clone())?;
            layer.insert(key, sourced);
            continue;
        }
        let (key, sourced) = secret_in_file(&key, value, source, dir)?;
        if layer.insert(key.clone(), sourced).is_some() {
            return Err(SettingsError::Contradiction(format!(
                "{source} has both {key} and {key}{FILE}; remove one of them"
            )));
        }
    }
    Ok(layer)
}

/// `app_secret_file = "path"`: the secret lies in that file.
fn secret_in_file(
    key: &str,
    value: &Value,
    source: &Source,
    dir: &Path,
) -> Result<(String, Sourced), SettingsError> {
    let stem = key.strip_suffix(FILE).and_then(|stem| {
        let setting = catalog::find(stem).filter(|setting| setting.kind.is_secret())?;
        Some((stem, setting, value.as_str()?))
    });
    let Some((stem, setting, path)) = stem else {
        return Err(unknown(key, source));
    };
    let (text, source) =
        read_secret_file(&dir.join(path), source.clone()).map_err(|error| named(error, key))?;
    let sourced = Sourced::checked(setting, stem, &text.into(), Bare::Refused, source)?;
    Ok((stem.to_owned(), sourced))
}

/// A settings file names many files: the error says which key named this one.
fn named(error: SettingsError, key: &str) -> SettingsError {
    match error {
        SettingsError::Unreadable {
            path,
            named_by,
            source,
        } => SettingsError::Unreadable {
            path,
            named_by: format!("{key} in {named_by}"),
            source,
        },
        other => other,
    }
}

/// What to say about a key that no setting has.
pub(crate) fn unknown(key: &str, source: &Source) -> SettingsError {
    SettingsError::UnknownKey {
        key: key.to_owned(),
        from: source.clone(),
        hint: hint(key, catalog::ALL.iter().map(|setting| setting.key)),
    }
}

fn flatten<'t>(table: &'t Table, prefix: &str, leaves: &mut Vec<(String, &'t Value)>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            Value::Table(inner) if catalog::find(&key).is_none() => {
                flatten(inner, &format!("{key}."), leaves);
            }
            leaf => leaves.push((key, leaf)),
        }
    }
}
