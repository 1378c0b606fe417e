//! `sessions`: log-ins; each is a family of refresh tokens.

use sea_orm::entity::prelude::*;

/// One log-in.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    /// The key; access and refresh tokens name it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// Who logged in.
    pub user_uid: Uuid,
    /// When its youngest refresh token expires.
    pub expires_at: i64,
    /// When it was ended: logged out, replayed, or by a new password.
    pub ended_at: Option<i64>,
    /// When the person logged in.
    pub created_at: i64,
    /// When it was refreshed last.
    pub last_used_at: i64,
}

/// Relations are followed by hand, in `store`.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
