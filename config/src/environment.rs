//! The variables of the process and of the file `.env`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::catalog;
use crate::error::hint;
use crate::setting::{Bare, Setting, canonical_name};
use crate::values::{Layer, Sourced};
use crate::{SettingsError, Source, dotenv};

const OURS: &str = "TOKENFLEET_";
/// Names of our own test-suite; a program that it starts inherits them.
const TESTS: &str = "TOKENFLEET_TEST_";
const FILE: &str = "_FILE";
/// Names the configuration file; it is no setting, because it is read before there are any.
pub(crate) const CONFIG: &str = "TOKENFLEET_CONFIG";
const OAUTH2: &str = "TOKENFLEET_PROVIDERS__OAUTH2__";

/// Variables by name, as the process has them or as a test makes them up.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The variables of this process; names that are not Unicode are none of ours.
    #[must_use]
    pub fn of_process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self(std::env::vars_os().filter_map(named).collect())
    }

    /// The same with these variables alone.
    #[must_use]
    pub fn only(self, names: &[&str]) -> Self {
        let kept = |(name, _): &(String, OsString)| names.contains(&name.as_str());
        Self(self.0.into_iter().filter(kept).collect())
    }

    /// The same with more variables, which win.
    #[must_use]
    pub fn and<K: Into<String>, V: Into<OsString>>(
        mut self,
        more: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.0.extend(Self::from_iter(more).0);
        self
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str)
    }
}

/// The first program with this name on the `PATH` of this process.
#[must_use]
pub fn on_path(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let runs = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(name))
        .find(runs)
}

/// Where this user's programs keep what is theirs: `tokenfleet` under `XDG_CONFIG_HOME`, else under
/// `~/.config` (XDG Base Directory Specification). `None` for a user without a home.
#[must_use]
pub fn user_directory() -> Option<PathBuf> {
    let set = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let base = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("tokenfleet"))
}

// Variables of a process hold secrets that are none of ours.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<K: Into<String>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let owned = |(name, value): (K, V)| (name.into(), value.into());
        Self(variables.into_iter().map(owned).collect())
    }
}

/// The variables of `dir/.env`, if there is such a file.
pub(crate) fn read_dotenv(dir: &Path) -> Result<Option<(PathBuf, Environment)>, SettingsError> {
    let path = dir.join(".env");
    if !path.is_file() {
        return Ok(None);
    }
    let unreadable = |source| SettingsError::Unreadable {
        path: path.clone(),
        named_by: "the working directory".to_owned(),
        source,
    };
    let text = std::fs::read_to_string(&path).map_err(unreadable)?;
    match dotenv::parse(&text) {
        Ok(variables) => Ok(Some((path, variables.into_iter().collect()))),
        Err(after) => Err(SettingsError::DotEnv { path, after }),
    }
}

/// The settings among the variables. `source` says where a variable of this name is,
/// `dir` is where relative `…_FILE` paths begin.
pub(crate) fn layer(
    variables: &Environment,
    dir: &Path,
    source: &dyn Fn(&str) -> Source,
) -> Result<Layer, SettingsError> {
    let mut found: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for (name, value) in &variables.0 {
        if value.is_empty() || name == CONFIG {
            continue;
        }
        match lookup(name) {
            Some(meaning) => found.entry(meaning.key.clone()).or_default().push(Found {
                value: meaning.read(value, dir, source(name))?,
                name: name.clone(),
            }),
            None if name.starts_with(OURS) && !name.starts_with(TESTS) => {
                return Err(SettingsError::UnknownVariable {
                    from: source(name),
                    hint: hint(name, known_names().iter().map(String::as_str)),
                });
            }
            None => {}
        }
    }
    found
        .into_iter()
        .map(|(key, all)| Ok((key, only(all)?)))
        .collect()
}

struct Found {
    name: String,
    value: Sourced,
}

/// What a variable's name means.
struct Meaning {
    key: String,
    setting: &'static Setting,
    bare: Bare,
    /// The variable names a file that holds the value.
    in_file: bool,
}

impl Meaning {
    fn read(&self, value: &OsStr, dir: &Path, source: Source) -> Result<Sourced, SettingsError> {
        let not_unicode = || SettingsError::Invalid {
            key: self.key.clone(),
            from: source.clone(),
            problem: "it is not Unicode".to_owned(),
            allowed: self.setting.kind.allowed(),
        };
        let (text, source) = if self.in_file {
            read_secret_file(&dir.join(value), source)?
        } else {
            (value.to_str().ok_or_else(not_unicode)?.to_owned(), source)
        };
        Sourced::checked(self.setting, &self.key, &text.into(), self.bare, source)
    }
}

/// The content of a secret's file, without the line break that editors add at its end.
pub(crate) fn read_secret_file(
    path: &Path,
    named_by: Source,
) -> Result<(String, Source), SettingsError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((
            text.trim_end_matches(['\n', '\r']).to_owned(),
            Source::SecretFile {
                path: path.to_owned(),
                named_by: Box::new(named_by),
            },
        )),
        Err(source) => Err(SettingsError::Unreadable {
            path: path.to_owned(),
            named_by: named_by.to_string(),
            source,
        }),
    }
}

/// Names count in capitals; older `.env` files have them in small letters.
fn lookup(name: &str) -> Option<Meaning> {
    let name = name.to_ascii_uppercase();
    exact(&name, false).or_else(|| {
        exact(name.strip_suffix(FILE)?, true).filter(|meaning| meaning.setting.kind.is_secret())
    })
}

fn exact(name: &str, in_file: bool) -> Option<Meaning> {
    if let Some(rest) = name.strip_prefix(OAUTH2) {
        let (chosen, field) = rest.split_once("__")?;
        let key = format!(
            "providers.oauth2.{}.{}",
            chosen.to_lowercase(),
            field.to_lowercase()
        );
        return catalog::find(&key).map(|setting| Meaning {
            setting,
            key,
            bare: Bare::Refused,
            in_file,
        });
    }
    catalog::names()
        .find(|(_, known, _)| known == name)
        .map(|(alias, _, setting)| Meaning {
            key: setting.key.to_owned(),
            setting,
            bare: alias.bare,
            in_file,
        })
}

fn known_names() -> Vec<String> {
    let oauth2 = catalog::ALL
        .iter()
        .filter(|setting| setting.key.contains('*'))
        .map(|setting| canonical_name(setting.key).replace('*', "NAME"));
    catalog::names()
        .map(|(_, name, _)| name)
        .chain(oauth2)
        .chain([CONFIG.to_owned()])
        .collect()
}

/// One value of several that set the same key: they must agree.
fn only(mut all: Vec<Found>) -> Result<Sourced, SettingsError> {
    let first = all.remove(0);
    match all
        .iter()
        .find(|other| other.value.value != first.value.value)
    {
        None => Ok(first.value),
        Some(other) => Err(SettingsError::Contradiction(format!(
            "{} and {} set the same thing to different values; unset one of them",
            first.name, other.name
        ))),
    }
}
