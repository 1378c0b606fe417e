//! The changes of the schema, one file each, and how they are applied.
//!
//! All pending changes are applied in one transaction, and one process at a
//! time does so: the others wait and then find nothing to do.

mod m0001_tenants;
mod m0002_channels;
mod m0003_attempts;
mod m0004_counters;
mod m0005_events;
mod m0006_schedules;
mod m0007_batches;
mod m0008_fleet;
mod m0009_key_ring;
mod m0010_room_for_updates;
mod m0011_people;
mod m0012_audit_log;
mod m0013_webhooks;
mod m0014_counter_deltas;
mod m0015_misfire;
mod m0016_one_entry_per_attempt;
mod m0017_what_a_refresh_ended;

use sea_orm_migration::prelude::{
    ColumnDef, DbErr, MigrationTrait, MigratorTrait, SchemaManager, async_trait,
};
use sea_orm_migration::schema::string;
use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};

/// Any number, the same in every version: who holds it may change the schema.
const LOCK: i64 = 0x746f_6b65_6e66;

/// Where one migration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrationStatus {
    /// It is in the database.
    Applied(String),
    /// It is not in the database yet.
    Pending(String),
    /// It is in the database, and this version does not know it.
    Newer(String),
}

/// All migrations in order, the oldest first.
struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_tenants::Migration),
            Box::new(m0002_channels::Migration),
            Box::new(m0003_attempts::Migration),
            Box::new(m0004_counters::Migration),
            Box::new(m0005_events::Migration),
            Box::new(m0006_schedules::Migration),
            Box::new(m0007_batches::Migration),
            Box::new(m0008_fleet::Migration),
            Box::new(m0009_key_ring::Migration),
            Box::new(m0010_room_for_updates::Migration),
            Box::new(m0011_people::Migration),
            Box::new(m0012_audit_log::Migration),
            Box::new(m0013_webhooks::Migration),
            Box::new(m0014_counter_deltas::Migration),
            Box::new(m0015_misfire::Migration),
            Box::new(m0016_one_entry_per_attempt::Migration),
            Box::new(m0017_what_a_refresh_ended::Migration),
        ]
    }
}

/// The name of the latest migration: it stands for a version of the schema.
///
/// # Panics
///
/// Never: there is a first migration.
#[must_use]
pub fn latest() -> String {
    let all = Migrator::migrations();
    let latest = all.last().expect("there is a first migration");
    latest.name().to_owned()
}

/// Applies what is pending. A second call, also a simultaneous one, changes nothing.
///
/// # Errors
///
/// [`DbErr`] if a statement failed, or if the database has migrations that this
/// version does not know; then nothing was applied.
pub async fn up(db: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = alone(db).await?;
    Migrator::up(&transaction, None).await?;
    transaction.commit().await
}

/// Takes the latest `steps` migrations back, with the data in their tables.
///
/// # Errors
///
/// [`DbErr`] as with [`up`]; then nothing was taken back.
pub async fn down(db: &DatabaseConnection, steps: u32) -> Result<(), DbErr> {
    let transaction = alone(db).await?;
    Migrator::down(&transaction, Some(steps)).await?;
    transaction.commit().await
}

/// Every migration that this version or the database knows, the oldest first.
///
/// # Errors
///
/// [`DbErr`] if the database fails. An empty database has everything pending.
pub async fn status(db: &DatabaseConnection) -> Result<Vec<MigrationStatus>, DbErr> {
    let mut applied = applied(db).await?;
    let mut all = Vec::new();
    for migration in Migrator::migrations() {
        let name = migration.name().to_owned();
        let known = applied.len();
        applied.retain(|version| *version != name);
        all.push(if applied.len() < known {
            MigrationStatus::Applied(name)
        } else {
            MigrationStatus::Pending(name)
        });
    }
    all.extend(applied.into_iter().map(MigrationStatus::Newer));
    Ok(all)
}

/// The names in the database; reads only, so that it works without the right to make tables.
async fn applied(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let manager = SchemaManager::new(db);
    if !manager
        .has_table(Migrator::migration_table_name().to_string())
        .await?
    {
        return Ok(Vec::new());
    }
    let names = "SELECT version FROM seaql_migrations ORDER BY version";
    let names = Statement::from_string(db.get_database_backend(), names);
    let rows = db.query_all_raw(names).await?;
    rows.iter().map(|row| row.try_get("", "version")).collect()
}

/// A transaction that only one process has at a time.
async fn alone(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(options).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        let lock = format!("SELECT pg_advisory_xact_lock({LOCK})");
        // A change of a large table, and waiting for somebody else's, takes its time.
        transaction
            .execute_unprepared("SET LOCAL statement_timeout = 0")
            .await?;
        transaction.execute_unprepared(&lock).await?;
    }
    Ok(transaction)
}

/// A column of names, ordered byte by byte in both databases, whatever the server's locale.
fn name_column(manager: &SchemaManager<'_>, name: &'static str) -> ColumnDef {
    let mut column = string(name);
    if manager.get_database_backend() == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}
