//! A call that did not bring what it was for.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::{Problem, StorageError};

/// Why a call failed. It can be cloned: many requests may wait for one renewal, and all of
/// them learn how it ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// DNS, TCP, TLS, the time-out, or an answer that broke off.
    #[error("no server answers at {server}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// The cause, without the address.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// A stream of events on which nothing was heard for too long.
    #[error("{server} has fallen silent")]
    Silent {
        /// The server's address.
        server: String,
    },
    /// The server's own word.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The refresh token is spent, revoked or expired, or nobody has logged in: only a person
    /// with a password helps.
    #[error("the log-in at {server} has ended; log in again")]
    LogInAgain {
        /// The server's address.
        server: String,
    },
    /// An answer that the API does not give. What it said is not repeated: it may hold a token.
    #[error("{server} answered with status {status}, but not as tokenfleet does")]
    Unreadable {
        /// The server's address.
        server: String,
        /// The status of the answer.
        status: u16,
    },
    /// The address of the server cannot be used.
    #[error("{address} is no address of a server; it must be http://… or https://…")]
    Address {
        /// As it was given.
        address: String,
    },
    /// An empty id, `.` or `..`: put into an address it would make another one.
    #[error("{id:?} is no id")]
    Id {
        /// As it was given.
        id: String,
    },
    /// The saved log-in can be neither read nor written.
    #[error("the saved log-in cannot be used")]
    Storage(#[source] Arc<StorageError>),
    /// TLS could not be set up.
    #[error("cannot set up an HTTP client")]
    Setup(#[source] Arc<dyn Error + Send + Sync>),
    /// The process ended while the renewal was under way.
    #[error("the renewal of the token was interrupted")]
    Interrupted,
}

impl ClientError {
    /// What the server said, if it said something.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether the same call may well work later, without anybody doing anything: nobody
    /// answered, the server is overloaded (429), or something behind it is away (5xx).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Interrupted => true,
            Self::Refused(problem) => problem.status == 429 || problem.status >= 500,
            Self::Unreadable { status, .. } => *status >= 500,
            Self::LogInAgain { .. }
            | Self::Address { .. }
            | Self::Id { .. }
            | Self::Storage(_)
            | Self::Setup(_) => false,
        }
    }

    /// How long the server asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.problem()?.retry_after
    }

    /// Whether the token of the call was not accepted.
    pub(crate) fn is_unauthorized(&self) -> bool {
        self.problem().is_some_and(|problem| problem.status == 401)
    }
}

impl From<StorageError> for ClientError {
    fn from(error: StorageError) -> Self {
        Self::Storage(Arc::new(error))
    }
}
