//! Which database it is, and how one text of SQL serves both.
//!
//! Parameters are `$1`, `$2`, … in both. What differs is written in braces:
//!
//! | in the text | means |
//! | --- | --- |
//! | `{now}` | the database's clock in milliseconds, fixed for one statement |
//! | `{lock}` | lock the rows that are read until the transaction ends |
//! | `{lock_free}` | the same, leaving out rows that somebody else has locked |
//! | `{share}` | keep others from changing the rows until the transaction ends |
//! | `{greatest}` | the name of the function that gives the largest of its arguments |
//! | `{uid_text}` | the uid of a channel as 32 hex digits |
//! | `{fingerprint_text}` | the fingerprint of a channel as 32 hex digits |
//! | `{channel}` | the columns of a channel without its envelope |
//! | `{users.*}` | all columns of that table, by name |
//! | `{rows}` | the rows of a `VALUES` list, see [`Rows`] |

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use domain::{Clock, Timestamp};
use sea_orm::{DbBackend, EntityTrait, IdenStatic as _, Iterable as _, Statement, Value};
use serde::Serialize;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A file, with one writer at a time.
    Sqlite,
    /// A server, with row locks.
    Postgres,
}

/// Listing channels does not read their envelopes: another blob stands in for it.
static CHANNEL_COLUMNS: LazyLock<String> = LazyLock::new(|| {
    columns_of("channels").replace("channels.envelope", "channels.fingerprint AS envelope")
});

/// The columns of each table that this version knows, such as `users.uid, users.email`.
///
/// `*` would be whatever columns there are. A migration to the next version adds some while
/// this one still runs, and PostgreSQL refuses a prepared statement whose columns have changed
/// for as long as its connection lives.
static COLUMNS: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    HashMap::from([
        columns(entity::attempts::Entity),
        columns(entity::audit_log::Entity),
        columns(entity::batches::Entity),
        columns(entity::channels::Entity),
        columns(entity::invitations::Entity),
        columns(entity::master_keys::Entity),
        columns(entity::processes::Entity),
        columns(entity::schedules::Entity),
        columns(entity::service_tokens::Entity),
        columns(entity::tenants::Entity),
        columns(entity::users::Entity),
        columns(entity::webhook_endpoints::Entity),
    ])
});

fn columns<E: EntityTrait>(entity: E) -> (&'static str, String) {
    let table = entity.table_name();
    let columns: Vec<String> = E::Column::iter()
        .map(|column| format!("{table}.{}", column.as_str()))
        .collect();
    (table, columns.join(", "))
}

fn columns_of(table: &str) -> &'static str {
    COLUMNS
        .get(table)
        .expect("the tables that our statements name are in the list")
}

/// Turns texts into statements of one database.
#[derive(Clone, Debug)]
pub(crate) struct Sql {
    pub(crate) dialect: Dialect,
    /// For tests: what "now" is instead of the database's clock.
    pub(crate) clock: Option<Arc<dyn Clock>>,
    /// Finished texts of the statements that every refresh pays for.
    lasting: Arc<Mutex<HashMap<&'static str, Arc<str>>>>,
}

impl Sql {
    pub(crate) fn new(dialect: Dialect, clock: Option<Arc<dyn Clock>>) -> Self {
        Self {
            dialect,
            clock,
            lasting: Arc::default(),
        }
    }

    /// What `text` is in this database, made once from what `make` makes of it.
    pub(crate) fn lasting_text(
        &self,
        text: &'static str,
        make: impl FnOnce() -> String,
    ) -> Arc<str> {
        if self.clock.is_some() {
            return self.text(&make()).into();
        }
        let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        let text = lasting
            .entry(text)
            .or_insert_with(|| self.text(&make()).into());
        Arc::clone(text)
    }

    /// A statement with its parameters.
    pub(crate) fn statement(&self, text: &str, values: Vec<Value>) -> Statement {
        let mut values = values;
        for value in &mut values {
            if let Value::String(Some(text)) = value {
                without_nul(text);
            }
        }
        Statement::from_sql_and_values(self.backend(), self.text(text), values)
    }

    /// A statement whose `{rows}` are these; they are its only parameters.
    pub(crate) fn with_rows(&self, text: &str, rows: Rows) -> Statement {
        let text = text.replace("{rows}", &rows.placeholders(self.dialect));
        self.statement(&text, rows.values)
    }

    /// What a text is in this database.
    pub(crate) fn text(&self, text: &str) -> String {
        let (lock, lock_free, share) = match self.dialect {
            // A writing transaction has the whole database to itself.
            Dialect::Sqlite => ("", "", ""),
            Dialect::Postgres => ("FOR UPDATE", "FOR UPDATE SKIP LOCKED", "FOR SHARE"),
        };
        let greatest = match self.dialect {
            Dialect::Sqlite => "MAX",
            Dialect::Postgres => "GREATEST",
        };
        let (uid_text, fingerprint_text) = match self.dialect {
            Dialect::Sqlite => (
                "lower(hex(channels.uid))",
                "lower(hex(channels.fingerprint))",
            ),
            Dialect::Postgres => (
                "replace(CAST(channels.uid AS text), '-', '')",
                "encode(channels.fingerprint, 'hex')",
            ),
        };
        with_columns(text)
            .replace("{now}", &self.now())
            .replace("{lock}", lock)
            .replace("{lock_free}", lock_free)
            .replace("{share}", share)
            .replace("{greatest}", greatest)
            .replace("{uid_text}", uid_text)
            .replace("{fingerprint_text}", fingerprint_text)
            .replace("{channel}", &CHANNEL_COLUMNS)
    }

    fn now(&self) -> Cow<'static, str> {
        match (&self.clock, self.dialect) {
            (Some(clock), _) => format!("CAST({} AS bigint)", clock.now().as_millis()).into(),
            (None, Dialect::Sqlite) => "CAST(unixepoch('subsec') * 1000 AS INTEGER)".into(),
            // `statement_timestamp` is stable, so that an index is used.
            (None, Dialect::Postgres) => {
                "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS bigint)".into()
            }
        }
    }

    fn backend(&self) -> DbBackend {
        match self.dialect {
            Dialect::Sqlite => DbBackend::Sqlite,
            Dialect::Postgres => DbBackend::Postgres,
        }
    }
}

/// A text in which each `{table.*}` is the columns of that table.
fn with_columns(text: &str) -> Cow<'_, str> {
    let Some(end) = text.find(".*}") else {
        return text.into();
    };
    let (before, after) = (&text[..end], &text[end + 3..]);
    let start = before
        .rfind('{')
        .expect("a brace is opened before it closes");
    let columns = columns_of(&before[start + 1..]);
    let rest = with_columns(after);
    format!("{}{columns}{rest}", &before[..start]).into()
}

/// The rows of a `VALUES` list, or of an `IN` list if they have one column.
#[derive(Debug)]
pub(crate) struct Rows {
    width: usize,
    values: Vec<Value>,
}

impl Rows {
    /// These rows as they are.
    ///
    /// # Panics
    ///
    /// If there are none: SQL has no empty list.
    pub(crate) fn exact<const N: usize>(rows: impl IntoIterator<Item = [Value; N]>) -> Self {
        let values: Vec<Value> = rows.into_iter().flatten().collect();
        assert!(!values.is_empty(), "a list of values has a row");
        Self { width: N, values }
    }

    /// These rows, the last repeated up to a power of two, so that few different
    /// texts have to be prepared. For statements in which a repetition changes nothing.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub(crate) fn padded<const N: usize>(rows: impl IntoIterator<Item = [Value; N]>) -> Self {
        Self::padded_to(N, rows.into_iter().flatten().collect())
    }

    /// [`Rows::padded`] of rows of this width that lie one behind the other.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub(crate) fn padded_to(width: usize, mut values: Vec<Value>) -> Self {
        assert!(!values.is_empty(), "a list of values has a row");
        let count = values.len() / width;
        let last = values[values.len() - width..].to_vec();
        for _ in count..count.next_power_of_two() {
            values.extend_from_slice(&last);
        }
        Self { width, values }
    }

    /// `($1,$2),($3,$4)`; an `IN` list may stand in parentheses as well.
    ///
    /// SQLite gets `(?,?),(?,?)`: it looks names up one by one, which makes
    /// thousands of them slow.
    fn placeholders(&self, dialect: Dialect) -> String {
        let mut text = String::with_capacity(self.values.len() * 5);
        for index in 0..self.values.len() {
            let before = match (index, index % self.width) {
                (0, _) => "(",
                (_, 0) => "),(",
                _ => ",",
            };
            text.push_str(before);
            match dialect {
                Dialect::Sqlite => text.push('?'),
                Dialect::Postgres => {
                    write!(text, "${}", index + 1).expect("a string takes all text");
                }
            }
        }
        text + ")"
    }
}

/// PostgreSQL refuses a NUL in a text, and one such text from outside would fail
/// everybody who shares the transaction: it becomes a replacement character.
pub(crate) fn without_nul(text: &mut String) {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
}

/// A value of ours as the text of a JSON column.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our values have only texts, numbers and lists")
}

/// An instant as a parameter.
pub(crate) fn at(at: Timestamp) -> Value {
    at.as_millis().into()
}

/// An instant that may be missing, as a parameter.
pub(crate) fn maybe_at(at: Option<Timestamp>) -> Value {
    at.map(Timestamp::as_millis).into()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn rows_are_numbered_through_and_padded_to_a_power_of_two() {
        let pairs = Rows::exact([[1.into(), 2.into()], [3.into(), 4.into()]]);
        let padded = Rows::padded((0..3).map(|n| [Value::from(n)]));

        assert_eq!(pairs.placeholders(Dialect::Sqlite), "(?,?),(?,?)");
        assert_eq!(pairs.placeholders(Dialect::Postgres), "($1,$2),($3,$4)");
        assert_eq!(
            padded.placeholders(Dialect::Postgres),
            "($1),($2),($3),($4)"
        );
        assert_eq!(padded.values[2..], [2.into(), 2.into()]);
    }

    #[test]
    fn the_columns_of_a_table_are_named() {
        let text = with_columns("SELECT {batches.*}, 1 FROM x JOIN y USING ({z}) {batches.*}");

        let batches = "batches.uid, batches.tenant_uid, batches.items, batches.created_at";
        assert_eq!(
            text,
            format!("SELECT {batches}, 1 FROM x JOIN y USING ({{z}}) {batches}")
        );
    }

    #[test]
    fn no_statement_leaves_its_columns_to_the_database() {
        let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let mut careless = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let mut tables = COLUMNS.keys();
                let reads = tables.any(|table| text.contains(&format!("* FROM {table}")));
                if reads || text.contains(concat!("RETURNING", " *")) {
                    careless.push(path);
                }
            }
        }

        assert_eq!(careless, Vec::<PathBuf>::new());
    }
}
