//! Webhook endpoints, what is delivered to them, which events were handed on, and which
//! ends of refresh tokens were told.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, integer, integer_null, string, string_null, text, uuid,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Indexes with a condition, which the builder of statements does not know.
const INDEXES: [&str; 4] = [
    // What is not handed on yet: empty most of the time.
    "CREATE INDEX events_undispatched ON events (uid) WHERE dispatched_at IS NULL",
    "CREATE INDEX webhook_endpoints_due ON webhook_endpoints (next_handout_at)
     WHERE next_handout_at IS NOT NULL",
    "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_uid, next_at)
     WHERE next_at IS NOT NULL",
    "CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_uid, event_uid)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = big_integer_null("dispatched_at");
        let change = Table::alter().table("events").add_column(column).to_owned();
        manager.alter_table(change).await?;
        manager.create_table(endpoints()).await?;
        manager.create_table(deliveries()).await?;
        manager.create_table(notices()).await?;
        let db = manager.get_connection();
        // Nobody waits for what happened before there were endpoints.
        db.execute_unprepared("UPDATE events SET dispatched_at = created_at")
            .await?;
        for index in INDEXES {
            db.execute_unprepared(index).await?;
        }
        manager
            .create_index(
                Index::create()
                    .name("webhook_endpoints_tenant")
                    .table("webhook_endpoints")
                    .col("tenant_uid")
                    .col("uid")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["expiry_notices", "webhook_deliveries", "webhook_endpoints"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        manager
            .get_connection()
            .execute_unprepared("DROP INDEX events_undispatched")
            .await?;
        let change = Table::alter()
            .table("events")
            .drop_column("dispatched_at")
            .to_owned();
        manager.alter_table(change).await
    }
}

fn endpoints() -> TableCreateStatement {
    Table::create()
        .table("webhook_endpoints")
        .col(uuid("uid").primary_key())
        .col(uuid("tenant_uid"))
        .col(text("url"))
        .col(text("events"))
        .col(blob("envelope"))
        .col(string("key_id"))
        .col(blob("fingerprint"))
        .col(big_integer("created_at"))
        .col(big_integer_null("next_handout_at"))
        .col(big_integer_null("rest_until"))
        .col(big_integer_null("failing_since"))
        .col(big_integer_null("disabled_at"))
        .col(string_null("last_error"))
        .col(integer_null("last_status"))
        .col(big_integer_null("last_success_at"))
        .col(big_integer("delivered").default(0))
        .col(big_integer("given_up").default(0))
        .foreign_key(
            ForeignKey::create()
                .from("webhook_endpoints", "tenant_uid")
                .to("tenants", "uid"),
        )
        .to_owned()
}

fn notices() -> TableCreateStatement {
    Table::create()
        .table("expiry_notices")
        .col(uuid("channel_uid").primary_key())
        .col(big_integer("refresh_expires_at"))
        .col(integer("days"))
        .foreign_key(
            ForeignKey::create()
                .from("expiry_notices", "channel_uid")
                .to("channels", "uid")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn deliveries() -> TableCreateStatement {
    Table::create()
        .table("webhook_deliveries")
        .col(uuid("event_uid"))
        .col(uuid("endpoint_uid"))
        .col(string("state"))
        .col(integer("attempts").default(0))
        .col(big_integer_null("next_at"))
        .col(string_null("last_error"))
        .col(integer_null("last_status"))
        .col(big_integer("updated_at"))
        // By event first: old ones go in the order of their age.
        .primary_key(Index::create().col("event_uid").col("endpoint_uid"))
        .to_owned()
}
