//! One setting as the table describes it.

use crate::Kind;

/// A setting: one row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its place in the file, such as `api.bind`; `*` stands for a name that people choose.
    pub key: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// Names in the environment beside the one that follows from the key, most usual first.
    pub aliases: &'static [Alias],
    /// One line about it.
    pub doc: &'static str,
}

/// A name in the environment that does not follow from the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The variable's name, in capitals.
    pub name: &'static str,
    /// What a plain number means under this name.
    pub bare: Bare,
}

/// What a plain number means where a duration is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// Nothing: it is refused, because a reader could not tell its unit.
    Refused,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
}

impl Setting {
    pub(crate) const fn new(key: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            key,
            kind,
            aliases: &[],
            doc,
        }
    }

    pub(crate) const fn also(self, aliases: &'static [Alias]) -> Self {
        Self { aliases, ..self }
    }

    /// The variable that follows from the key: `api.bind` is `TOKENFLEET_API__BIND`.
    #[must_use]
    pub fn canonical_name(&self) -> String {
        canonical_name(self.key)
    }

    /// The variable that people set: the first alias, else the one that follows from the key.
    #[must_use]
    pub fn usual_name(&self) -> String {
        match self.aliases.first() {
            Some(alias) => alias.name.to_owned(),
            None => self.canonical_name(),
        }
    }

    /// Whether the concrete key `key` is this setting.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        self.chosen_name(key).is_some()
    }

    /// What stands for `*` in the concrete key `key`: `""` if the setting has none, `None` if
    /// `key` is another setting.
    pub(crate) fn chosen_name<'k>(&self, key: &'k str) -> Option<&'k str> {
        match self.key.split_once('*') {
            None => (self.key == key).then_some(""),
            Some((before, after)) => key
                .strip_prefix(before)?
                .strip_suffix(after)
                .filter(|name| !name.contains('.')),
        }
    }
}

/// The variable that follows from a concrete key.
pub(crate) fn canonical_name(key: &str) -> String {
    format!("TOKENFLEET_{}", key.to_uppercase().replace('.', "__"))
}

/// An alias under which a plain number is refused where a duration is expected.
pub(crate) const fn named(name: &'static str) -> Alias {
    Alias {
        name,
        bare: Bare::Refused,
    }
}

/// An alias under which a plain number means seconds.
pub(crate) const fn seconds(name: &'static str) -> Alias {
    Alias {
        name,
        bare: Bare::Seconds,
    }
}

/// An alias under which a plain number means minutes.
pub(crate) const fn minutes(name: &'static str) -> Alias {
    Alias {
        name,
        bare: Bare::Minutes,
    }
}
