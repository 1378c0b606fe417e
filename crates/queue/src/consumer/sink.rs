//! Pushing through apalis, for those who have a worker's backend at hand.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{SystemTime, UNIX_EPOCH};

use apalis_core::task::Task;
use futures::Sink;
use futures::future::BoxFuture;

use super::Consumer;
use crate::error::PushError;
use crate::job::{NewJob, When};
use crate::name::Nonce;
use crate::queues::{Core, Queue};

/// Tasks that are pushed together.
const BATCH: usize = 500;

/// Tasks on their way to Redis.
pub(super) struct Outbox {
    core: Arc<Core>,
    jobs: Vec<NewJob>,
    sending: Option<BoxFuture<'static, Result<(), PushError>>>,
}

impl Outbox {
    pub(super) const fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            jobs: Vec::new(),
            sending: None,
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PushError>> {
        loop {
            if let Some(sending) = &mut self.sending {
                let sent = ready!(sending.as_mut().poll(cx));
                self.sending = None;
                sent?;
            }
            if self.jobs.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let queue = Queue {
                core: Arc::clone(&self.core),
            };
            let jobs = std::mem::take(&mut self.jobs);
            self.sending = Some(Box::pin(async move {
                let report = queue.push_many(jobs).await?;
                match report.into_iter().find_map(Result::err) {
                    Some(refused) => Err(PushError::Refused(refused)),
                    None => Ok(()),
                }
            }));
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("jobs", &self.jobs.len())
            .finish_non_exhaustive()
    }
}

/// The key is the task's idempotency key, or a random one; the tenant is its
/// metadata `tenant`, or `default`; the deadline is when it is to run.
fn new_job(task: Task<Vec<u8>>) -> NewJob {
    let (payload, ctx) = task.take();
    let run_at_ms = ctx
        .run_at()
        .map(|secs| i64::try_from(secs).unwrap_or(i64::MAX).saturating_mul(1000));
    let key = ctx.idempotency_key().map(str::to_owned);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
    NewJob {
        key: key.unwrap_or_else(|| Nonce::random().to_string() + &Nonce::random().to_string()),
        tenant: ctx.metadata().get("tenant").unwrap_or("default").to_owned(),
        payload,
        when: run_at_ms.map_or(When::Scheduled, When::At),
        deadline_ms: run_at_ms.unwrap_or(now_ms),
        not_before_ms: 0,
        version: 0,
        id_hint: None,
        max_attempts: ctx.max_attempts().and_then(|max| u32::try_from(max).ok()),
    }
}

impl<A> Sink<Task<Vec<u8>>> for Consumer<A> {
    type Error = PushError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PushError>> {
        let outbox = &mut self.get_mut().outbox;
        if outbox.jobs.len() < BATCH {
            return Poll::Ready(Ok(()));
        }
        outbox.poll_flush(cx)
    }

    fn start_send(self: Pin<&mut Self>, task: Task<Vec<u8>>) -> Result<(), PushError> {
        self.get_mut().outbox.jobs.push(new_job(task));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PushError>> {
        self.get_mut().outbox.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PushError>> {
        self.get_mut().outbox.poll_flush(cx)
    }
}
