//! `refresh_tokens`: those of a family that can still be used, and the lately spent.
//!
//! A token that is signed by us, belongs to a family and is not here was spent.

use sea_orm::entity::prelude::*;

/// One refresh token.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_tokens")]
pub struct Model {
    /// SHA-256 of the token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Vec<u8>,
    /// Its family.
    pub session_uid: Uuid,
    /// When it expires.
    pub expires_at: i64,
    /// When it was first used; null can be used.
    pub spent_at: Option<i64>,
    /// Whether it got its second pair.
    pub has_sibling: bool,
}

/// Relations are followed by hand, in `store`.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("session_uid", &self.session_uid)
            .field("spent_at", &self.spent_at)
            .finish_non_exhaustive()
    }
}
