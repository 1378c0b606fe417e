//! `webhook_deliveries`: one event for one endpoint.

use sea_orm::entity::prelude::*;

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_deliveries")]
pub struct Model {
    /// What is told.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_uid: Uuid,
    /// To whom.
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint_uid: Uuid,
    /// `pending`, `delivered`, `given_up`.
    pub state: String,
    /// Calls so far.
    pub attempts: i32,
    /// When it is tried next; `None` once it is delivered or given up.
    pub next_at: Option<i64>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// The last HTTP status, if there was an answer.
    pub last_status: Option<i32>,
    /// When it last changed.
    pub updated_at: i64,
}

/// Deliveries go with their age, without a constraint.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
