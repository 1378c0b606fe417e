//! Ended jobs that are not yet added up in `counters`: rows are only added and, all
//! together, taken away, so the table has neither key nor index.

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
                    .table("counter_deltas")
                    .col(uuid("tenant_uid"))
                    .col(string("kind"))
                    .col(big_integer("minute"))
                    .col(big_integer("value"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // What is not yet added up would be lost to the totals.
        manager
            .get_connection()
            .execute_unprepared(
                "INSERT INTO counters (tenant_uid, kind, bucket, value)
                SELECT tenant_uid,
                    CASE kind WHEN 'refreshed' THEN 'completed' ELSE kind END, 0, SUM(value)
                FROM counter_deltas WHERE true GROUP BY 1, 2
                ON CONFLICT (tenant_uid, kind, bucket)
                DO UPDATE SET value = counters.value + excluded.value",
            )
            .await?;
        manager
            .drop_table(Table::drop().table("counter_deltas").to_owned())
            .await
    }
}
