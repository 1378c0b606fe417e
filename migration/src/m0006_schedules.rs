//! The recurring sweeps.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, integer_null, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("schedules")
                    .col(uuid("uid").primary_key())
                    .col(uuid("tenant_uid").unique_key())
                    .col(big_integer("interval_ms"))
                    .col(integer_null("refresh_before_minutes"))
                    .col(big_integer("next_run_at"))
                    .col(big_integer_null("last_done_slot"))
                    .col(big_integer("created_at"))
                    .col(big_integer("updated_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .from("schedules", "tenant_uid")
                            .to("tenants", "uid"),
                    )
                    .to_owned(),
            )
            .await?;
        // Which slots have come.
        manager
            .create_index(
                Index::create()
                    .name("schedules_next")
                    .table("schedules")
                    .col("next_run_at")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("schedules").to_owned())
            .await
    }
}
