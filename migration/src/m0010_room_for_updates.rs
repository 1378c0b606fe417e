//! PostgreSQL leaves room beside each channel, so that its lease is written in place.
//!
//! A lease touches no indexed column. On a page that is full it still costs a new entry
//! in each of the four indexes: measured, 38 µs instead of 12.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        on_postgres(manager, "ALTER TABLE channels SET (fillfactor = 50)").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        on_postgres(manager, "ALTER TABLE channels RESET (fillfactor)").await
    }
}

async fn on_postgres(manager: &SchemaManager<'_>, text: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        manager.get_connection().execute_unprepared(text).await?;
    }
    Ok(())
}
