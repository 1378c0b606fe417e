//! The channels, with the three indexes that the house runs on.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, boolean, integer, string, string_null, text_null, uuid,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(table(manager)).await?;
        // What is due: the sweep of the scheduler.
        index(manager, "channels_due", &["state", "next_handout_at"]).await?;
        // What ends soon: statistics, "needing refresh", filters.
        index(
            manager,
            "channels_expiry",
            &["tenant_uid", "state", "access_expires_at"],
        )
        .await?;
        // A name is given once per tenant; lists are in the order of names.
        manager
            .create_index(
                Index::create()
                    .name("channels_name")
                    .table("channels")
                    .col("tenant_uid")
                    .col("id")
                    .unique()
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("channels").to_owned())
            .await
    }
}

fn table(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table("channels")
        .col(uuid("uid").primary_key())
        .col(uuid("tenant_uid"))
        .col(crate::name_column(manager, "id"))
        .col(string("provider"))
        .col(string("app_identity"))
        .col(string_null("external_id"))
        .col(string("display_name"))
        .col(string_null("local_name"))
        .col(string("state"))
        .col(string_null("reason"))
        .col(string_null("paused_from"))
        .col(big_integer("generation"))
        .col(blob("envelope"))
        .col(string("key_id"))
        .col(blob("fingerprint"))
        .col(boolean("has_refresh_material"))
        .col(big_integer_null("access_expires_at"))
        .col(big_integer_null("refresh_expires_at"))
        .col(big_integer_null("refresh_due_at"))
        .col(big_integer_null("next_handout_at"))
        .col(big_integer_null("requested_at"))
        .col(string_null("request_job_id"))
        .col(big_integer_null("last_refreshed_at"))
        .col(integer("failures").default(0))
        .col(text_null("last_error"))
        .col(big_integer("lease_epoch").default(0))
        .col(big_integer_null("lease_until"))
        .col(text_null("intent"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .foreign_key(
            ForeignKey::create()
                .from("channels", "tenant_uid")
                .to("tenants", "uid"),
        )
        .to_owned()
}

async fn index(
    manager: &SchemaManager<'_>,
    name: &'static str,
    columns: &[&'static str],
) -> Result<(), DbErr> {
    let mut index = Index::create();
    index.name(name).table("channels");
    for column in columns {
        index.col(*column);
    }
    manager.create_index(index).await
}
