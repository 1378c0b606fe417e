//! `events`: the outbox; what tenants are told about, in the order in which it happened.

use sea_orm::entity::prelude::*;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    /// The key, a UUID of version 7: rows sort by age.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// Who is told.
    pub tenant_uid: Uuid,
    /// About which channel; nil if it is about none.
    pub channel_uid: Uuid,
    /// The name of a `domain::EventKind`.
    pub kind: String,
    /// JSON of what is told; no credential is in it.
    pub payload: String,
    /// When it happened.
    pub created_at: i64,
    /// When it was handed on to the tenant's endpoints; `None` if it was not yet.
    pub dispatched_at: Option<i64>,
}

/// Events outlive what they tell of.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
