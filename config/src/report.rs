//! The effective settings as people may see them: `config check`.

use serde::Serialize;
use toml::Value;

use crate::values::{Sourced, Values};
use crate::{Kind, Setting, catalog, database_url, duration};

/// One setting as it came out. Secrets are hidden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// Its key.
    pub key: String,
    /// Its value: `set` or `not set` for a secret, an address without its password, `not set`
    /// for anything without value.
    pub value: String,
    /// Where it came from; `None` if it is not set.
    pub source: Option<String>,
    /// The variable that sets it.
    pub variable: String,
    /// One line about it.
    pub doc: String,
}

/// Every setting in the order of the table; those with a chosen name once per name.
pub(crate) fn effective(values: &Values) -> Vec<Effective> {
    catalog::ALL
        .iter()
        .flat_map(|setting| {
            let keys: Vec<&String> = values.0.keys().filter(|key| setting.matches(key)).collect();
            if keys.is_empty() && !setting.key.contains('*') {
                return vec![line(setting, setting.key, None)];
            }
            keys.into_iter()
                .map(|key| line(setting, key, values.0.get(key)))
                .collect()
        })
        .collect()
}

fn line(setting: &Setting, key: &str, sourced: Option<&Sourced>) -> Effective {
    Effective {
        key: key.to_owned(),
        value: sourced.map_or_else(
            || "not set".to_owned(),
            |sourced| shown(setting.kind, &sourced.value),
        ),
        source: sourced.map(|sourced| sourced.source.to_string()),
        variable: setting.usual_name().replace(
            '*',
            &setting.chosen_name(key).unwrap_or_default().to_uppercase(),
        ),
        doc: setting.doc.to_owned(),
    }
}

pub(crate) fn shown(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (Kind::DatabaseUrl | Kind::RedisUrl, Value::String(url)) => database_url::shown(url),
        (kind, _) if kind.is_secret() => "set".to_owned(),
        (Kind::Span { .. }, Value::Integer(millis)) => {
            let millis = u64::try_from(*millis).unwrap_or_default();
            duration::show(std::time::Duration::from_millis(millis))
        }
        (_, Value::Array(items)) if items.is_empty() => "none".to_owned(),
        (_, Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", "),
        (_, Value::String(text)) => text.clone(),
        (_, Value::Integer(number)) => number.to_string(),
        (_, Value::Float(number)) => number.to_string(),
        (_, Value::Boolean(switch)) => switch.to_string(),
        _ => "set".to_owned(),
    }
}
