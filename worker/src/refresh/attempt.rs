//! One attempt under a lease, from the sealed grant to the stored answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{
    AttemptOutcome, AttemptRecord, ChannelState, Details, Generation, Grant, Timestamp, Verdict,
    reason,
};
use providers::{Call, Provider, Rotation};
use queue::{JobContext, Outcome};
use store::{Escrow, Finish, Finished, Lease};
use tokio::sync::SemaphorePermit;
use uuid::Uuid;
use vault::OpenError;

use super::calls::unless_stopped;
use super::decide::{Decision, LostAnswer, Situation, Told, snooze};
use super::permit::{LeasePermit, PermitState, Refused};
use super::{Ending, Job, end, end_without_request};
use crate::Context;
use crate::breaker::Pass;
use crate::journal::Line;
use crate::monotonic::Monotonic;

/// Pause until another process, or this one after a restart, may have the key.
const KEY_MISSING: Duration = Duration::from_mins(1);
/// How long the database may take to confirm an answer before it goes to escrow.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(1);
/// Pauses between tries to store an answer while the database is away.
const STORE_PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// What one attempt works with.
pub(super) struct Attempt {
    pub(super) context: Arc<Context>,
    pub(super) job: Job,
    pub(super) task: JobContext,
    pub(super) lease: Lease,
    pub(super) pass: Pass,
    pub(super) clock: Monotonic,
}

impl Attempt {
    /// Opens the grant, asks the provider and stores what came of it.
    pub(super) async fn run(self) -> Outcome {
        if let Some(outcome) = self.redeemed().await {
            return outcome;
        }
        let deps = &self.context.deps;
        let channel = &self.lease.channel;
        let opened = deps
            .vault
            .open(channel.uid, channel.generation, &self.lease.sealed);
        let provider = deps.providers.get(&channel.provider);
        let decision = match (opened, provider) {
            (Err(OpenError::UnknownKey { key_id }), _) => {
                self.context.missing_keys.tell(&key_id);
                Self::given_back(self.clock.now().plus(KEY_MISSING), false)
            }
            (Err(OpenError::Unreadable { .. }), provider) => self.unasked(
                provider.as_deref(),
                Verdict::Fatal,
                reason::ENVELOPE_UNREADABLE,
            ),
            (Ok(_), None) => self.unasked(
                None,
                Verdict::Misconfigured,
                reason::PROVIDER_NOT_CONFIGURED,
            ),
            (Ok(grant), Some(provider)) => self.ask(&grant, provider.as_ref()).await,
        };
        self.conclude(decision).await
    }

    /// After a request whose outcome nobody knows: ends the job with its answer if
    /// that is kept somewhere, and gives up for now if that cannot be found out.
    async fn redeemed(&self) -> Option<Outcome> {
        self.lease.open_intent.as_ref()?;
        let channel = &self.lease.channel;
        let escrow = &self.context.escrow;
        match escrow.redeem(channel.uid, self.lease.epoch).await {
            Ok(false) => None,
            Ok(true) => {
                let ending = Ending::already_refreshed(channel.generation.next(), None);
                Some(end_without_request(&self.context, &self.job, ending).await)
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "nothing is sent after an open intent"
                );
                self.release().await;
                Some(self.job.postponed())
            }
        }
    }

    /// Asks the provider, unless there is nothing to ask yet.
    async fn ask(&self, grant: &Grant, provider: &dyn Provider) -> Decision {
        let permit = self.permit(provider.rotation() == Rotation::Reusable);
        if let Some(next_look) = self.too_young(grant, provider) {
            return self
                .situation(grant, Some(provider), &permit.state(), LostAnswer::No)
                .not_needed(next_look);
        }
        let turn = match self.turn(grant, provider).await {
            Ok(turn) => turn,
            Err(decision) => return decision,
        };
        let call = Call {
            grant,
            external_id: self.lease.channel.external_id.as_deref(),
            access_expires_at: self.lease.channel.access_expires_at,
            state: self.lease.channel.state,
            now: self.clock.now(),
            permit: &permit,
        };
        let mut answer = provider.refresh(&call).await;
        let mut lost = match self.lease.open_intent {
            Some(_) => LostAnswer::Before,
            None => LostAnswer::No,
        };
        let rotating = provider.rotation() == Rotation::Rotating;
        if rotating && matches!(&answer, Err(error) if error.may_have_reached_provider()) {
            // The provider may have rotated and may still honour the old token
            // for a moment: the owner of the lease tries once more, at once.
            lost = LostAnswer::Now;
            answer = provider.refresh(&call).await;
        }
        let uid = self.lease.channel.uid;
        let next = self.lease.channel.generation.next();
        // A grant that never worked here, or whose last answer was lost, may well be refused.
        let unexplained = self.lease.channel.last_refreshed_at.is_some() && lost == LostAnswer::No;
        // Trouble is told before the next one may ask.
        let told = (uid, unexplained);
        let held = self.pass.report(&answer, provider, told).await;
        drop(turn);
        // Whoever waited for it asks before this answer is sealed and stored.
        tokio::task::yield_now().await;
        let situation = self.situation(grant, Some(provider), &permit.state(), lost);
        Situation { held, ..situation }.decide(answer, |grant| {
            self.context.deps.vault.seal(uid, next, grant)
        })
    }

    /// Waits for its turn to ask; decides if it is not to ask any more when it comes.
    async fn turn(
        &self,
        grant: &Grant,
        provider: &dyn Provider,
    ) -> Result<SemaphorePermit<'_>, Decision> {
        let ready = async {
            let turn = self.job.calls.begin().await;
            (turn, self.pass.turn().await)
        };
        let stops = (&self.context.stopping, &self.task);
        match unless_stopped(stops, ready).await {
            Ok((turn, None)) => Ok(turn),
            Ok((_, Some(until))) => Err(Self::given_back(until, true)),
            Err(refused) => Err(self.unsent(grant, provider, refused)),
        }
    }

    fn permit(&self, can_wait: bool) -> LeasePermit<'_> {
        let deps = &self.context.deps;
        LeasePermit {
            store: &deps.store,
            channel: self.lease.channel.uid,
            epoch: self.lease.epoch,
            ttl: deps.settings.refresh_lease,
            provider_timeout: deps.settings.provider_timeout,
            clock: self.clock,
            stopping: &self.context.stopping,
            task: &self.task,
            pass: &self.pass,
            can_wait,
            state: Mutex::new(self.nothing_sent()),
        }
    }

    const fn nothing_sent(&self) -> PermitState {
        PermitState {
            until: self.lease.until,
            sent_at: None,
            refused: None,
        }
    }

    fn situation<'a>(
        &'a self,
        grant: &'a Grant,
        provider: Option<&'a dyn Provider>,
        permit: &PermitState,
        lost: LostAnswer,
    ) -> Situation<'a> {
        let now = self.clock.now();
        Situation {
            channel: &self.lease.channel,
            grant,
            provider,
            now,
            sent_at: permit.sent_at.unwrap_or(now),
            attempt: self.job.attempt,
            max_attempts: self.job.max_attempts,
            backoff: self.context.deps.settings.backoff,
            lost,
            refused: permit.refused,
            held: None,
        }
    }

    /// When the provider takes this token at the earliest, if not yet.
    fn too_young(&self, grant: &Grant, provider: &dyn Provider) -> Option<Timestamp> {
        let channel = &self.lease.channel;
        let (issued_at, expires_at) = (grant.issued_at?, channel.access_expires_at?);
        let window = provider.window(grant, Some(expires_at.since(issued_at)));
        let young = channel.state == ChannelState::Active
            && window.too_young(issued_at, expires_at, self.clock.now());
        young.then(|| window.plan(channel.uid, issued_at, expires_at).due_at)
    }

    /// Comes back at this time; `not_before` if nobody may cut that short.
    fn given_back(until: Timestamp, not_before: bool) -> Decision {
        Decision {
            change: None,
            told: None,
            outcome: snooze(until, not_before),
        }
    }

    /// Decides where the request was not wanted any more when its turn came.
    fn unsent(&self, grant: &Grant, provider: &dyn Provider, refused: Refused) -> Decision {
        let mut permit = self.nothing_sent();
        permit.refused = Some(refused);
        self.situation(grant, Some(provider), &permit, LostAnswer::No)
            .not_sent()
    }

    /// Decides where the provider could not even be asked.
    fn unasked(&self, provider: Option<&dyn Provider>, verdict: Verdict, why: &str) -> Decision {
        let nothing = Grant::default();
        let permit = self.nothing_sent();
        self.situation(&nothing, provider, &permit, LostAnswer::No)
            .refused(verdict, Details::because(why))
    }

    /// Stores the decision and tells the log; a repair by a person that came
    /// first wins.
    async fn conclude(self, decision: Decision) -> Outcome {
        let Decision {
            change,
            told,
            outcome,
        } = decision;
        let record = told.map(|told| self.record(told));
        if let Some(record) = &record {
            super::log(
                record,
                &self.lease.channel.provider,
                self.lease.channel.id.as_str(),
            );
        }
        let (change, attempt) = match (change, record) {
            (Some(change), Some(attempt)) => (change, attempt),
            (_, record) => {
                self.release().await;
                return end(&self.context, &self.job, record, outcome).await;
            }
        };
        let finish = Arc::new(Finish {
            epoch: self.lease.epoch,
            tells_refreshes: self.lease.tells_refreshes,
            generation: self.lease.channel.generation,
            change,
            attempt,
        });
        match self.store(&finish).await {
            Finished::Stored => outcome,
            Finished::Fenced { generation, state } => {
                self.fenced(&finish, (generation, state)).await
            }
            Finished::Gone => Outcome::Cancelled,
        }
    }

    /// Somebody else had the channel when the answer was there.
    async fn fenced(&self, finish: &Finish, by: (Generation, ChannelState)) -> Outcome {
        let (generation, state) = by;
        tracing::warn!(channel.generation = generation.0, %state, "an answer came too late");
        if state == ChannelState::Deleting {
            return Outcome::Cancelled;
        }
        if generation <= self.lease.channel.generation {
            // Another worker holds the lease: what it does is this job's result too. If
            // it gets no answer, ours may be the one that counts.
            if let Some(escrow) = Escrow::of(finish, &self.lease) {
                self.context.escrow.keep(&escrow).await;
            }
            return self.job.postponed();
        }
        let ending = Ending::already_refreshed(generation, None);
        end_without_request(&self.context, &self.job, ending).await
    }

    fn record(&self, told: Told) -> AttemptRecord {
        AttemptRecord {
            uid: Uuid::now_v7(),
            tenant: self.job.tenant,
            channel: self.job.channel,
            job_id: self.job.id.clone(),
            attempt: self.job.attempt,
            started_at: self.lease.leased_at,
            duration: self.clock.now().since(self.lease.leased_at),
            outcome: told.outcome,
            ends_job: told.ends_job,
            generation: Some(told.generation),
            new_expires_at: told.expires_at,
            replaced: (told.outcome == AttemptOutcome::Refreshed).then(|| self.lease.replaced()),
            details: told.details,
        }
    }

    /// Gives the lease back; if that fails it runs out by itself.
    async fn release(&self) {
        let channel = self.lease.channel.uid;
        if let Err(error) = self
            .context
            .deps
            .store
            .release(channel, self.lease.epoch)
            .await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a lease was not given back"
            );
        }
    }

    /// Stores until it is stored: the answer may hold the only living token, and is
    /// in escrow as long as the database has not confirmed it.
    async fn store(&self, finish: &Arc<Finish>) -> Finished {
        let mut pauses = STORE_PAUSES
            .iter()
            .chain(std::iter::repeat(&STORE_PAUSES[3]));
        let line = self.noted(finish);
        let mut kept = None;
        loop {
            let finished = self.context.deps.store.finish(Arc::clone(finish));
            match unless_late(finished, kept.is_none()).await {
                Some(Ok(finished)) => {
                    if let Some(line) = line {
                        self.context.escrow.is_stored(line);
                    }
                    if let Some(escrow) = &kept {
                        self.context.escrow.forget(escrow).await;
                    }
                    return finished;
                }
                Some(Err(error)) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an answer is not stored yet; it is kept and tried again"
                ),
                None => tracing::warn!("the database does not confirm an answer"),
            }
            if kept.is_none()
                && let Some(escrow) = Escrow::of(finish, &self.lease)
            {
                self.context.escrow.keep(&escrow).await;
                kept = Some(escrow);
            }
            let pause = pauses.next().copied().unwrap_or(STORE_PAUSES[3]);
            tokio::time::sleep(pause).await;
        }
    }

    /// Notes an answer that has the only living token, so that a killed process does not lose it.
    fn noted(&self, finish: &Finish) -> Option<Line> {
        let provider = self
            .context
            .deps
            .providers
            .get(&self.lease.channel.provider);
        let rotates = provider.is_none_or(|it| it.rotation() == Rotation::Rotating);
        let answer = rotates.then(|| Escrow::text_of(finish, &self.lease))??;
        self.context.escrow.note(answer)
    }
}

/// The result, or `None` if it takes too long and somebody minds.
async fn unless_late<T>(result: impl Future<Output = T>, minds: bool) -> Option<T> {
    if minds {
        tokio::time::timeout(CONFIRMED_WITHIN, result).await.ok()
    } else {
        Some(result.await)
    }
}
