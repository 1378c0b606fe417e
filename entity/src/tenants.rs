//! `tenants`: the customers; everything else belongs to exactly one.

use sea_orm::entity::prelude::*;

/// One tenant.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenants")]
pub struct Model {
    /// The key; never given twice.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// The name by which callers know it; `~<uid>` once it is being deleted.
    #[sea_orm(unique)]
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Set once it is on its way out; it goes when its last channel is gone.
    pub deleting: bool,
    /// Whether every stored refresh is announced, not only transitions.
    pub refreshed_events: bool,
    /// When it was made.
    pub created_at: i64,
}

/// Tenants name no other table.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
