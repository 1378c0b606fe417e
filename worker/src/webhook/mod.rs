//! Tells one webhook endpoint what waits for it (S5.4).
//!
//! One visit at a time per endpoint: a receiver that hangs holds up itself alone.
//! An event is told at least once; the receiver knows a repetition by its id.

mod judge;
mod message;

use std::sync::Arc;
use std::time::Duration;

use domain::{EndpointUid, Timestamp};
use jobs::VisitEndpoint;
use providers::{Egress, Post};
use queue::{BoxDynError, JobContext, Outcome};
use secrecy::SecretString;
use store::{Delivery, Endpoint, Settlement};
use vault::OpenError;

use self::judge::{Next, Verdict, judge};
use self::message::Message;
use crate::Context;
use crate::monotonic::{Monotonic, uptime};

/// Events that are read at once.
const BATCH: u32 = 50;
/// A visit ends after this, and another one is queued if something still waits.
const LONGEST_VISIT: Duration = Duration::from_mins(1);
/// Pause until this process, or another one, may have the key of the secret.
const KEY_MISSING: Duration = Duration::from_mins(1);
/// Pause where another endpoint of the tenant at the same address has its turn.
const NEIGHBOUR: Duration = Duration::from_secs(1);
/// A receiver that fails is left alone for a tenth of the time that it has failed, up to this.
const LONGEST_REST: Duration = Duration::from_mins(5);

/// How webhooks are delivered.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Calls the receivers.
    pub egress: Egress,
    /// The first pause between two tries of an event; each is six times as long, up to ten hours.
    pub retry_base: Duration,
    /// Tries of an event, the first included; 1 or more.
    pub max_attempts: u32,
    /// An endpoint whose every call has failed for so long is not called any more.
    pub disable_after: Duration,
}

/// Visits the endpoint of the job.
///
/// # Errors
///
/// If the database is away; the queue tries again, and so does the scheduler.
#[tracing::instrument(name = "job.visit_endpoint", skip_all, fields(
    job.id = %task.id(),
    tenant.uid = %job.tenant,
    webhook.id = %job.endpoint,
))]
pub(crate) async fn visit_endpoint(
    job: VisitEndpoint,
    task: JobContext,
    context: Arc<Context>,
) -> Result<Outcome, BoxDynError> {
    let Some(endpoint) = context.deps.store.endpoint(job.endpoint).await? else {
        return Ok(Outcome::Cancelled);
    };
    let Some(seen) = endpoint.next_handout_at else {
        return Ok(Outcome::Done);
    };
    task.work_is_based_on(u64::try_from(seen.as_millis()).unwrap_or(0));
    let clock = Monotonic::since(Timestamp::from_millis(task.claimed_at_ms()), uptime());
    let sealed = &endpoint.sealed;
    let secret = match context.deps.vault.open_webhook_secret(endpoint.uid, sealed) {
        Ok(secret) => secret,
        Err(OpenError::UnknownKey { key_id }) => {
            context.missing_keys.tell(&key_id);
            let until_ms = clock.now().plus(KEY_MISSING).as_millis();
            return Ok(Outcome::Snooze {
                until_ms,
                not_before: false,
            });
        }
        Err(OpenError::Unreadable { .. }) => {
            disable(&context, endpoint.uid, "secret_unreadable").await?;
            return Ok(Outcome::Done);
        }
    };
    let visit = Visit {
        context: &context,
        endpoint: &endpoint,
        secret: &secret,
        task: &task,
        clock,
    };
    visit.run(seen).await
}

/// One visit under way.
struct Visit<'a> {
    context: &'a Context,
    endpoint: &'a Endpoint,
    secret: &'a SecretString,
    task: &'a JobContext,
    clock: Monotonic,
}

/// What was told during a visit.
#[derive(Debug, Default)]
struct Tally {
    delivered: u32,
    failed: u32,
}

impl Visit<'_> {
    /// Tells what is due until nothing is, the receiver fails, or the time is over.
    async fn run(self, seen: Timestamp) -> Result<Outcome, BoxDynError> {
        let store = &self.context.deps.store;
        let uid = self.endpoint.uid;
        let mut tally = Tally::default();
        let next = self.deliver_all(&mut tally).await?;
        tracing::info!(
            delivered = tally.delivered,
            failed = tally.failed,
            "visited webhook endpoint"
        );
        let dead = tally.failed > 0 && tally.delivered == 0 && self.has_failed_too_long();
        let rest = match next {
            Next::Disable(why) => {
                disable(self.context, uid, why).await?;
                return Ok(Outcome::Done);
            }
            _ if dead => {
                disable(self.context, uid, "failing_for_too_long").await?;
                return Ok(Outcome::Done);
            }
            Next::Rest(told) => Some(self.rest(told)),
            Next::Neighbour => Some(NEIGHBOUR),
            Next::GoOn => None,
        };
        store.rest_endpoint(uid, seen, rest).await?;
        Ok(if self.is_stopping() {
            Outcome::Released
        } else {
            Outcome::Done
        })
    }

    async fn deliver_all(&self, tally: &mut Tally) -> Result<Next, BoxDynError> {
        let started = uptime();
        loop {
            let due = self
                .context
                .deps
                .store
                .due_deliveries(self.endpoint.uid, BATCH);
            let due = due.await?;
            if due.is_empty() {
                return Ok(Next::GoOn);
            }
            for delivery in due {
                if self.is_stopping() || uptime().saturating_sub(started) > LONGEST_VISIT {
                    return Ok(Next::GoOn);
                }
                let next = self.deliver(&delivery, tally).await?;
                if next != Next::GoOn {
                    return Ok(next);
                }
            }
        }
    }

    async fn deliver(&self, delivery: &Delivery, tally: &mut Tally) -> Result<Next, BoxDynError> {
        let webhooks = &self.context.deps.webhooks;
        let now = self.clock.now();
        let message = Message::new(delivery, now, self.secret);
        let owner = self.endpoint.tenant.to_string();
        let post = Post {
            owner: &owner,
            url: &self.endpoint.url,
            headers: &message.headers,
            body: &message.body,
        };
        let posted = webhooks.egress.post(post, now).await;
        let Some(verdict) = judge(posted, delivery.attempts + 1, webhooks) else {
            return Ok(Next::Neighbour);
        };
        let Verdict {
            result,
            error,
            status,
            next,
        } = verdict;
        if error.is_none() {
            tally.delivered += 1;
        } else {
            tally.failed += 1;
        }
        tracing::debug!(
            event = %message.id,
            attempt = delivery.attempts + 1,
            error = error.as_deref().unwrap_or(""),
            "told"
        );
        let settlement = Settlement {
            event: delivery.event,
            result,
            error,
            status,
        };
        let store = &self.context.deps.store;
        store.settle_delivery(self.endpoint.uid, settlement).await?;
        Ok(next)
    }

    /// What the receiver asked for, else the longer the longer it has failed.
    fn rest(&self, told: Option<Duration>) -> Duration {
        let base = self.context.deps.webhooks.retry_base;
        let failing = self.failing_for().unwrap_or_default();
        told.unwrap_or((failing / 10).clamp(base.min(LONGEST_REST), LONGEST_REST))
    }

    fn has_failed_too_long(&self) -> bool {
        let limit = self.context.deps.webhooks.disable_after;
        self.failing_for().is_some_and(|failing| failing > limit)
    }

    fn failing_for(&self) -> Option<Duration> {
        let since = self.endpoint.failing_since?;
        Some(self.clock.now().since(since))
    }

    fn is_stopping(&self) -> bool {
        self.context.stopping.is_cancelled() || self.task.stop_token().is_cancelled()
    }
}

async fn disable(
    context: &Context,
    endpoint: EndpointUid,
    why: &'static str,
) -> Result<(), store::StoreError> {
    if context.deps.store.disable_endpoint(endpoint, why).await? {
        tracing::warn!(why, "a webhook endpoint is not called any more");
    }
    Ok(())
}
