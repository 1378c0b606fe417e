//! From the provider's answer to what the row, the history and the queue get:
//! the error matrix of the contracts applied. No IO, so that all of it is tested.

use std::time::Duration;

use domain::{
    AttemptOutcome, Backoff, ChannelState, Details, ErrorClass, FreshTokens, Generation, Grant,
    Lifetime, Sealed, Timestamp, Verdict, full_jitter, reason,
};
use providers::{Provider, RefreshError, Rotation};
use queue::Outcome;
use store::{Change, Channel, Facts, Failure, LastError};

use super::due::PROBE;
use super::permit::Refused;

/// The shortest pause after a look that found nothing to do.
const SOON: Duration = Duration::from_mins(1);
/// Pause where the provider throttles without a delay.
const THROTTLED: Backoff = Backoff {
    base: Duration::from_secs(8),
    cap: Duration::from_mins(5),
};

/// Everything that is known when the answer is there.
#[derive(Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) channel: &'a Channel,
    pub(super) grant: &'a Grant,
    /// `None` if it is not in the settings of this process.
    pub(super) provider: Option<&'a dyn Provider>,
    /// The database's time.
    pub(super) now: Timestamp,
    /// When the last request left.
    pub(super) sent_at: Timestamp,
    /// Of the job, the first being 1.
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
    /// Whether the refresh token may be spent already.
    pub(super) lost: LostAnswer,
    /// Why the permit stopped the refresh, if it did.
    pub(super) refused: Option<Refused>,
    /// The trouble is the provider's or the app's, not the channel's: until then nobody
    /// asks, and nothing counts against the channel.
    pub(super) held: Option<Timestamp>,
}

/// Whether a request for this generation left whose answer never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LostAnswer {
    /// None.
    No,
    /// One of an earlier lease.
    Before,
    /// One of this lease.
    Now,
}

/// What comes of an attempt.
#[derive(Debug)]
pub(super) struct Decision {
    /// For the row; `None` only gives the lease back.
    pub(super) change: Option<Change>,
    /// For the history; `None` leaves no trace.
    pub(super) told: Option<Told>,
    /// For the queue.
    pub(super) outcome: Outcome,
}

/// What the history says of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) outcome: AttemptOutcome,
    pub(super) ends_job: bool,
    pub(super) generation: Generation,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) details: Details,
}

impl Situation<'_> {
    /// Decides after the provider was asked.
    pub(super) fn decide(
        &self,
        answer: Result<FreshTokens, RefreshError>,
        seal: impl FnOnce(&Grant) -> Sealed,
    ) -> Decision {
        match answer {
            Ok(fresh) if self.is_somebody_else(&fresh) => {
                let details = Details::because(reason::IDENTITY_MISMATCH);
                self.refused(Verdict::Fatal, details)
            }
            Ok(fresh) if fresh.brings_credentials() => self.stored(&fresh, seal),
            Ok(fresh) => self.confirmed(&fresh),
            Err(RefreshError::NotPermitted(_)) => self.not_sent(),
            Err(error) => self.failed(&error),
        }
    }

    /// Decides without asking the provider, because there is nothing to do yet.
    pub(super) fn not_needed(&self, next_look: Timestamp) -> Decision {
        let channel = self.channel;
        Decision {
            change: Some(Change::Confirmed {
                facts: Facts {
                    state: channel.state,
                    reason: channel.reason.clone(),
                    access_expires_at: channel.access_expires_at,
                    refresh_expires_at: channel.refresh_expires_at,
                    refresh_due_at: Some(next_look.max(self.now.plus(SOON))),
                    external_id: None,
                    has_refresh_material: channel.has_refresh_material,
                },
            }),
            told: Some(Told {
                outcome: AttemptOutcome::NotNeeded,
                ends_job: true,
                generation: channel.generation,
                expires_at: channel.access_expires_at,
                details: Details::because(reason::NOT_NEEDED),
            }),
            outcome: Outcome::Done,
        }
    }

    /// Decides what a verdict without an answer of the provider means.
    pub(super) fn refused(&self, verdict: Verdict, details: Details) -> Decision {
        let verdict = verdict.at_attempt(self.attempt);
        let details = self.with_lost_rotation(&verdict, details);
        match verdict {
            Verdict::RateLimited { delay, .. } => self.throttled(delay, details),
            verdict if let Some(until) = self.held => self.held_back(&verdict, until, details),
            Verdict::Retry | Verdict::RetryThen { .. } if self.attempt < self.max_attempts => {
                self.retried(details)
            }
            verdict => self.given_up(&verdict, details),
        }
    }

    fn stored(&self, fresh: &FreshTokens, seal: impl FnOnce(&Grant) -> Sealed) -> Decision {
        let grant = self.grant.renewed(fresh, self.sent_at);
        let expires_at = fresh.lifetime.ends_at(self.sent_at);
        let plan = self.plan(&grant, fresh.lifetime, expires_at);
        let generation = self.channel.generation.next();
        let due_at = self.due_at(plan, expires_at);
        let extended = self.extends(&grant, fresh.lifetime, expires_at);
        Decision {
            change: Some(Change::Stored {
                sealed: seal(&grant),
                facts: self.facts(fresh, expires_at, due_at),
            }),
            told: Some(Told {
                outcome: AttemptOutcome::Refreshed,
                ends_job: true,
                generation,
                expires_at,
                details: if extended {
                    Details::default()
                } else {
                    Details::because(reason::NOT_EXTENDED)
                },
            }),
            outcome: Outcome::Done,
        }
    }

    /// The provider told about the old token and gave no other.
    fn confirmed(&self, fresh: &FreshTokens) -> Decision {
        let expires_at = fresh.lifetime.ends_at(self.sent_at);
        let plan = self.plan(self.grant, fresh.lifetime, expires_at);
        let due_at = self.due_at(plan, expires_at);
        Decision {
            change: Some(Change::Confirmed {
                facts: self.facts(fresh, expires_at, due_at),
            }),
            told: Some(Told {
                outcome: AttemptOutcome::NotNeeded,
                ends_job: true,
                generation: self.channel.generation,
                expires_at,
                details: Details::because(reason::NOT_NEEDED),
            }),
            outcome: Outcome::Done,
        }
    }

    fn failed(&self, error: &RefreshError) -> Decision {
        let lost = if self.may_be_spent(error) {
            LostAnswer::Now
        } else {
            self.lost
        };
        Self { lost, ..*self }.refused(error.verdict(), error.details())
    }

    /// Whether the provider may have rotated without our having read the new
    /// token: silence, a gateway that speaks for it, or a success nobody can read.
    fn may_be_spent(&self, error: &RefreshError) -> bool {
        let details = error.details();
        let unreadable = details.reason.as_deref() == Some(reason::UNKNOWN_ANSWER);
        let unheard = match details.http_status {
            Some(502 | 504) => true,
            Some(status) => unreadable && (200..300).contains(&status),
            None => error.may_have_reached_provider(),
        };
        self.is_rotating() && unheard
    }

    /// The permit said no: nothing was sent, unless an earlier request of this
    /// lease had left and was not answered.
    pub(super) fn not_sent(&self) -> Decision {
        let outcome = match self.refused {
            Some(Refused::Cancelled) => return self.cancelled(),
            Some(Refused::Stopping) => Outcome::Released,
            Some(Refused::Lease) | None => snooze(self.now.plus(Duration::from_secs(1)), false),
        };
        let details = Details::because(reason::NO_ANSWER);
        let lost = self.lost == LostAnswer::Now;
        Decision {
            change: lost
                .then(|| Change::Failed(self.unchanged(ErrorClass::Retryable, details.clone()))),
            told: lost.then(|| self.told(ErrorClass::Retryable, false, details)),
            outcome,
        }
    }

    fn cancelled(&self) -> Decision {
        Decision {
            change: None,
            told: Some(self.told(ErrorClass::Cancelled, true, Details::default())),
            outcome: Outcome::Cancelled,
        }
    }

    fn retried(&self, mut details: Details) -> Decision {
        let pause = self.backoff.pause(self.attempt);
        details.retry_at = Some(self.now.plus(pause));
        let told = self.told(ErrorClass::Retryable, false, details.clone());
        Decision {
            change: Some(Change::Failed(
                self.unchanged(ErrorClass::Retryable, details.clone()),
            )),
            told: Some(told),
            outcome: Outcome::Retry {
                after: Some(pause),
                not_before: false,
                why: why(ErrorClass::Retryable, &details),
            },
        }
    }

    /// The breaker is open: the job waits with its attempts, the channel with its streak.
    fn held_back(&self, verdict: &Verdict, until: Timestamp, mut details: Details) -> Decision {
        let class = match verdict {
            // Refusals of all grants are a refusal of the app.
            Verdict::Misconfigured | Verdict::Reauthorize => ErrorClass::Misconfigured,
            _ => ErrorClass::Retryable,
        };
        details.retry_at = Some(until);
        Decision {
            change: Some(Change::Failed(self.unchanged(class, details.clone()))),
            told: Some(self.told(class, false, details)),
            outcome: snooze(until, true),
        }
    }

    fn throttled(&self, delay: Option<Duration>, mut details: Details) -> Decision {
        let delay = delay.unwrap_or_else(|| {
            let ceiling = THROTTLED.ceiling(self.in_a_row(ErrorClass::RateLimited));
            ceiling / 2 + full_jitter(ceiling / 2)
        });
        let until = self.now.plus(delay.clamp(Duration::from_secs(1), PROBE));
        details.retry_at = Some(until);
        let failure = Failure {
            next_handout_at: Some(until.plus(Duration::from_secs(15))),
            ..self.unchanged(ErrorClass::RateLimited, details.clone())
        };
        Decision {
            change: Some(Change::Failed(failure)),
            told: Some(self.told(ErrorClass::RateLimited, false, details)),
            outcome: snooze(until, true),
        }
    }

    /// The job ends without fresh tokens.
    fn given_up(&self, verdict: &Verdict, details: Details) -> Decision {
        let class = verdict.class();
        let state = self.state_after(class, &details);
        let (next, counts) = match state {
            Some((ChannelState::Error, _)) => (self.now.plus(PROBE), true),
            Some(_) => (self.now.plus(PROBE), false),
            None => (self.after_failure(), true),
        };
        Decision {
            change: Some(Change::Failed(Failure {
                state,
                next_handout_at: Some(next),
                error: self.last_error(class, details.clone()),
                counts_as_failure: counts,
                no_answer: self.lost == LostAnswer::Now,
            })),
            outcome: Outcome::Failed {
                why: why(class, &details),
            },
            told: Some(self.told(class, true, details)),
        }
    }

    fn state_after(
        &self,
        class: ErrorClass,
        details: &Details,
    ) -> Option<(ChannelState, Option<String>)> {
        let reason = || {
            Some(
                details
                    .reason
                    .clone()
                    .unwrap_or_else(|| class.as_str().to_owned()),
            )
        };
        match class {
            ErrorClass::ReauthRequired => Some((ChannelState::NeedsReauth, reason())),
            ErrorClass::NoRefreshMaterial => Some((
                ChannelState::NeedsReauth,
                Some(reason::NO_REFRESH_MATERIAL.to_owned()),
            )),
            ErrorClass::Fatal => Some((ChannelState::Error, reason())),
            _ if self.channel.state == ChannelState::Error => {
                Some((ChannelState::Error, self.channel.reason.clone()))
            }
            _ => None,
        }
    }

    /// A refusal after a lost answer is no ordinary revocation: our own request
    /// may have spent the token.
    fn with_lost_rotation(&self, verdict: &Verdict, mut details: Details) -> Details {
        let lost =
            self.lost != LostAnswer::No && *verdict == Verdict::Reauthorize && self.is_rotating();
        if lost {
            details.reason = Some(reason::POSSIBLY_LOST_ROTATION.to_owned());
        }
        details
    }

    fn unchanged(&self, class: ErrorClass, details: Details) -> Failure {
        Failure {
            state: None,
            next_handout_at: None,
            error: self.last_error(class, details),
            counts_as_failure: false,
            no_answer: self.lost == LostAnswer::Now,
        }
    }

    fn last_error(&self, class: ErrorClass, details: Details) -> LastError {
        LastError {
            class,
            in_a_row: self.in_a_row(class),
            at: self.now,
            details,
        }
    }

    /// How often in a row the channel meets this class, this time included.
    fn in_a_row(&self, class: ErrorClass) -> u32 {
        let before = self.channel.last_error.as_ref();
        before
            .filter(|error| error.class == class)
            .map_or(1, |error| error.in_a_row.saturating_add(1))
    }

    fn told(&self, class: ErrorClass, ends_job: bool, details: Details) -> Told {
        Told {
            outcome: AttemptOutcome::Failed(class),
            ends_job,
            generation: self.channel.generation,
            expires_at: self.channel.access_expires_at,
            details,
        }
    }

    pub(super) fn is_rotating(&self) -> bool {
        self.provider
            .is_none_or(|provider| provider.rotation() == Rotation::Rotating)
    }

    fn is_somebody_else(&self, fresh: &FreshTokens) -> bool {
        matches!(
            (&self.channel.external_id, &fresh.external_id),
            (Some(known), Some(told)) if known != told
        )
    }

    fn facts(
        &self,
        fresh: &FreshTokens,
        expires_at: Option<Timestamp>,
        due_at: Timestamp,
    ) -> Facts {
        Facts {
            state: state_of(fresh.lifetime),
            reason: None,
            access_expires_at: expires_at,
            refresh_expires_at: self.refresh_end(fresh),
            refresh_due_at: Some(due_at),
            external_id: fresh.external_id.clone(),
            has_refresh_material: fresh.brings_credentials() || self.channel.has_refresh_material,
        }
    }

    fn refresh_end(&self, fresh: &FreshTokens) -> Option<Timestamp> {
        match fresh.refresh_lifetime {
            Some(lifetime) => lifetime.ends_at(self.sent_at),
            None => self.channel.refresh_expires_at,
        }
    }
}

fn state_of(lifetime: Lifetime) -> ChannelState {
    match lifetime {
        Lifetime::Never => ChannelState::NeverExpires,
        Lifetime::For(_) | Lifetime::Until(_) | Lifetime::Unknown => ChannelState::Active,
    }
}

pub(super) fn snooze(until: Timestamp, not_before: bool) -> Outcome {
    Outcome::Snooze {
        until_ms: until.as_millis(),
        not_before,
    }
}

/// One line for the queue's record of the job: class and reason, never a message.
pub(super) fn why(class: ErrorClass, details: &Details) -> String {
    match &details.reason {
        Some(reason) => format!("{}: {reason}", class.as_str()),
        None => class.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests;
