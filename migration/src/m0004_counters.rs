//! How many jobs ended how: totals (bucket 0) and minutes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, string, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("counters")
                    .col(uuid("tenant_uid"))
                    .col(string("kind"))
                    .col(big_integer("bucket"))
                    .col(big_integer("value"))
                    .primary_key(Index::create().col("tenant_uid").col("kind").col("bucket"))
                    .to_owned(),
            )
            .await?;
        // The fleet's totals, and the minutes that are past.
        manager
            .create_index(
                Index::create()
                    .name("counters_bucket")
                    .table("counters")
                    .col("bucket")
                    .col("kind")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("counters").to_owned())
            .await
    }
}
