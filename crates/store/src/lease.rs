//! The lease: who may spend a channel's refresh token, and until when.

use std::time::Duration;

use domain::{ChannelState, ChannelUid, Generation, ProcessUid, Replaced, Sealed, Timestamp};

use crate::channel::sealed;
use crate::intent::OpenIntent;
use crate::lane::Op;
use crate::row::{Row, Touched};
use crate::{Channel, Intent, Store, StoreError};

/// O(1) on the key.
const RENEW: &str = "
    UPDATE channels SET lease_until = {now} + $3
    WHERE uid = $1 AND lease_epoch = $2 AND lease_until IS NOT NULL AND state <> 'deleting'
    RETURNING lease_until";

/// How long before the end of its access token a rotating channel is taken over
/// from a silent owner, if that is before the grace is over.
const BEFORE_EXPIRY: Duration = Duration::from_mins(5);

/// Somebody wants to refresh a channel.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// Which channel.
    pub channel: ChannelUid,
    /// The generation that the job was made for.
    pub generation: Generation,
    /// The job.
    pub job_id: String,
    /// Which try of the job, the first being 1.
    pub attempt: u32,
    /// The process that asks.
    pub owner: ProcessUid,
    /// How long the lease lasts.
    pub ttl: Duration,
    /// Whether the provider rotates refresh tokens, so that a second use is taken for theft.
    pub rotating: bool,
    /// How long after its start the open intent of a silent owner of a rotating token is respected.
    pub takeover_grace: Duration,
    /// How long a request to the provider may take.
    pub provider_timeout: Duration,
    /// A process that is proven dead: its lease and its intent need not be waited for in full.
    pub dead_owner: Option<ProcessUid>,
}

/// What became of a [`LeaseRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// The caller may refresh it.
    Leased(Box<Lease>),
    /// Somebody refreshed it since the job was made, and it is not due again.
    Superseded {
        /// The generation that it has.
        generation: Generation,
        /// End of the access token.
        access_expires_at: Option<Timestamp>,
    },
    /// Somebody else may have sent a request.
    Held {
        /// When asking again makes sense.
        until: Timestamp,
        /// Who; proof of his death shortens the wait.
        owner: Option<ProcessUid>,
    },
    /// It does not exist, or is being deleted.
    Gone,
    /// Its state is not one in which it is refreshed.
    Ineligible {
        /// That state.
        state: ChannelState,
        /// Why it has it.
        reason: Option<String>,
        /// The generation that it has.
        generation: Generation,
        /// End of the access token.
        access_expires_at: Option<Timestamp>,
    },
}

/// The right to refresh a channel, and what that takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The channel.
    pub channel: Channel,
    /// Its sealed credentials.
    pub sealed: Sealed,
    /// The fencing token: outcomes with another one are refused.
    pub epoch: i64,
    /// The database's clock when it was taken.
    pub leased_at: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// A request of before whose outcome nobody knows: an `invalid_grant` after
    /// it is a possibly lost rotation.
    pub open_intent: Option<Intent>,
    /// Whether the tenant wants to be told of each refresh (`channel.refreshed`).
    pub tells_refreshes: bool,
}

impl Lease {
    /// What new credentials under this lease put an end to.
    #[must_use]
    pub fn replaced(&self) -> Replaced {
        let channel = &self.channel;
        Replaced {
            provider: channel.provider.clone(),
            due_at: channel.refresh_due_at,
            old_expires_at: channel
                .access_expires_at
                .map(|ends_at| ends_at.max(channel.created_at)),
        }
    }
}

impl Store {
    /// Asks for the right to refresh a channel, and writes the intent to do so.
    ///
    /// Calls that come in while a transaction is under way share the next one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; whether a lease was taken is then not known.
    pub async fn lease(&self, request: LeaseRequest) -> Result<LeaseOutcome, StoreError> {
        self.leases.send(|reply| Op::Lease(request, reply)).await
    }

    /// Makes a lease last `ttl` from now, and says until when; `None` if it is lost:
    /// no further request may be sent.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; then it must be taken for lost.
    pub async fn renew_lease(
        &self,
        channel: ChannelUid,
        epoch: i64,
        ttl: Duration,
    ) -> Result<Option<Timestamp>, StoreError> {
        let ttl = Timestamp::default().plus(ttl).as_millis();
        let row = self
            .pools
            .write_returning(RENEW, [channel.0.into(), epoch.into(), ttl.into()])
            .await?;
        row.map(|row| Ok(Timestamp::from_millis(row.try_get("", "lease_until")?)))
            .transpose()
    }
}

/// Gives the lease if the rules allow it.
pub(crate) fn take(
    row: Option<&mut Row>,
    request: &LeaseRequest,
    now: Timestamp,
) -> Result<LeaseOutcome, StoreError> {
    let Some(row) = row else {
        return Ok(LeaseOutcome::Gone);
    };
    if let Some(refusal) = refusal(row, request, now) {
        return Ok(refusal);
    }
    grant(row, request, now).map(|lease| LeaseOutcome::Leased(Box::new(lease)))
}

/// Why the lease is not given; the first rule that applies.
fn refusal(row: &Row, request: &LeaseRequest, now: Timestamp) -> Option<LeaseOutcome> {
    let generation = Generation(row.model.generation);
    let access_expires_at = row.access_expires_at();
    match row.state {
        ChannelState::Deleting => return Some(LeaseOutcome::Gone),
        ChannelState::Active | ChannelState::Error | ChannelState::NeverExpires => {}
        ChannelState::NeedsReauth | ChannelState::Paused => {
            return Some(LeaseOutcome::Ineligible {
                state: row.state,
                reason: row.model.reason.clone(),
                generation,
                access_expires_at,
            });
        }
    }
    if generation > request.generation && !row.is_due(now) {
        return Some(LeaseOutcome::Superseded {
            generation,
            access_expires_at,
        });
    }
    held_until(row, request)
        .filter(|until| *until > now)
        .map(|until| LeaseOutcome::Held {
            until,
            owner: row.intent.as_ref().map(|intent| intent.latest.owner),
        })
}

/// Until when somebody else may have a request under way; `None` if nobody has.
///
/// Where refresh tokens do not rotate, a second request does no harm: the end of
/// the lease is enough. Where they do, a paused owner may still hold the answer.
fn held_until(row: &Row, request: &LeaseRequest) -> Option<Timestamp> {
    let lease_until = row.lease_until();
    let intent = row.intent.as_ref().map(|open| &open.latest);
    let dead = intent.is_some_and(|intent| Some(intent.owner) == request.dead_owner);
    let unanswered = intent.filter(|intent| request.rotating && !intent.no_answer);
    match (unanswered, dead) {
        (Some(intent), true) => Some(intent.started_at.plus(request.provider_timeout)),
        (None, true) => None,
        (Some(intent), false) => {
            let grace = intent.started_at.plus(request.takeover_grace);
            let takeover = row
                .access_expires_at()
                .map_or(grace, |end| grace.min(end.minus(BEFORE_EXPIRY)));
            Some(lease_until.map_or(takeover, |until| until.max(takeover)))
        }
        (None, false) => lease_until,
    }
}

/// Writes lease and intent.
fn grant(row: &mut Row, request: &LeaseRequest, now: Timestamp) -> Result<Lease, StoreError> {
    let sealed = sealed(&row.model)?;
    let channel = row.channel()?;
    let open_intent = row.intent.take().map(|open| open.latest);
    let until = now.plus(request.ttl);
    row.model.lease_epoch += 1;
    row.model.lease_until = Some(until.as_millis());
    row.intent = Some(OpenIntent {
        latest: Intent {
            job_id: request.job_id.clone(),
            attempt: request.attempt,
            owner: request.owner,
            started_at: now,
            generation: channel.generation,
            fingerprint: sealed.fingerprint,
            no_answer: false,
        },
        earlier: open_intent.clone(),
    });
    row.touch(Touched::Lease);
    Ok(Lease {
        channel,
        sealed,
        epoch: row.model.lease_epoch,
        leased_at: now,
        until,
        open_intent,
        // Not looked up here: it only decides which way the outcome is stored.
        tells_refreshes: true,
    })
}
