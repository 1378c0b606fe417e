//! The life of a master key: known, active, retired; and with which one each process seals.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, string_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add(manager, "master_keys", big_integer_null("activated_at")).await?;
        add(manager, "master_keys", big_integer_null("retired_at")).await?;
        add(manager, "processes", string_null("seals_with")).await?;
        // What is in the table by now has sealed.
        manager
            .get_connection()
            .execute_unprepared("UPDATE master_keys SET activated_at = created_at")
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_column(manager, "processes", "seals_with").await?;
        drop_column(manager, "master_keys", "retired_at").await?;
        drop_column(manager, "master_keys", "activated_at").await
    }
}

async fn add(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: ColumnDef,
) -> Result<(), DbErr> {
    let change = Table::alter().table(table).add_column(column).to_owned();
    manager.alter_table(change).await
}

async fn drop_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: &'static str,
) -> Result<(), DbErr> {
    let change = Table::alter().table(table).drop_column(column).to_owned();
    manager.alter_table(change).await
}
