//! The audit log: who changed what. It outlives those it tells of.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, string, string_null, text_null, uuid, uuid_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("audit_log")
                    .col(uuid("uid").primary_key())
                    .col(big_integer("at"))
                    .col(uuid_null("tenant_uid"))
                    .col(string("actor"))
                    .col(string("action"))
                    .col(string("target"))
                    .col(string_null("address"))
                    .col(uuid("request_id"))
                    .col(text_null("details"))
                    .to_owned(),
            )
            .await?;
        // A tenant's part of the log, the newest first.
        manager
            .create_index(
                Index::create()
                    .name("audit_log_tenant")
                    .table("audit_log")
                    .col("tenant_uid")
                    .col("uid")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("audit_log").to_owned())
            .await
    }
}
