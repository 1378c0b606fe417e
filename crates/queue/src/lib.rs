//! Jobs on Redis, as an [apalis](https://docs.rs/apalis) backend.

mod bus;
mod consumer;
mod control;
mod error;
mod inspect;
mod job;
mod link;
mod name;
mod outcome;
mod push;
mod queues;
mod record;
mod script;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;
mod wait;

pub use consumer::{
    Consumer, ConsumerHealth, ConsumerOptions, JsonCodec, PoisonHook, Settler, run,
};
pub use error::{ConnectError, PushError, QueueError};
pub use job::{
    CancelOutcome, Counts, JobFilter, JobState, JobView, NewJob, Page, Purged, Pushed, Refused,
    RetryOutcome, Waited, When,
};
pub use name::{InvalidName, JobId, Nonce, QueueName};
pub use outcome::{JobContext, Outcome};
pub use queues::{Queue, Queues};
pub use settings::{ConnectOptions, QueueSettings};

/// What a handler's error may be; an `Err` is a fault of ours, and retried with backoff.
pub use apalis_core::error::{BoxDynError, WorkerError};
