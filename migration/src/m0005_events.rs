//! The outbox.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, string, text, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("events")
                    .col(uuid("uid").primary_key())
                    .col(uuid("tenant_uid"))
                    .col(uuid("channel_uid"))
                    .col(string("kind"))
                    .col(text("payload"))
                    .col(big_integer("created_at"))
                    .to_owned(),
            )
            .await?;
        // What a tenant is told, from a point in time on.
        manager
            .create_index(
                Index::create()
                    .name("events_tenant")
                    .table("events")
                    .col("tenant_uid")
                    .col("uid")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("events").to_owned())
            .await
    }
}
