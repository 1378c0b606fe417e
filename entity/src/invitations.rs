//! `invitations`: people who may join a tenant.

use sea_orm::entity::prelude::*;

/// One invitation; it goes when it is accepted.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitations")]
pub struct Model {
    /// The key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// Into which tenant.
    pub tenant_uid: Uuid,
    /// The address by which the person will log in, in lower case.
    pub email: String,
    /// What people call the person.
    pub name: String,
    /// The role that the person will have.
    pub role: String,
    /// SHA-256 of its token.
    #[sea_orm(unique)]
    pub digest: Vec<u8>,
    /// Until when it can be accepted.
    pub expires_at: i64,
    /// When it was made.
    pub created_at: i64,
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
