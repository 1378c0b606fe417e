//! The history.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, boolean, integer, string, text, uuid,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(table()).await?;
        let db = manager.get_connection();
        // A channel's timeline, and what is beyond its retention.
        db.execute_unprepared("CREATE INDEX attempts_channel ON attempts (channel_uid, uid)")
            .await?;
        // A job's attempts.
        db.execute_unprepared("CREATE INDEX attempts_job ON attempts (job_id)")
            .await?;
        // A job ends once: totals are counted from these rows.
        db.execute_unprepared(
            "CREATE UNIQUE INDEX attempts_end ON attempts (job_id) WHERE ends_job",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("attempts").to_owned())
            .await
    }
}

fn table() -> TableCreateStatement {
    Table::create()
        .table("attempts")
        .col(uuid("uid").primary_key())
        .col(uuid("tenant_uid"))
        .col(uuid("channel_uid"))
        .col(string("job_id"))
        .col(integer("attempt"))
        .col(big_integer("started_at"))
        .col(big_integer("duration_ms"))
        .col(string("outcome"))
        .col(boolean("ends_job"))
        .col(big_integer_null("generation"))
        .col(big_integer_null("new_expires_at"))
        .col(text("details"))
        .to_owned()
}
