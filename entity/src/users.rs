//! `users`: the people who can log in; each belongs to one tenant.

use sea_orm::entity::prelude::*;

/// One person.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// The key; never given twice.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// Whose.
    pub tenant_uid: Uuid,
    /// The address by which the person logs in, in lower case.
    #[sea_orm(unique)]
    pub email: String,
    /// What people call the person.
    pub name: String,
    /// Argon2id in PHC form.
    pub password_hash: String,
    /// `viewer`, `operator` or `owner`.
    pub role: String,
    /// Whether the person may do everything in every tenant.
    pub platform_admin: bool,
    /// Since when the person may not log in; null may.
    pub disabled_at: Option<i64>,
    /// When the person came.
    pub created_at: i64,
    /// When a person changed something of it.
    pub updated_at: i64,
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
