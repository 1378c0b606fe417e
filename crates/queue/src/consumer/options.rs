//! How a worker consumes a queue, and whether it does.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::concurrency::Concurrency;
use crate::job::JobView;

/// Told of a job that the queue ends on its own; see [`ConsumerOptions::on_poison`].
pub type PoisonHook = Arc<dyn Fn(JobView) -> BoxFuture<'static, ()> + Send + Sync>;

/// How a worker consumes a queue.
#[derive(Clone)]
pub struct ConsumerOptions {
    /// Jobs at once; nothing is claimed ahead of free slots.
    pub concurrency: Concurrency,
    /// Whether two calls of Redis may be under way, each for half of the slots. Handlers that
    /// take microseconds are kept busy by that; with longer ones each call is better for as
    /// many jobs as there are.
    pub overlaps: bool,
    /// How the worker is called in logs; names nothing in Redis, so that any
    /// number of workers may have the same.
    pub label: String,
    /// The run of the process that it belongs to, for logs.
    pub process: Uuid,
    /// When it fires, nothing more is claimed, jobs that have not begun go back
    /// without spending an attempt, and running ones are awaited.
    pub shutdown: CancellationToken,
    /// Told of every job that ends without its handler having said so: its
    /// worker was lost too often, its last try was an error or a panic, its
    /// payload cannot be read, or it was cancelled while its handler wanted to
    /// try again. The view shows how it ends. It is called before the job is
    /// settled (but after it for a cancellation that was not known in time),
    /// and once more by the next worker if this one dies in between.
    pub on_poison: Option<PoisonHook>,
}

impl ConsumerOptions {
    /// Three jobs at once, two calls of Redis, no shutdown, no hook.
    #[must_use]
    pub fn new(label: impl Into<String>, process: Uuid) -> Self {
        Self {
            concurrency: Concurrency::new(3),
            overlaps: true,
            label: label.into(),
            process,
            shutdown: CancellationToken::new(),
            on_poison: None,
        }
    }

    /// Another number of jobs at once.
    #[must_use]
    pub fn concurrency(mut self, concurrency: impl Into<Concurrency>) -> Self {
        self.concurrency = concurrency.into();
        self
    }

    /// Whether two calls of Redis may be under way.
    #[must_use]
    pub fn overlaps(mut self, overlaps: bool) -> Self {
        self.overlaps = overlaps;
        self
    }

    /// What stops it.
    #[must_use]
    pub fn shutdown(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// What is told of jobs that the queue ends on its own.
    #[must_use]
    pub fn on_poison<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(JobView) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_poison = Some(Arc::new(move |view| Box::pin(hook(view))));
        self
    }
}

impl fmt::Debug for ConsumerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerOptions")
            .field("concurrency", &self.concurrency)
            .field("label", &self.label)
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

/// Tells whether a consumer is in touch with Redis.
///
/// An idle one asks at least every `safety_poll`, a busy one extends its leases
/// every third of `lease`.
#[derive(Clone, Debug, Default)]
pub struct ConsumerHealth {
    last_round_trip: Arc<Mutex<Option<Instant>>>,
    other_settings: Arc<Mutex<Option<String>>>,
}

impl ConsumerHealth {
    /// When Redis last answered a claim or a heartbeat; `None` before the first time.
    #[must_use]
    pub fn last_round_trip(&self) -> Option<Instant> {
        *self
            .last_round_trip
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings with which another worker of the same queue was seen, for people; `None` if
    /// all that were seen agree with ours.
    #[must_use]
    pub fn other_settings(&self) -> Option<String> {
        self.other_settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether they are others than those noted before.
    pub(crate) fn note_other_settings(&self, theirs: &str) -> bool {
        let mut noted = self
            .other_settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_news = noted.as_deref() != Some(theirs);
        *noted = Some(theirs.to_owned());
        is_news
    }

    pub(crate) fn touch(&self) {
        *self
            .last_round_trip
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}
