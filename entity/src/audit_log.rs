//! `audit_log`: who changed what, when, and from where. Never a secret.

use sea_orm::entity::prelude::*;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_log")]
pub struct Model {
    /// The key; a UUID of version 7, so that later ones sort after earlier ones.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// When.
    pub at: i64,
    /// In which tenant; null concerns the platform.
    pub tenant_uid: Option<Uuid>,
    /// The account that did it: `admin`, `user:…`, `service_token:…`, `anonymous`.
    pub actor: String,
    /// What: `channel.import`.
    pub action: String,
    /// To what: its address without `/api/v1/`.
    pub target: String,
    /// The caller's address.
    pub address: Option<String>,
    /// The id of the request, which its answer has told.
    pub request_id: Uuid,
    /// More, as JSON.
    pub details: Option<String>,
}

/// Relations are followed by hand, in `store`.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
