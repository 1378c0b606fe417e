//! What a refresh ended: for how long its channel had been due, and how long its token was dead.
//! By provider, so that the figures of a day do not meet a million channels.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, string_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            string_null("provider"),
            big_integer_null("due_at"),
            big_integer_null("old_expires_at"),
        ];
        // One change each: SQLite adds and drops one column at a time.
        for column in columns {
            let mut change = Table::alter();
            change.table("attempts").add_column(column);
            manager.alter_table(change).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["provider", "due_at", "old_expires_at"] {
            let mut change = Table::alter();
            change.table("attempts").drop_column(column);
            manager.alter_table(change).await?;
        }
        Ok(())
    }
}
