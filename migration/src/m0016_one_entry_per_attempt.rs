//! An attempt has one entry by job, not two: an ending one in `attempts_end`, any other here.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared("CREATE INDEX attempts_try ON attempts (job_id) WHERE NOT ends_job")
            .await?;
        db.execute_unprepared("DROP INDEX attempts_job").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared("CREATE INDEX attempts_job ON attempts (job_id)")
            .await?;
        db.execute_unprepared("DROP INDEX attempts_try").await?;
        Ok(())
    }
}
