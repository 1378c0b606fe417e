//! `channels`: one grant at one provider each, and everything that decides when it is refreshed.

use sea_orm::entity::prelude::*;

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "channels")]
pub struct Model {
    /// The key; never given twice.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: Uuid,
    /// Whose it is.
    pub tenant_uid: Uuid,
    /// The name by which callers know it, unique in the tenant; `~<uid>` once it is being deleted.
    pub id: String,
    /// The provider's name.
    pub provider: String,
    /// Whose client credentials it uses at the provider: budgets and breakers go by it.
    pub app_identity: String,
    /// The account at the provider.
    pub external_id: Option<String>,
    /// What people call it.
    pub display_name: String,
    /// What the tenant's own system calls it.
    pub local_name: Option<String>,
    /// Name of a `domain::ChannelState`.
    pub state: String,
    /// Why it is in that state.
    pub reason: Option<String>,
    /// While it is paused: the state it was paused in.
    pub paused_from: Option<String>,
    /// How often credentials were stored.
    pub generation: i64,
    /// The sealed credentials.
    pub envelope: Vec<u8>,
    /// The master key that opens the envelope.
    pub key_id: String,
    /// Tells the refresh material apart without opening it; 16 bytes.
    pub fingerprint: Vec<u8>,
    /// Whether the envelope has what a refresh needs.
    pub has_refresh_material: bool,
    /// End of the access token.
    pub access_expires_at: Option<i64>,
    /// End of the refresh token.
    pub refresh_expires_at: Option<i64>,
    /// When it should be refreshed; lag is measured against it.
    pub refresh_due_at: Option<i64>,
    /// When the scheduler looks at it next.
    pub next_handout_at: Option<i64>,
    /// When somebody wants it refreshed.
    pub requested_at: Option<i64>,
    /// The job that was promised to whoever asked.
    pub request_job_id: Option<String>,
    /// When new credentials were stored last.
    pub last_refreshed_at: Option<i64>,
    /// Failed jobs in a row.
    pub failures: i32,
    /// JSON of `store::LastError`.
    pub last_error: Option<String>,
    /// The fencing token: one more with every lease.
    pub lease_epoch: i64,
    /// End of the live lease.
    pub lease_until: Option<i64>,
    /// JSON of the open intent: which request may be under way.
    pub intent: Option<String>,
    /// When it was imported.
    pub created_at: i64,
    /// When anything but a lease or a hand-out last changed.
    pub updated_at: i64,
}

/// What a channel belongs to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Whose it is.
    #[sea_orm(
        belongs_to = "super::tenants::Entity",
        from = "Column::TenantUid",
        to = "super::tenants::Column::Uid"
    )]
    Tenant,
}

impl ActiveModelBehavior for ActiveModel {}
