//! `webhook_endpoints`: where tenants want to be told, and how that goes.

use sea_orm::entity::prelude::*;

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_endpoints")]
pub struct Model {
    /// The key, a UUID of version 7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// Whose it is.
    pub tenant_uid: Uuid,
    /// Where it is called; it may hold a secret of the receiver's.
    #[sea_orm(column_type = "Text")]
    pub url: String,
    /// JSON list of the kinds of events that it hears of.
    #[sea_orm(column_type = "Text")]
    pub events: String,
    /// The sealed signing secret.
    pub envelope: Vec<u8>,
    /// The master key that wrapped its data key.
    pub key_id: String,
    /// Tells two envelopes apart.
    pub fingerprint: Vec<u8>,
    /// When it was made; it hears of what happens from then on.
    pub created_at: i64,
    /// When the scheduler looks at it next; `None` if nothing waits.
    pub next_handout_at: Option<i64>,
    /// Until when it is left alone after a failure.
    pub rest_until: Option<i64>,
    /// Since when every call has failed.
    pub failing_since: Option<i64>,
    /// When it was given up.
    pub disabled_at: Option<i64>,
    /// What went wrong last; gone with the next success.
    pub last_error: Option<String>,
    /// The last HTTP status, if there was an answer.
    pub last_status: Option<i32>,
    /// When an event was last taken.
    pub last_success_at: Option<i64>,
    /// Events that it took, all together.
    pub delivered: i64,
    /// Events that it was not told of after all tries.
    pub given_up: i64,
}

/// Endpoints belong to tenants, by a constraint of the database.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
