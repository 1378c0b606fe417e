//! What a provider can do, and what it is given for it.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use domain::{ChannelState, Details, FreshTokens, Grant, ProviderName, Timestamp, Window};

use crate::{Accepted, Connect, FieldError, ImportRequest, RefreshError, Upstream};

/// A kind of provider: how its credentials are imported, kept fresh, and refused.
#[async_trait]
pub trait Provider: Send + Sync + Debug {
    /// The key under which channels name it, such as `facebook`.
    fn name(&self) -> &ProviderName;

    /// What a lost answer costs.
    fn rotation(&self) -> Rotation;

    /// Which app the provider counts its limits and its trust against, such as
    /// `facebook:<app id>`.
    ///
    /// A tenant's own key is its own identity. Safe to store and to show: a key
    /// appears as a short hash.
    fn app_identity(&self, grant: &Grant) -> String;

    /// What fails together with all channels of this provider; `None` if each of them
    /// has an address of its own.
    fn upstream(&self) -> Option<Upstream>;

    /// Whether a throttled answer with these details is about the app, and not about
    /// the one account that asked.
    fn throttles_app(&self, _: &Details) -> bool {
        true
    }

    /// When a token that lives so long is refreshed (contracts §8.2).
    ///
    /// `lifetime` counts from the token's issue; `None` if nobody knows its end.
    /// `grant` is the one that holds that token.
    fn window(&self, grant: &Grant, lifetime: Option<Duration>) -> Window;

    /// Settings without which a refresh is refused as misconfigured; empty if none is missing.
    fn missing_settings(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// How people connect its accounts; `None` if they can only be imported.
    fn connect(&self) -> Option<&dyn Connect> {
        None
    }

    /// Checks the `credentials` object of an import; nobody is asked.
    ///
    /// # Errors
    ///
    /// Every field that is unknown, missing, of a wrong type, empty, too long or
    /// contradictory, under its path (`credentials.expires_in`). The messages
    /// never repeat a value.
    fn accept(&self, import: &ImportRequest) -> Result<Accepted, Vec<FieldError>>;

    /// Asks for fresh tokens, once.
    ///
    /// It may take several requests; each is allowed by [`Call::permit`] first. An
    /// answer without new credentials ([`FreshTokens::unchanged`]) tells how long
    /// the old ones live. Who calls repeats it, if [`RefreshError::verdict`] says
    /// so; nothing that could spend a refresh token twice is repeated in here.
    ///
    /// Dropping the future loses an answer that may be on its way: do not.
    ///
    /// # Errors
    ///
    /// [`RefreshError`], whose `verdict` and `details` say everything.
    async fn refresh(&self, call: &Call<'_>) -> Result<FreshTokens, RefreshError>;
}

/// What becomes of the old credentials when new ones are issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// A refresh spends the refresh token: a lost answer may lose the grant.
    Rotating,
    /// The same credentials may be used again: a lost answer costs nothing.
    Reusable,
}

/// One refresh of one channel.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The credentials as they are stored.
    pub grant: &'a Grant,
    /// The account that the channel is known to be; another one is refused.
    pub external_id: Option<&'a str>,
    /// The stored end of the access token.
    pub access_expires_at: Option<Timestamp>,
    /// The stored state: `never_expires` asks for a look at the token.
    pub state: ChannelState,
    /// The database's time.
    pub now: Timestamp,
    /// Asked before every request.
    pub permit: &'a dyn Permit,
}

impl Debug for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("external_id", &self.external_id)
            .field("access_expires_at", &self.access_expires_at)
            .field("state", &self.state)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Who decides whether one more request may leave, and hears how much more the app may ask.
#[async_trait]
pub trait Permit: Send + Sync {
    /// Asked before each request of a call, the first included.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`], and the request is not sent.
    async fn before_request(&self) -> Result<(), NotPermitted>;

    /// Told what a good answer said of the app's budget at the provider: `percent` of it, 0–100,
    /// are spent. Most providers say nothing of it.
    fn heard_usage(&self, percent: u8) {
        let _ = percent;
    }
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPermitted {
    /// Too little of the lease is left to wait for an answer.
    #[error("the lease is nearly over")]
    LeaseEnding,
    /// The process stops; nothing new is begun.
    #[error("the process is stopping")]
    Stopping,
}
