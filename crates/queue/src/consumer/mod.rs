//! A queue as an apalis backend.

mod concurrency;
mod desk;
mod heartbeat;
mod options;
mod plan;
mod pump;
mod run;
pub(crate) mod settle;
mod sink;
pub(crate) mod step;
mod tend;
mod wake;

use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use apalis_core::backend::codec::Codec;
use apalis_core::backend::finalize::Durable;
use apalis_core::backend::{Backend, BackendConfig, WireFormatBackend};
use apalis_core::task::Task;
use apalis_core::worker::context::WorkerContext;
use apalis_core::worker::ext::ack::AcknowledgeLayer;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::concurrency::Concurrency;
pub use self::options::{ConsumerHealth, ConsumerOptions, PoisonHook};
pub use self::run::run;
pub use self::settle::Settler;

use self::desk::Desk;
use self::sink::Outbox;
use crate::error::PushError;
use crate::name::QueueName;
use crate::queues::Core;

/// A queue as an apalis backend; `A` is what payloads are decoded to.
///
/// Made by [`Queue::consumer`](crate::Queue::consumer), and run by
/// [`run`](crate::run) or an apalis `WorkerBuilder`. What talks to Redis are
/// tasks of its own, started with the worker: the pump (settles and claims, many
/// at a time), the heartbeat (leases, cancellations), the wake-up, and the
/// tending of the queue. So a slow handler never delays a settle, and trouble
/// with Redis never reaches the worker: the poll functions do not fail.
///
/// Dropping it ends the tasks; jobs that it held are taken over when their
/// leases end.
#[derive(Debug)]
pub struct Consumer<A> {
    desk: Arc<Desk>,
    outbox: Outbox,
    codec: JsonCodec,
    args: PhantomData<fn() -> A>,
}

impl<A> Consumer<A> {
    pub(crate) fn new(core: Arc<Core>, options: ConsumerOptions) -> Self {
        Self {
            outbox: Outbox::new(Arc::clone(&core)),
            desk: Arc::new(Desk::new(core, options)),
            codec: JsonCodec,
            args: PhantomData,
        }
    }

    /// Whether it is in touch with Redis; the handle outlives the consumer.
    #[must_use]
    pub fn health(&self) -> ConsumerHealth {
        self.desk.health.clone()
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &ConsumerOptions {
        &self.desk.options
    }
}

impl<A> Drop for Consumer<A> {
    fn drop(&mut self) {
        self.desk.abandon();
    }
}

/// Payloads are JSON.
#[derive(Clone, Copy, Debug)]
pub struct JsonCodec;

impl<T: Serialize + DeserializeOwned> Codec<T> for JsonCodec {
    type Error = serde_json::Error;
    type Compact = Vec<u8>;

    fn encode(&self, val: &T) -> Result<Vec<u8>, Self::Error> {
        serde_json::to_vec(val)
    }

    fn decode(&self, val: &Vec<u8>) -> Result<T, Self::Error> {
        serde_json::from_slice(val)
    }
}

impl<A> Backend for Consumer<A> {
    type Task = Task<Vec<u8>>;
    /// Of the sink; the functions below never return it.
    type Error = PushError;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), PushError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, PushError>>> {
        self.desk.poll_task(cx).map(|task| Some(Ok(task)))
    }

    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), PushError>> {
        self.desk.poll_closed(cx).map(Ok)
    }
}

impl<A: DeserializeOwned> BackendConfig for Consumer<A> {
    type Args = A;
    type Id = String;
    type Kind = Durable;
    type Config = QueueName;
    type Layer = AcknowledgeLayer<Settler>;

    fn config(&self) -> &QueueName {
        &self.desk.core.name
    }

    /// Starts the tasks that talk to Redis; needs a tokio runtime.
    fn middleware(&mut self, worker: &mut WorkerContext) -> Self::Layer {
        // A payload that is not an `A` would stop the whole worker if it got as far
        // as the decoder, so it is looked at before.
        let is_readable = |payload: &[u8]| serde_json::from_slice::<A>(payload).is_ok();
        self.desk.start(worker, is_readable);
        AcknowledgeLayer::new(Settler::new(Arc::clone(&self.desk)))
    }
}

impl<A> WireFormatBackend for Consumer<A> {
    type Codec = JsonCodec;
    type Compact = Vec<u8>;

    fn codec(&self) -> &JsonCodec {
        &self.codec
    }
}
