//! The egress guard: calls to addresses that a tenant supplied.
//!
//! A tenant must not make this process call what only this process can reach. So
//! an address is checked as it is written ([`Egress::check`]), every address that
//! its name resolves to is checked again, and that very address is connected to:
//! a name that resolves elsewhere a moment later gains nothing. No redirect is
//! followed, no proxy is used, and one owner has one call at a time per origin.

mod address;
mod post;
mod resolver;
mod turns;
mod url;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::url::Url;
use domain::reason;

use crate::SettingsError;
use crate::http::{Http, Limits};

use resolver::System;
use turns::Turns;

pub use post::{Post, PostError, Posted, check_target};
pub(crate) use resolver::Guarded;
pub(crate) use turns::Turn;

/// How long a call waits for an earlier one of the same owner.
const PATIENCE: Duration = Duration::from_secs(2);

/// Calls addresses that tenants supplied. Cheap to clone; all clones share the turns.
#[derive(Clone, Debug)]
pub struct Egress {
    http: Http,
    allow_private: bool,
    turns: Turns,
}

/// Why an address is not called.
///
/// The messages are for whoever supplied the address: they follow the name of its
/// field and never repeat it, nor what a name resolved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressRefusal {
    /// No address at all.
    #[error("must be an address such as https://host.example/api")]
    Malformed,
    /// Another scheme than https.
    #[error("must begin with https://")]
    Scheme,
    /// A user or a password in the address.
    #[error("must not name a user")]
    User,
    /// A query or a fragment.
    #[error("must not have a query or a fragment")]
    Query,
    /// An address of this machine or of its network.
    #[error("must not point to a private address")]
    Private,
    /// An address that nobody is reached at: reserved, link-local, multicast.
    #[error("must not point to a reserved address")]
    Reserved,
}

impl EgressRefusal {
    /// One of [`domain::reason`].
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Private | Self::Reserved => reason::PRIVATE_ADDRESS,
            Self::Malformed | Self::Scheme | Self::User | Self::Query => reason::ADDRESS_REFUSED,
        }
    }
}

/// Who knows the addresses of a name.
#[async_trait::async_trait]
pub(crate) trait Names: Send + Sync {
    /// All addresses of a name; their ports mean nothing.
    async fn resolve(&self, name: &str) -> std::io::Result<Vec<SocketAddr>>;
}

impl Egress {
    /// A guard whose calls take `timeout` at most, `connect_timeout` of it to connect.
    ///
    /// `allow_private` lets through private addresses, and http with them; reserved
    /// ones never.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if a limit is zero, or no TLS configuration can be made.
    pub fn new(
        timeout: Duration,
        connect_timeout: Duration,
        allow_private: bool,
    ) -> Result<Self, SettingsError> {
        let limits = Limits {
            timeout,
            connect_timeout,
        };
        Self::resolving(limits, allow_private, Arc::new(System))
    }

    /// The same with another source of addresses.
    pub(crate) fn resolving(
        limits: Limits,
        allow_private: bool,
        names: Arc<dyn Names>,
    ) -> Result<Self, SettingsError> {
        let guarded = Guarded {
            names,
            allow_private,
        };
        Ok(Self {
            http: Http::guarded(limits, guarded)?,
            allow_private,
            turns: Turns::default(),
        })
    }

    /// Checks an address as it is written; nobody is asked.
    ///
    /// # Errors
    ///
    /// [`EgressRefusal`] for what can be seen without resolving its name.
    pub fn check(&self, given: &str) -> Result<Url, EgressRefusal> {
        url::check(given, self.allow_private)
    }

    /// The client whose every connection is guarded. A literal address in a URL is
    /// not resolved, so only URLs that came out of [`Egress::check`] may be sent.
    pub(crate) const fn http(&self) -> &Http {
        &self.http
    }

    /// The turn of `owner` at the origin of `url`, to be kept until the answer is
    /// there; `None` if an earlier call takes too long.
    pub(crate) async fn turn(&self, owner: &str, url: &Url) -> Option<Turn> {
        let origin = url.origin().ascii_serialization();
        self.turns.take(format!("{owner} {origin}"), PATIENCE).await
    }
}

#[cfg(test)]
mod tests;
