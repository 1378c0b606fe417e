//! What a schedule does with a slot that was missed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::string;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = string("misfire").default("once").to_owned();
        let change = Table::alter()
            .table("schedules")
            .add_column(column)
            .to_owned();
        manager.alter_table(change).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let change = Table::alter()
            .table("schedules")
            .drop_column("misfire")
            .to_owned();
        manager.alter_table(change).await
    }
}
