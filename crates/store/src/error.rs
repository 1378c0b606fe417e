//! What can go wrong between us and the database.

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// The database did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be reached, or refused the statement.
    #[error("the database did not carry out a statement")]
    Database(#[source] DbErr),
    /// A row holds something that this version cannot read.
    #[error("a row of {table} cannot be read: {why}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// Which column, and what is wrong with it; never its content.
        why: String,
    },
    /// The store was closed while the call was waiting.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the database is away, so that the same call may succeed later.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Closed | Self::Database(DbErr::Conn(_) | DbErr::ConnectionAcquire(_)) => true,
            Self::Database(DbErr::Exec(cause) | DbErr::Query(cause)) => is_connection(cause),
            Self::Database(_) | Self::Unreadable { .. } => false,
        }
    }

    /// Whether the connection of a statement was closed by the other end; another one may live.
    pub(crate) fn is_dead_connection(&self) -> bool {
        let Self::Database(DbErr::Exec(cause) | DbErr::Query(cause)) = self else {
            return false;
        };
        let RuntimeErr::SqlxError(cause) = cause else {
            return false;
        };
        match cause.as_ref() {
            sqlx::Error::Io(_) => true,
            // PostgreSQL: class 57P, it was shut down or we were cut off.
            sqlx::Error::Database(told) => told.code().is_some_and(|code| code.starts_with("57P")),
            _ => false,
        }
    }

    pub(crate) fn unreadable(table: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Unreadable {
            table,
            why: why.to_string(),
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(cause: DbErr) -> Self {
        Self::Database(cause)
    }
}

fn is_connection(cause: &RuntimeErr) -> bool {
    use sea_orm::sqlx::Error;

    let RuntimeErr::SqlxError(cause) = cause else {
        return false;
    };
    match cause.as_ref() {
        Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed => true,
        // PostgreSQL: class 08 connection, 53 resources, 57P shutdown.
        Error::Database(told) => told.code().is_some_and(|code| {
            ["08", "53", "57P"]
                .iter()
                .any(|class| code.starts_with(class))
                || is_trouble_of_a_file(&code)
        }),
        _ => false,
    }
}

/// SQLite: 5 busy, 10 input or output, 13 the disk is full; further bytes tell more.
fn is_trouble_of_a_file(code: &str) -> bool {
    let primary = code.parse::<u16>().map(|code| code & 0xff);
    code.len() < 5 && matches!(primary, Ok(5 | 10 | 13))
}

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is of a kind that we do not speak.
    #[error("a database address starts with sqlite: or postgres:")]
    UnknownScheme,
    /// An in-memory database has no second connection to read from.
    #[error("a SQLite database must be a file")]
    InMemory,
    /// The address cannot be read, or nobody answers there.
    #[error("the database cannot be opened")]
    Unreachable(#[source] DbErr),
}

/// A database whose tables are not those of this version.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Migrations are missing: the database is older than this program, or empty.
    #[error("the database lacks migrations: {}", .0.join(", "))]
    Pending(Vec<String>),
    /// Migrations are there that this version does not know: the database is newer.
    #[error("the database has migrations of a newer version: {}", .0.join(", "))]
    Newer(Vec<String>),
    /// It could not be found out.
    #[error("the state of the database is not known")]
    Store(#[from] StoreError),
}

/// A tenant or a channel that was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The id is in use.
    #[error("the id is taken")]
    Taken,
    /// The tenant does not exist, or is being deleted.
    #[error("the tenant does not exist")]
    NoTenant,
    /// The database failed; nothing of its chunk was stored.
    #[error("nothing was stored")]
    Store(#[from] StoreError),
}
