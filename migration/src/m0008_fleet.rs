//! The processes, and the ids of the master keys.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, blob_null, boolean, string, text, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("processes")
                    .col(uuid("uid").primary_key())
                    .col(string("role"))
                    .col(string("host"))
                    .col(string("version"))
                    .col(text("key_ids"))
                    .col(big_integer("started_at"))
                    .col(big_integer("seen_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("master_keys")
                    .col(string("id").primary_key())
                    .col(boolean("active"))
                    .col(blob_null("check_value"))
                    .col(big_integer("created_at"))
                    .to_owned(),
            )
            .await?;
        // Exactly one key seals.
        manager
            .get_connection()
            .execute_unprepared(
                "CREATE UNIQUE INDEX master_keys_active ON master_keys (active) WHERE active",
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("master_keys").to_owned())
            .await?;
        manager
            .drop_table(Table::drop().table("processes").to_owned())
            .await
    }
}
