//! One request from its arrival to its entry in the ledger, whatever becomes of it.

use std::sync::Arc;

use domain::Timestamp;

use crate::FaultKind;
use crate::answer::Answer;
use crate::grants::Grant;
use crate::ledger::{Outcome, Record};
use crate::providers::{Caller, Known};
use crate::scenario::Effect;
use crate::token::digest;
use crate::world::World;

/// When a request came, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Timestamp,
    /// Port of the sender's end of the connection.
    pub(crate) port: u16,
}

/// A request under way; dropping it writes its entry.
///
/// Its sender may leave at any time, which drops the future that holds it: then
/// the entry says `abandoned`.
pub(crate) struct Visit {
    world: Arc<World>,
    record: Record,
    met: u64,
}

impl Visit {
    /// Notes the request at its grant, and says what the grant's scenario does to it.
    pub(crate) fn begin(
        world: &Arc<World>,
        provider: usize,
        caller: &Caller<'_>,
        arrival: Arrival,
    ) -> (Self, Effect) {
        let mut record = Record {
            seq: world.ledger.next_seq(),
            provider,
            endpoint: caller.endpoint,
            grant: None,
            generation: None,
            token: caller.presented().map(digest),
            port: arrival.port,
            started_ms: arrival.at.as_millis(),
            finished_ms: 0,
            status: None,
            outcome: Outcome::Abandoned,
            code: None,
            fault: None,
            refreshed: false,
            reuse: false,
            overlap: false,
        };
        let entered = caller.grant.and_then(|known| {
            world.grants.with(provider, known.number, |grant| {
                enter(&mut record, grant, known, caller.refreshes);
                let effect = grant.act(caller.endpoint, caller.refreshes);
                (grant.usage.meetings, effect)
            })
        });
        let (met, effect) = entered.unwrap_or((0, Effect::Ok));
        let world = Arc::clone(world);
        (Self { world, record, met }, effect)
    }

    /// The request's number.
    pub(crate) const fn seq(&self) -> u64 {
        self.record.seq
    }

    /// A fault is done to it.
    pub(crate) const fn meets(&mut self, fault: FaultKind) {
        self.record.fault = Some(fault);
    }

    /// The provider has decided; the answer has not arrived yet.
    pub(crate) const fn decided(&mut self, answer: &Answer) {
        self.record.code = answer.code;
        self.record.refreshed = answer.refreshed;
        self.record.reuse = answer.reuse;
    }

    /// The answer leaves.
    pub(crate) const fn answered(&mut self, status: u16, outcome: Outcome) {
        self.record.status = Some(status);
        self.record.outcome = outcome;
    }

    /// The connection is cut.
    pub(crate) const fn cut(&mut self) {
        self.record.outcome = Outcome::Cut;
    }
}

/// Notes a request at the grant that it is for, and the grant in its record.
fn enter(record: &mut Record, grant: &mut Grant, known: Known, refreshes: bool) {
    let generation = if known.lasting {
        grant.generation
    } else {
        known.generation
    };
    record.grant = Some(grant.number);
    record.generation = Some(generation);
    record.overlap = grant.usage.in_flight > 0;
    grant.usage.requests += 1;
    grant.usage.overlaps += u64::from(record.overlap);
    grant.usage.meetings += u64::from(record.overlap);
    grant.usage.in_flight += 1;
    if refreshes {
        grant.usage.presented(generation);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut record = self.record;
        record.finished_ms = self.world.clock.now().as_millis();
        if let Some(number) = record.grant {
            self.world.grants.with(record.provider, number, |grant| {
                grant.usage.in_flight = grant.usage.in_flight.saturating_sub(1);
                // Somebody came while this one was under way.
                if grant.usage.meetings != self.met && !record.overlap {
                    record.overlap = true;
                    grant.usage.overlaps += 1;
                }
                grant.usage.reuses += u64::from(record.reuse);
                if let (true, Some(generation)) = (record.refreshed, record.generation) {
                    grant.usage.refreshed(generation);
                }
            });
        }
        self.world.ledger.push(record);
    }
}
