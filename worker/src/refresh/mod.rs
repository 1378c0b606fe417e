//! Refreshes one channel: lease, open, ask, seal, store.

mod attempt;
mod calls;
mod decide;
mod due;
mod permit;

use std::sync::Arc;
use std::time::Duration;

use domain::{
    AttemptOutcome, AttemptRecord, ChannelState, ChannelUid, Details, ErrorClass, Generation,
    ProviderName, TenantUid, Timestamp, reason,
};
use jobs::RefreshChannel;
use providers::Rotation;
use queue::{BoxDynError, JobContext, Outcome};
use store::{Lease, LeaseOutcome, LeaseRequest};
use tracing::Instrument as _;
use uuid::Uuid;

use self::attempt::Attempt;
pub(crate) use self::calls::Calls;
use self::decide::snooze;
use crate::Context;
use crate::breaker::{Leave, Pass};
use crate::monotonic::{Monotonic, uptime};

/// Pause when the database does not answer; the attempt is not spent.
const DATABASE_AWAY: Duration = Duration::from_secs(5);

/// Refreshes the channel of the job, whatever generation it is at.
///
/// Ends without a request where another worker was faster, the channel is gone
/// or may not be refreshed; waits where another worker holds the lease.
///
/// # Errors
///
/// None: faults of ours are outcomes too, so that the queue always knows when
/// the job comes back.
#[tracing::instrument(name = "job.refresh_channel", skip_all, fields(
    job.id = %task.id(),
    job.attempt = task.attempt(),
    tenant.uid = %job.tenant,
    channel.uid = %job.channel,
    outcome = tracing::field::Empty,
))]
pub(crate) async fn refresh_channel(
    job: RefreshChannel,
    task: JobContext,
    context: Arc<Context>,
    calls: Arc<Calls>,
) -> Result<Outcome, BoxDynError> {
    let job = Job::new(job, &task, calls);
    let stops = (&context.stopping, &task.stop_token());
    let pass = match context.breakers.leave(job.calls.provider(), stops).await {
        Leave::Go(pass) => pass,
        Leave::Wait(until) => return Ok(told(snooze(until, true))),
        Leave::Stopped => return Ok(told(Outcome::Released)),
    };
    let asked_at = uptime();
    let outcome = match lease(&context, &job).await {
        Ok(LeaseOutcome::Leased(lease)) => {
            let clock = Monotonic::since(lease.leased_at, asked_at);
            refresh_leased(&context, &job, task, (*lease, pass), clock).await
        }
        Ok(LeaseOutcome::Superseded {
            generation,
            access_expires_at,
        }) => {
            let ending = Ending::already_refreshed(generation, access_expires_at);
            end_without_request(&context, &job, ending).await
        }
        Ok(LeaseOutcome::Ineligible {
            state,
            reason,
            generation,
            access_expires_at,
        }) => {
            let ending = Ending::ineligible(state, reason, generation, access_expires_at);
            end_without_request(&context, &job, ending).await
        }
        Ok(LeaseOutcome::Held { until, .. }) => snooze(until, false),
        Ok(LeaseOutcome::Gone) => Outcome::Cancelled,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no lease: the database is away"
            );
            job.postponed()
        }
    };
    Ok(told(outcome))
}

/// Notes the outcome on the span.
fn told(outcome: Outcome) -> Outcome {
    tracing::Span::current().record("outcome", tracing::field::debug(&outcome));
    outcome
}

/// The job in the words of the store.
#[derive(Clone, Debug)]
struct Job {
    id: String,
    calls: Arc<Calls>,
    tenant: TenantUid,
    channel: ChannelUid,
    generation: Generation,
    attempt: u32,
    max_attempts: u32,
    /// The time of Redis, which is all there is where the database does not answer.
    clock: Monotonic,
}

impl Job {
    fn new(job: RefreshChannel, task: &JobContext, calls: Arc<Calls>) -> Self {
        let claimed_at = Timestamp::from_millis(task.claimed_at_ms());
        Self {
            id: task.id().to_string(),
            calls,
            tenant: job.tenant,
            channel: job.channel,
            generation: Generation(i64::try_from(task.version()).unwrap_or(i64::MAX)),
            attempt: task.attempt(),
            max_attempts: task.max_attempts(),
            clock: Monotonic::since(claimed_at, uptime()),
        }
    }

    /// Comes back when the database may answer again, without having spent an attempt.
    fn postponed(&self) -> Outcome {
        snooze(self.clock.now().plus(DATABASE_AWAY), false)
    }
}

/// Takes the lease; a holder that is proven dead is not waited for.
async fn lease(context: &Context, job: &Job) -> Result<LeaseOutcome, store::StoreError> {
    let deps = &context.deps;
    // Of a provider that is not in the settings nothing is known: be careful.
    let rotation = deps
        .providers
        .get(job.calls.provider())
        .map_or(Rotation::Rotating, |provider| provider.rotation());
    let mut request = LeaseRequest {
        channel: job.channel,
        generation: job.generation,
        job_id: job.id.clone(),
        attempt: job.attempt,
        owner: deps.process.uid(),
        ttl: deps.settings.refresh_lease,
        rotating: rotation == Rotation::Rotating,
        takeover_grace: deps.settings.takeover_grace,
        provider_timeout: deps.settings.provider_timeout,
        dead_owner: None,
    };
    let outcome = deps.store.lease(request.clone()).await?;
    let LeaseOutcome::Held {
        owner: Some(owner), ..
    } = outcome
    else {
        return Ok(outcome);
    };
    if !deps.process.is_dead(owner) {
        return Ok(outcome);
    }
    // What the dead one had received comes before anything that is asked anew.
    context.escrow.inherit(owner).await;
    request.dead_owner = Some(owner);
    deps.store.lease(request).await
}

/// Runs the attempt as a task of its own: whoever drops this future does not
/// stop a request that has left, nor the storing of its answer.
async fn refresh_leased(
    context: &Arc<Context>,
    job: &Job,
    task: JobContext,
    (lease, pass): (Lease, Pass),
    clock: Monotonic,
) -> Outcome {
    task.work_is_based_on(u64::try_from(lease.channel.generation.0).unwrap_or(0));
    let attempt = Attempt {
        context: Arc::clone(context),
        job: job.clone(),
        task,
        lease,
        pass,
        clock,
    };
    let running = Box::pin(attempt.run().in_current_span());
    let running = context.in_flight.spawn(running);
    match running.await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a refresh ended abnormally"
            );
            Outcome::Retry {
                after: None,
                not_before: false,
                why: "fault in tokenfleet".to_owned(),
            }
        }
    }
}

/// How a job ends that sends no request.
struct Ending {
    outcome: AttemptOutcome,
    details: Details,
    generation: Generation,
    expires_at: Option<Timestamp>,
    then: Outcome,
}

impl Ending {
    fn already_refreshed(generation: Generation, expires_at: Option<Timestamp>) -> Self {
        Self {
            outcome: AttemptOutcome::NotNeeded,
            details: Details::because(reason::ALREADY_REFRESHED),
            generation,
            expires_at,
            then: Outcome::Done,
        }
    }

    fn ineligible(
        state: ChannelState,
        reason: Option<String>,
        generation: Generation,
        expires_at: Option<Timestamp>,
    ) -> Self {
        let (class, reason, then) = if state == ChannelState::NeedsReauth {
            let why = decide::why(ErrorClass::ReauthRequired, &Details::default());
            (ErrorClass::ReauthRequired, reason, Outcome::Failed { why })
        } else {
            (
                ErrorClass::Cancelled,
                Some(state.to_string()),
                Outcome::Cancelled,
            )
        };
        Self {
            outcome: AttemptOutcome::Failed(class),
            details: Details {
                reason,
                ..Details::default()
            },
            generation,
            expires_at,
            then,
        }
    }
}

async fn end_without_request(context: &Context, job: &Job, ending: Ending) -> Outcome {
    let record = AttemptRecord {
        uid: Uuid::now_v7(),
        tenant: job.tenant,
        channel: job.channel,
        job_id: job.id.clone(),
        attempt: job.attempt,
        started_at: job.clock.now(),
        duration: Duration::ZERO,
        outcome: ending.outcome,
        ends_job: true,
        generation: Some(ending.generation),
        new_expires_at: ending.expires_at,
        replaced: None,
        details: ending.details,
    };
    log(&record, job.calls.provider(), "");
    end(context, job, Some(record), ending.then).await
}

/// One line for a job that ended, and one for those who look closer for a try that did not end it.
fn log(record: &AttemptRecord, provider: &ProviderName, channel: &str) {
    let details = &record.details;
    let (outcome, reason) = (record.outcome.as_str(), text(details.reason.as_ref()));
    let (cause, code, trace) = (
        text(details.cause.as_ref()),
        text(details.provider_code.as_ref()),
        text(details.trace_id.as_ref()),
    );
    let duration_ms = u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX);
    if record.ends_job {
        tracing::info!(%provider, channel, outcome, reason, cause, code, trace, duration_ms, "job ended");
    } else {
        tracing::debug!(%provider, channel, outcome, reason, cause, code, trace, duration_ms, "job comes back");
    }
}

fn text(value: Option<&String>) -> &str {
    value.map_or("", String::as_str)
}

/// Writes the record of a job that ended without a change of its channel.
async fn end(
    context: &Context,
    job: &Job,
    record: Option<AttemptRecord>,
    outcome: Outcome,
) -> Outcome {
    let Some(record) = record else {
        return outcome;
    };
    match context.deps.store.record(record).await {
        Ok(()) => outcome,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an ended job was not recorded"
            );
            job.postponed()
        }
    }
}
