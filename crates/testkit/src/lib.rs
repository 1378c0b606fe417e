//! What tests are made of: private databases and Redis servers, a clock that
//! can be moved, tenants and channels. A dev-dependency only.
//!
//! Servers are started from the installed binaries and end with the process
//! that started them, also when it is killed. [`PostgresServer`] is one to measure on. Two settings, both for the whole run:
//!
//! | variable | means |
//! | --- | --- |
//! | `TOKENFLEET_TEST_DATABASES` | `sqlite`, `postgres` or `both` (default): the others' tests do nothing |
//! | `TOKENFLEET_TEST_POSTGRES` | address of a PostgreSQL server for tests, whose role may create databases; without it each test process starts its own |
//!
//! `postgres.sh` beside this crate's manifest starts such a server.

mod builders;
mod clock;
mod cluster;
mod database;
mod outage;
mod postgres;
pub mod redis;

pub use builders::{
    attempt, channel, channels, endpoint, facts, finish, lease_request, sealed, tenant,
};
pub use clock::TestClock;
pub use database::{Database, Kind};
pub use outage::Outage;
pub use postgres::PostgresServer;

/// Runs these `async fn(Database)` as tests on every kind of database: `sqlite::name` and
/// `postgres::name`. The database is migrated and empty.
///
/// ```ignore
/// testkit::each_database!(a_name_is_given_once);
///
/// async fn a_name_is_given_once(database: Database) {
///     let store = database.store().await;
/// }
/// ```
#[macro_export]
macro_rules! each_database {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    $crate::run_on($crate::Kind::Sqlite, super::$name).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    $crate::run_on($crate::Kind::Postgres, super::$name).await;
                }
            )+
        }
    };
}

/// What [`each_database!`] calls: runs a test on a kind of database, if it is wanted.
pub async fn run_on<F: Future<Output = ()>>(kind: Kind, test: impl FnOnce(Database) -> F) {
    if kind.is_wanted() {
        test(Database::migrated(kind).await).await;
    }
}
