//! One transaction for many calls: read the rows, decide in memory, write what changed.

use std::collections::HashSet;
use std::sync::Arc;

use domain::{AttemptRecord, ChannelUid, Timestamp};
use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use crate::counters::Deltas;
use crate::events::Event;
use crate::finish::{self, Change, Finish, Finished};
use crate::lane::{Op, Reply, answer};
use crate::pools::{self, Pools};
use crate::row::{Row, RowMap};
use crate::sql::Sql;
use crate::{Escrow, Restored, StoreError, attempts, escrow, events, lease, plain, row};

/// Carries out these calls and answers them: the plain ones first, the others in
/// their order, all or none.
pub(crate) async fn flush(pools: Arc<Pools>, ops: Vec<Op>) {
    let ops = plain::carry_out(&pools, ops).await;
    if ops.is_empty() {
        return;
    }
    let (transaction, mut batch) = match open(&pools, &ops).await {
        Ok(opened) => opened,
        Err(cause) => {
            for op in ops {
                op.refuse(cause.clone());
            }
            return;
        }
    };
    for op in ops {
        batch.decide(op);
    }
    let stored = batch.store(transaction, &pools.sql).await;
    if let Err(cause) = &stored {
        tracing::warn!(error = %cause, calls = batch.answers.len(), "a transaction failed");
    }
    batch.answer(&stored);
}

async fn open(pools: &Pools, ops: &[Op]) -> Result<(DatabaseTransaction, Batch), StoreError> {
    let transaction = pools.begin().await?;
    let rows = row::load(&transaction, &pools.sql, ops.iter().filter_map(Op::channel)).await?;
    // Asked once the rows are locked: whoever waited for a lock must not work with an old time.
    let now = pools::now(&transaction, &pools.sql).await?;
    Ok((transaction, Batch::new(rows, now)))
}

/// Tells a caller what came of it, given whether the transaction was stored.
type Answer = Box<dyn FnOnce(&Result<(), StoreError>) + Send>;

/// An attempt for the history.
struct Entry {
    attempt: AttemptRecord,
    /// It was made under a lease: it stays in the history even if its job ended before.
    made: bool,
}

/// An outcome that came too late, or a second time.
struct Late {
    attempt: AttemptRecord,
    finished: Finished,
    reply: Reply<Finished>,
}

/// What a transaction is to store.
struct Batch {
    now: Timestamp,
    rows: RowMap,
    entries: Vec<Entry>,
    events: Vec<Event>,
    late: Vec<Late>,
    answers: Vec<Answer>,
}

impl Batch {
    fn new(rows: RowMap, now: Timestamp) -> Self {
        Self {
            now,
            rows,
            entries: Vec::new(),
            events: Vec::new(),
            late: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Carries out one call in memory.
    fn decide(&mut self, op: Op) {
        match op {
            Op::Lease(request, reply) => {
                let now = self.now;
                let outcome = self
                    .row(request.channel)
                    .and_then(|row| lease::take(row, &request, now));
                self.reply(reply, outcome);
            }
            Op::Finish(finish, reply) => self.finish(Arc::unwrap_or_clone(finish), reply),
            Op::Release {
                channel,
                epoch,
                reply,
            } => {
                let held = self.row(channel).map(|row| finish::give_back(row, epoch));
                self.reply(reply, held);
            }
            Op::Record(attempt, reply) => self.record(*attempt, reply),
            Op::Restore {
                escrow,
                under,
                reply,
            } => {
                let restored = self.restore(*escrow, under);
                self.reply(reply, restored);
            }
            Op::Barrier(reply) => self.reply(reply, Ok(())),
        }
    }

    fn finish(&mut self, mut finish: Finish, reply: Reply<Finished>) {
        let now = self.now;
        let row = match self.row(finish.attempt.channel) {
            Ok(row) => row,
            Err(cause) => return self.reply(reply, Err(cause)),
        };
        let Some(row) = row else {
            return self.too_late(finish.attempt, Finished::Gone, reply);
        };
        let before = row.state;
        match finish::apply(row, &mut finish, now) {
            Finished::Stored => {
                let refreshed = matches!(finish.change, Change::Stored { .. });
                let events = events::of(before, refreshed, row, now);
                self.made(finish.attempt, events);
                self.reply(reply, Ok(Finished::Stored));
            }
            late => self.too_late(finish.attempt, late, reply),
        }
    }

    fn restore(&mut self, mut escrow: Escrow, under: Option<i64>) -> Result<Restored, StoreError> {
        let now = self.now;
        let Some(row) = self.row(escrow.attempt.channel)? else {
            return Ok(Restored::Gone);
        };
        let before = row.state;
        let restored = escrow::apply(row, &mut escrow, under, now);
        if restored == Restored::Stored {
            let events = events::of(before, true, row, now);
            self.made(escrow.attempt, events);
        }
        Ok(restored)
    }

    /// An attempt that was made under a lease changed its channel.
    fn made(&mut self, attempt: AttemptRecord, events: Vec<Event>) {
        self.events.extend(events);
        self.entries.push(Entry {
            attempt,
            made: true,
        });
    }

    fn record(&mut self, attempt: AttemptRecord, reply: Reply<()>) {
        let now = self.now;
        let settled = self
            .row(attempt.channel)
            .map(|row| finish::settle_request(row, &attempt, now));
        if settled.is_ok() {
            self.entries.push(Entry {
                attempt,
                made: false,
            });
        }
        self.reply(reply, settled);
    }

    fn row(&mut self, channel: ChannelUid) -> Result<Option<&mut Row>, StoreError> {
        match self.rows.get_mut(&channel.0) {
            None => Ok(None),
            Some(Ok(row)) => Ok(Some(row)),
            Some(Err(cause)) => Err(cause.clone()),
        }
    }

    fn reply<T: Send + 'static>(&mut self, reply: Reply<T>, result: Result<T, StoreError>) {
        self.answers.push(Box::new(move |stored| {
            answer(reply, stored.clone().and(result));
        }));
    }

    fn too_late(&mut self, attempt: AttemptRecord, finished: Finished, reply: Reply<Finished>) {
        self.late.push(Late {
            attempt,
            finished,
            reply,
        });
    }

    /// Writes everything, channels first: whoever waits for a channel's lock holds no other.
    async fn store(
        &mut self,
        transaction: DatabaseTransaction,
        sql: &Sql,
    ) -> Result<(), StoreError> {
        row::save(&transaction, sql, self.rows.values().flatten()).await?;
        let ended = self.store_entries(&transaction, sql).await?;
        self.store_late(&transaction, sql).await?;
        ended.add(&transaction, sql).await?;
        events::insert(&transaction, sql, std::mem::take(&mut self.events)).await?;
        Ok(transaction.commit().await?)
    }

    async fn store_entries(
        &mut self,
        transaction: &DatabaseTransaction,
        sql: &Sql,
    ) -> Result<Deltas, StoreError> {
        let all = self.entries.iter().map(|entry| &entry.attempt);
        let mut new: HashSet<Uuid> = attempts::insert(transaction, sql, all)
            .await?
            .into_iter()
            .collect();
        let mut ended = Deltas::default();
        let mut again = Vec::new();
        for entry in &self.entries {
            // Taken out: a record that was handed in twice counts once.
            if new.remove(&entry.attempt.uid) {
                ended.count(&entry.attempt, self.now);
            } else if entry.made {
                again.push(not_ending(&entry.attempt));
            }
        }
        attempts::insert(transaction, sql, &again).await?;
        Ok(ended)
    }

    /// Tells outcomes that are stored already from those that lost their lease.
    async fn store_late(
        &mut self,
        transaction: &DatabaseTransaction,
        sql: &Sql,
    ) -> Result<(), StoreError> {
        if self.late.is_empty() {
            return Ok(());
        }
        let uids = self.late.iter().map(|late| late.attempt.uid);
        let stored = attempts::which_are_there(transaction, sql, uids).await?;
        let mut fenced = Vec::new();
        for late in std::mem::take(&mut self.late) {
            let finished = if stored.contains(&late.attempt.uid) {
                Finished::Stored
            } else {
                late.finished
            };
            if matches!(finished, Finished::Fenced { .. }) {
                // Under another uid, so that it is not taken for a stored one later.
                fenced.push(AttemptRecord {
                    uid: Uuid::now_v7(),
                    generation: None,
                    new_expires_at: None,
                    ..not_ending(&late.attempt)
                });
            }
            self.reply(late.reply, Ok(finished));
        }
        attempts::insert(transaction, sql, &fenced).await?;
        Ok(())
    }

    fn answer(self, stored: &Result<(), StoreError>) {
        // What could not even be looked up failed with the rest.
        for late in self.late {
            answer(late.reply, stored.clone().and(Ok(late.finished)));
        }
        for tell in self.answers {
            tell(stored);
        }
    }
}

fn not_ending(attempt: &AttemptRecord) -> AttemptRecord {
    AttemptRecord {
        ends_job: false,
        ..attempt.clone()
    }
}
