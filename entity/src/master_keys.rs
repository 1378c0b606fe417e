//! `master_keys`: ids of the keys that wrap data keys; never the keys.

use sea_orm::entity::prelude::*;

/// One master key's id.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "master_keys")]
pub struct Model {
    /// The id that envelopes carry.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Whether new envelopes are sealed with it; exactly one is.
    pub active: bool,
    /// Tells whether a key of this id is the one that was first seen under it.
    pub check_value: Option<Vec<u8>>,
    /// When a process first had it.
    pub created_at: i64,
    /// When it last began to seal; `None` if it never did.
    pub activated_at: Option<i64>,
    /// When it was found to be needed no more; `None` while it is in use.
    pub retired_at: Option<i64>,
}

/// Keys are named by envelopes, without a constraint.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
