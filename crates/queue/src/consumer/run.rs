//! Running a worker the right way.

use apalis_core::backend::finalize::DurableBackend;
use apalis_core::error::{BoxDynError, WorkerError};
use apalis_core::task::Task;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_core::worker::ext::parallelize::ParallelizeExt as _;
use apalis_core::worker::service::IntoWorkerService;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::Service;

use super::Consumer;
use crate::outcome::Outcome;

/// Runs a worker until its shutdown token fires and it has drained.
///
/// The handler is an apalis task function,
/// `async fn(A, JobContext) -> Result<Outcome, BoxDynError>`, or a closure that
/// captures what the work needs. Each job is a tokio task of its own, so that
/// handlers use all cores, and a panic is an error of that job alone.
///
/// On shutdown nothing more is claimed, jobs that have not begun go back, the
/// running ones are awaited (handlers bound themselves), and all settles are
/// stored, or their leases have ended.
///
/// # Errors
///
/// [`WorkerError`] if the worker could not start; never because of Redis.
pub async fn run<A, H, S>(consumer: Consumer<A>, handler: H) -> Result<(), WorkerError>
where
    A: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static,
    H: IntoWorkerService<Consumer<A>, S, Task = Task<A>, Backend = DurableBackend<Consumer<A>, A>>,
    S: Service<Task<A>, Response = Outcome> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxDynError> + Send + Sync + 'static,
{
    let shutdown = consumer.options().shutdown.clone();
    let context = WorkerContext::new(&consumer.options().label);
    let worker = WorkerBuilder::new(&context)
        .backend(consumer)
        .parallelize(tokio::spawn)
        .build(handler)
        .run();
    tokio::pin!(worker);
    tokio::select! {
        // The worker first: it must have started before it can be stopped.
        biased;
        ended = &mut worker => return ended,
        () = shutdown.cancelled() => context.stop()?,
    }
    worker.await
}
