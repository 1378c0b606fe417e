//! `attempts`: the history, one row per try at a job.

use sea_orm::entity::prelude::*;

/// One try.
///
/// It names its channel without a foreign key: a job may end after its channel is gone.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempts")]
pub struct Model {
    /// A UUID of version 7: rows sort by age.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// Whose channel.
    pub tenant_uid: Uuid,
    /// Which channel.
    pub channel_uid: Uuid,
    /// Which job.
    pub job_id: String,
    /// Number of the try, the first being 1; 0 for a job that ended without running.
    pub attempt: i32,
    /// When it began.
    pub started_at: i64,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// Name of a `domain::AttemptOutcome`.
    pub outcome: String,
    /// Whether the job ended with it; at most one row per job has it set.
    pub ends_job: bool,
    /// Generation of the channel afterwards.
    pub generation: Option<i64>,
    /// End of the channel's access token afterwards.
    pub new_expires_at: Option<i64>,
    /// Of a refresh that brought new credentials: the provider's name. Set if the next two count.
    pub provider: Option<String>,
    /// When its channel was due.
    pub due_at: Option<i64>,
    /// End of the access token that it replaced, but not before the channel was imported.
    pub old_expires_at: Option<i64>,
    /// JSON of `domain::Details`.
    pub details: String,
}

/// Attempts name their channel without a constraint.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
