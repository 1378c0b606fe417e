//! `service_tokens`: long-lived tokens of programs.

use sea_orm::entity::prelude::*;

/// One service token.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "service_tokens")]
pub struct Model {
    /// The key, and the `jti` of the token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// In which tenant it is valid.
    pub tenant_uid: Uuid,
    /// What people call it.
    pub name: String,
    /// What it allows, with spaces between.
    pub scopes: String,
    /// SHA-256 of the token.
    pub digest: Vec<u8>,
    /// When it expires; null never does.
    pub expires_at: Option<i64>,
    /// Who made it; null the holder of the admin token.
    pub created_by: Option<Uuid>,
    /// When it was made.
    pub created_at: i64,
    /// When it was used last, to the minute.
    pub last_used_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

/// Relations are followed by hand, in `store`.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("uid", &self.uid)
            .finish_non_exhaustive()
    }
}
