//! Values by key, each with its source; layers of them, and their union.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::check::check;
use crate::setting::{Bare, Setting};
use crate::{SettingsError, Source};

/// The values that one source gives, by concrete key.
pub(crate) type Layer = BTreeMap<String, Sourced>;

/// A checked value and where it came from.
#[derive(Clone)]
pub(crate) struct Sourced {
    pub(crate) value: Value,
    pub(crate) source: Source,
}

impl Sourced {
    /// Checks a value against its setting.
    pub(crate) fn checked(
        setting: &Setting,
        key: &str,
        value: &Value,
        bare: Bare,
        source: Source,
    ) -> Result<Self, SettingsError> {
        match check(setting.kind, value, bare) {
            Ok(value) => Ok(Self { value, source }),
            Err(problem) => Err(SettingsError::Invalid {
                key: key.to_owned(),
                from: source,
                problem,
                allowed: setting.kind.allowed(),
            }),
        }
    }
}

/// All effective values.
#[derive(Clone, Default)]
pub(crate) struct Values(pub(crate) Layer);

impl Values {
    /// Puts a layer on top.
    pub(crate) fn merge(&mut self, layer: Layer) {
        self.0.extend(layer);
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.value.as_str()
    }

    pub(crate) fn source(&self, key: &str) -> &Source {
        self.0
            .get(key)
            .map_or(&Source::Default, |sourced| &sourced.source)
    }

    /// The values as nested tables, the form that the types are read from.
    pub(crate) fn nested(&self) -> Table {
        let mut root = Table::new();
        for (key, sourced) in &self.0 {
            insert(&mut root, key, sourced.value.clone());
        }
        root
    }
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table
                .entry(first)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
