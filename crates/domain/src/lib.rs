//! The words and rules of tokenfleet: identities, states, outcomes, and when a
//! credential is due. No IO, no runtime: everything here is a value.

mod access;
mod backoff;
mod breaker;
mod cause;
mod clock;
mod event;
mod failure;
mod grant;
mod ids;
mod misfire;
mod policy;
mod refresh;
mod state;

pub use access::{Role, Scope, UnknownWord};
pub use backoff::{Backoff, full_jitter};
pub use breaker::{
    Advice, Alert, AppUsage, Breaker, BreakerRules, Incident, Met, NamedDelay, ProbeEnd, Tally,
    Trouble,
};
pub use cause::chain;
pub use clock::{Clock, SystemClock, Timestamp};
pub use event::{EventKind, UnknownEvent};
pub use failure::{DelaySource, Details, ErrorClass, Verdict, reason, silence};
pub use grant::{FreshTokens, Grant, GrantKind, Sealed};
pub use ids::{
    ChannelUid, EndpointUid, Generation, InvalidName, Name, ProcessUid, ProviderName,
    ServiceTokenUid, SessionUid, TenantUid, UserUid,
};
pub use misfire::{Misfire, UnknownMisfire};
pub use policy::{Lifetime, Margin, Plan, Window, next_attempt_after_failure, rehandout_after};
pub use refresh::{
    AttemptOutcome, AttemptRecord, JobTotals, RefreshResult, Replaced, TokenExpirationInfo,
};
pub use state::{ChannelState, UnknownState};
