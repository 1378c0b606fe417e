//! What can go wrong between us and Redis.

/// The values cannot be reached by this address.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not one; it is not repeated, for it may hold a password.
    #[error(
        "the Redis URL is not valid; allowed are redis://, rediss://, unix://, redis+sentinel:// and redis+cluster://, such as redis://127.0.0.1:6379/0"
    )]
    Url,
}

/// Redis did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// No answer: no connection, or none in time. It may have been done.
    #[error("Redis did not answer")]
    Unreachable(#[source] redis::RedisError),
    /// It did not answer a moment ago, and is not asked again yet.
    #[error("Redis did not answer a moment ago")]
    Away,
    /// It answered with an error.
    #[error("Redis refused")]
    Refused(#[source] redis::RedisError),
    /// A value is not one that this version wrote.
    #[error("Redis holds a value of another version under {what}")]
    Unreadable {
        /// The kind of value; never its content.
        what: &'static str,
    },
}

impl CacheError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Away | Self::Refused(_))
    }
}

impl From<redis::RedisError> for CacheError {
    fn from(error: redis::RedisError) -> Self {
        if error.is_io_error() || error.is_unrecoverable_error() {
            Self::Unreachable(error)
        } else {
            Self::Refused(error)
        }
    }
}
