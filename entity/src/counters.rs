//! `counters`: how many jobs ended how, in all and by the minute.

use sea_orm::entity::prelude::*;

/// One figure.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "counters")]
pub struct Model {
    /// Whose jobs; nil for those of tenants that are gone.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_uid: Uuid,
    /// What is counted: `completed`, `failed`, `cancelled`, `refreshed`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// 0 for the total, else the minute since the Unix epoch.
    #[sea_orm(primary_key, auto_increment = false)]
    pub bucket: i64,
    /// How many.
    pub value: i64,
}

/// Counters outlive their tenant.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
