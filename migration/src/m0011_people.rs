//! People, their log-ins, invitations and service tokens.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, boolean, string, text, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(users()).await?;
        manager.create_table(sessions()).await?;
        manager.create_table(refresh_tokens()).await?;
        manager.create_table(invitations()).await?;
        manager.create_table(service_tokens()).await?;
        for (name, table, columns) in [
            ("users_tenant", "users", ["tenant_uid", "uid"]),
            ("sessions_user", "sessions", ["user_uid", "uid"]),
            (
                "refresh_tokens_session",
                "refresh_tokens",
                ["session_uid", "expires_at"],
            ),
            ("invitations_tenant", "invitations", ["tenant_uid", "uid"]),
            (
                "service_tokens_tenant",
                "service_tokens",
                ["tenant_uid", "uid"],
            ),
        ] {
            let mut index = Index::create();
            index.name(name).table(table);
            for column in columns {
                index.col(column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            "service_tokens",
            "invitations",
            "refresh_tokens",
            "sessions",
            "users",
        ] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(uuid("uid").primary_key())
        .col(uuid("tenant_uid"))
        .col(string("email").unique_key())
        .col(string("name"))
        .col(text("password_hash"))
        .col(string("role"))
        .col(boolean("platform_admin"))
        .col(big_integer_null("disabled_at"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .foreign_key(&mut of("users", "tenant_uid", "tenants"))
        .to_owned()
}

fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .col(uuid("uid").primary_key())
        .col(uuid("user_uid"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("ended_at"))
        .col(big_integer("created_at"))
        .col(big_integer("last_used_at"))
        .foreign_key(&mut of("sessions", "user_uid", "users"))
        .to_owned()
}

fn refresh_tokens() -> TableCreateStatement {
    Table::create()
        .table("refresh_tokens")
        .col(blob("digest").primary_key())
        .col(uuid("session_uid"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("spent_at"))
        .col(boolean("has_sibling"))
        .foreign_key(&mut of("refresh_tokens", "session_uid", "sessions"))
        .to_owned()
}

fn invitations() -> TableCreateStatement {
    Table::create()
        .table("invitations")
        .col(uuid("uid").primary_key())
        .col(uuid("tenant_uid"))
        .col(string("email"))
        .col(string("name"))
        .col(string("role"))
        .col(blob("digest").unique_key())
        .col(big_integer("expires_at"))
        .col(big_integer("created_at"))
        .foreign_key(&mut of("invitations", "tenant_uid", "tenants"))
        .to_owned()
}

fn service_tokens() -> TableCreateStatement {
    Table::create()
        .table("service_tokens")
        .col(uuid("uid").primary_key())
        .col(uuid("tenant_uid"))
        .col(string("name"))
        .col(text("scopes"))
        .col(blob("digest"))
        .col(big_integer_null("expires_at"))
        .col(uuid_null("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer_null("last_used_at"))
        .col(big_integer_null("revoked_at"))
        .foreign_key(&mut of("service_tokens", "tenant_uid", "tenants"))
        .to_owned()
}

/// What belongs to something goes with it.
fn of(table: &'static str, column: &'static str, owner: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, column)
        .to(owner, "uid")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}
