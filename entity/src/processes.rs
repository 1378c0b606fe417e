//! `processes`: who is alive, and which master keys each one holds.

use sea_orm::entity::prelude::*;

/// One run of one process.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "processes")]
pub struct Model {
    /// The boot uuid.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// What it does: `up`, `worker`, `scheduler`, `api`.
    pub role: String,
    /// The machine's name.
    pub host: String,
    /// The version of the program.
    pub version: String,
    /// JSON list of the ids of the master keys it can open.
    pub key_ids: String,
    /// The master key that it seals with; `None` if it never seals.
    pub seals_with: Option<String>,
    /// When it registered.
    pub started_at: i64,
    /// When it was last heard of.
    pub seen_at: i64,
}

/// Processes name no other table.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
