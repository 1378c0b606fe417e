//! All SQL of tokenfleet: rows in, values of `domain` out.
//!
//! The database is the truth about what is due, who holds a lease, and what
//! the sealed credentials are. Two rules run through every file: "now" is the
//! database's clock, and whatever locks several rows locks them in the order of
//! their uid. The store never sees a secret: envelopes are opaque bytes.
//!
//! | to | call |
//! | --- | --- |
//! | open a database | [`Store::connect`], [`Store::migrate_up`], [`Store::check_schema`] |
//! | keep tenants and channels | [`Store::create_tenant`], [`Store::import_channels`], [`Store::patch_channel`], [`Store::delete_channel`] |
//! | find work | [`Store::take_due`], [`Store::request_refresh`], [`Store::due_schedules`] |
//! | keep people and programs | [`Store::register`], [`Store::open_session`], [`Store::rotate`], [`Store::create_service_token`] |
//! | do it | [`Store::lease`], [`Store::renew_lease`], [`Store::finish`], [`Store::release`], [`Store::record`], [`Store::restore`] |
//! | tell tenants | [`Store::create_endpoint`], [`Store::dispatch_events`], [`Store::take_endpoints`], [`Store::due_deliveries`], [`Store::settle_delivery`], [`Store::replay`] |
//! | change the master key | [`Store::activate_key`], [`Store::sealed_by_others`], [`Store::store_rewrapped`], [`Store::retire_key`] |
//! | hand out tokens | [`Store::held`], [`Store::held_named`] |
//! | tell about it | [`Store::job_result`], [`Store::attempts_of_channel`], [`Store::statistics`], [`Store::freshness`], [`Store::forecast`] |

mod attempts;
mod audit;
mod batches;
mod channel;
mod columns;
mod connect;
mod counters;
mod deliveries;
mod due;
mod edit;
mod error;
mod escrow;
mod events;
mod expiring;
mod finish;
mod fleet;
mod flush;
mod forecast;
mod freshness;
mod held;
mod import;
mod intent;
mod invitations;
mod kept;
mod keys;
mod lane;
mod lease;
mod listing;
mod outbox;
mod overview;
mod page;
mod plain;
mod pools;
mod promise;
mod retention;
mod rewrap;
mod row;
mod schedules;
mod service_tokens;
mod sessions;
mod sql;
mod statistics;
mod tenants;
mod users;
mod webhooks;

pub use audit::{AuditEntry, AuditFilter, AuditRecord};
pub use batches::{Batch, BatchItem};
pub use channel::{Channel, Facts, LastError};
pub use connect::{Store, StoreOptions};
pub use deliveries::{Delivery, DeliveryResult, Settlement};
pub use due::{Due, RefreshRequest};
pub use edit::{ChannelPatch, NewGrant};
pub use error::{ConnectError, CreateError, SchemaError, StoreError};
pub use escrow::{DamagedEscrow, Escrow, Restored};
pub use expiring::ExpiryWalk;
pub use finish::{Change, Failure, Finish, Finished};
pub use fleet::{Process, ProcessInfo};
pub use forecast::{CallsByHour, EndingGrant, Forecast};
pub use freshness::{Freshness, FreshnessFigures, Lags};
pub use held::Held;
pub use import::NewChannel;
pub use intent::Intent;
pub use invitations::{AcceptError, Invitation, NewInvitation};
pub use keys::{Activation, KnownKey, Retirement};
pub use lease::{Lease, LeaseOutcome, LeaseRequest};
pub use listing::ChannelFilter;
pub use migration::MigrationStatus;
pub use outbox::{DueEndpoint, Replayed};
pub use overview::InState;
pub use page::{Page, PageRequest};
pub use promise::Promise;
pub use retention::{Pruned, Retention};
pub use rewrap::{Holding, KeyUse, Rewrapped, SealedValue};
pub use schedules::Schedule;
pub use service_tokens::{NewServiceToken, ServiceToken};
pub use sessions::{Familiar, Rotation, Spend};
pub use sql::Dialect;
pub use statistics::Statistics;
pub use tenants::Tenant;
pub use users::{Admission, Login, NewUser, RegisterError, User, UserPatch};
pub use webhooks::{Endpoint, NewEndpoint};
