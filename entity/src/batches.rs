//! `batches`: which jobs one "refresh many" made.

use sea_orm::entity::prelude::*;

/// One batch.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "batches")]
pub struct Model {
    /// The key, a UUID of version 7: rows sort by age.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// Who asked.
    pub tenant_uid: Uuid,
    /// JSON of a list of `store::BatchItem`.
    pub items: String,
    /// When it was asked for.
    pub created_at: i64,
}

/// Batches go by age, after their tenant if need be.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
