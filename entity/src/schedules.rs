//! `schedules`: the recurring sweep of a tenant.

use sea_orm::entity::prelude::*;

/// One schedule; a tenant has at most one.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "schedules")]
pub struct Model {
    /// The key; a schedule that was cancelled and made again has another.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// Whose channels it sweeps.
    #[sea_orm(unique)]
    pub tenant_uid: Uuid,
    /// Time between two slots, in milliseconds.
    pub interval_ms: i64,
    /// Window of the sweep; the default of the fleet if null.
    pub refresh_before_minutes: Option<i32>,
    /// What becomes of a slot that was missed: `once` or `skip`.
    pub misfire: String,
    /// The next slot.
    pub next_run_at: i64,
    /// The last slot whose sweep was done.
    pub last_done_slot: Option<i64>,
    /// When it was made.
    pub created_at: i64,
    /// When it was changed by a person.
    pub updated_at: i64,
}

/// What a schedule belongs to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Whose channels it sweeps.
    #[sea_orm(
        belongs_to = "super::tenants::Entity",
        from = "Column::TenantUid",
        to = "super::tenants::Column::Uid"
    )]
    Tenant,
}

impl ActiveModelBehavior for ActiveModel {}
