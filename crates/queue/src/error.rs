//! What can go wrong between us and Redis.

use crate::job::Refused;

/// The queues could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not one; it is not repeated, for it may hold a password.
    #[error(
        "the Redis URL is not valid; allowed are redis://, rediss://, unix://, redis+sentinel:// and redis+cluster://, such as redis://127.0.0.1:6379/0"
    )]
    Url,
    /// The prefix would break the keys.
    #[error("'{0}' cannot be a key prefix: 1 to 64 of A-Z, a-z, 0-9, '_', '-' and '.'")]
    Prefix(String),
    /// Nobody answers there, or not to us.
    #[error("Redis cannot be reached")]
    Unreachable(#[source] redis::RedisError),
    /// It would drop jobs when its memory is full.
    #[error(
        "Redis has maxmemory-policy '{0}', which drops keys when the memory is full; the only one allowed is 'noeviction'"
    )]
    Evicts(String),
    /// It lacks what the scripts need.
    #[error("Redis {0} is too old; 6.2 or newer (or Valkey) is needed")]
    TooOld(String),
}

/// Redis did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// No answer: no connection, or none in time. It may have been done.
    #[error("Redis did not answer")]
    Unreachable(#[source] redis::RedisError),
    /// It answered with an error.
    #[error("Redis refused")]
    Refused(#[source] redis::RedisError),
    /// It answered something that this version does not understand.
    #[error("Redis holds a record of another version in queue {0}")]
    Record(String),
    /// A script answered something else than it does in this version.
    #[error("a script of queue {0} answered in a shape that this version does not know")]
    Answer(String),
    /// The cursor of a list is not one of ours.
    #[error("the cursor is not one that a list returned")]
    Cursor,
}

impl QueueError {
    /// Whether it makes sense to try again later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Refused(_))
    }
}

impl From<redis::RedisError> for QueueError {
    fn from(error: redis::RedisError) -> Self {
        if error.is_io_error() || error.is_unrecoverable_error() {
            Self::Unreachable(error)
        } else {
            Self::Refused(error)
        }
    }
}

/// One job could not be pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// It is not one that the queue takes.
    #[error("the queue does not take this job")]
    Refused(#[source] Refused),
    /// Redis was not there for it.
    #[error("the job could not be pushed")]
    Queue(#[source] QueueError),
}

impl From<QueueError> for PushError {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}
