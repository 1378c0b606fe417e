//! The lane: leases and outcomes that come in together are stored together.
//!
//! One task takes what is waiting and what is about to come, stores it in one
//! transaction, answers everybody, and takes what came in meanwhile. An idle lane adds
//! no delay; a fleet that finishes 200 refreshes in the same few milliseconds pays one
//! commit.

use std::sync::Arc;
use std::time::Duration;

use domain::{AttemptRecord, ChannelUid};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::flush::flush;
use crate::pools::Pools;
use crate::{Escrow, Finish, Finished, LeaseOutcome, LeaseRequest, Restored, StoreError};

/// At most so many calls share a transaction.
const MOST: usize = 256;
/// Turns of the others without a call, after which nobody is waited for.
const TURNS: u32 = 4;
/// Calls that may wait before callers are held up.
const WAITING: usize = 4 * MOST;
/// A transaction that takes longer is given up, so that a dead connection ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One call that waits for the next transaction.
#[derive(Debug)]
pub(crate) enum Op {
    Lease(LeaseRequest, Reply<LeaseOutcome>),
    Finish(Arc<Finish>, Reply<Finished>),
    Release {
        channel: ChannelUid,
        epoch: i64,
        reply: Reply<bool>,
    },
    Record(Box<AttemptRecord>, Reply<()>),
    Restore {
        escrow: Box<Escrow>,
        /// A lease of the caller's.
        under: Option<i64>,
        reply: Reply<Restored>,
    },
    /// Answered once everything before it is stored.
    Barrier(Reply<()>),
}

/// The way into the lane; the task ends when the last clone is gone.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    sender: mpsc::Sender<Op>,
}

impl Lane {
    /// Starts the task.
    pub(crate) fn start(pools: Arc<Pools>) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(run(pools, receiver));
        Self { sender }
    }

    /// Hands a call in and waits for its answer.
    pub(crate) async fn send<T>(&self, op: impl FnOnce(Reply<T>) -> Op) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.sender.send(op(reply)).await;
        sent.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Waits until what was handed in before is stored.
    pub(crate) async fn drained(&self) {
        if let Err(cause) = self.send(Op::Barrier).await {
            tracing::debug!(error = %cause, "nothing waits any more");
        }
    }
}

async fn run(pools: Arc<Pools>, mut receiver: mpsc::Receiver<Op>) {
    let mut ops = Vec::with_capacity(MOST);
    while receiver.recv_many(&mut ops, MOST).await > 0 {
        gather(&mut receiver, &mut ops).await;
        let batch = std::mem::take(&mut ops);
        // A task of its own, so that a panic costs these callers their answer, and nobody else.
        let mut task = tokio::spawn(flush(Arc::clone(&pools), batch));
        match timeout(PATIENCE, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => tracing::error!(error = %cause, "a transaction crashed"),
            Err(_) => {
                tracing::warn!(timeout_secs = PATIENCE.as_secs(), "the database hangs");
                task.abort();
            }
        }
    }
}

/// Lets whoever is ready to run hand in its call too, as long as somebody does.
async fn gather(receiver: &mut mpsc::Receiver<Op>, ops: &mut Vec<Op>) {
    let (mut before, mut idle) = (ops.len(), 0);
    while idle < TURNS && ops.len() < MOST {
        tokio::task::yield_now().await;
        while ops.len() < MOST
            && let Ok(op) = receiver.try_recv()
        {
            ops.push(op);
        }
        idle = if ops.len() > before { 0 } else { idle + 1 };
        before = ops.len();
    }
}

impl Op {
    /// Which channel's row it needs.
    pub(crate) fn channel(&self) -> Option<ChannelUid> {
        match self {
            Self::Lease(request, _) => Some(request.channel),
            Self::Finish(finish, _) => Some(finish.attempt.channel),
            Self::Release { channel, .. } => Some(*channel),
            Self::Record(attempt, _) => Some(attempt.channel),
            Self::Restore { escrow, .. } => Some(escrow.attempt.channel),
            Self::Barrier(_) => None,
        }
    }

    /// Answers that the database failed.
    pub(crate) fn refuse(self, cause: StoreError) {
        match self {
            Self::Lease(_, reply) => answer(reply, Err(cause)),
            Self::Finish(_, reply) => answer(reply, Err(cause)),
            Self::Release { reply, .. } => answer(reply, Err(cause)),
            Self::Restore { reply, .. } => answer(reply, Err(cause)),
            Self::Record(_, reply) | Self::Barrier(reply) => answer(reply, Err(cause)),
        }
    }
}

/// Sends an answer; a caller that no longer waits does not need it.
pub(crate) fn answer<T>(reply: Reply<T>, result: Result<T, StoreError>) {
    drop(reply.send(result));
}
