//! `expiry_notices`: which end of a refresh token a tenant was told of last.

use sea_orm::entity::prelude::*;

/// One channel's last notice.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "expiry_notices")]
pub struct Model {
    /// Which channel; it goes with it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_uid: Uuid,
    /// The end that was told.
    pub refresh_expires_at: i64,
    /// How near it was: 14, 3 or 1 days.
    pub days: i32,
}

/// Notices belong to channels, by a constraint of the database.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
