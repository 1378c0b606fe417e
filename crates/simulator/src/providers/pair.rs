//! Pairs of an access token and a refresh token: how they are written, what becomes of a
//! refresh token that is presented.

use std::time::Duration;

use domain::{Grant as Credentials, Timestamp};

use super::{Desk, Known, Question, first_times};
use crate::grants::{Grant, Issued};
use crate::token::TokenRef;
use crate::world::World;
use crate::{MintError, MintRequest, ReusePolicy, Rotation};

/// The purpose of an access token.
pub(super) const ACCESS: u8 = b'a';
/// The purpose of a refresh token.
pub(super) const REFRESH: u8 = b'r';

/// What a provider's tokens begin with: minted ones, and declared ones.
pub(super) struct Script {
    pub(super) access: (&'static str, &'static str),
    pub(super) refresh: (&'static str, &'static str),
}

/// How long a provider's tokens live, and what a refresh does to the refresh token.
pub(super) struct Terms {
    pub(super) access: Duration,
    /// `None` if refresh tokens have no end.
    pub(super) refresh: Option<Duration>,
    pub(super) rotation: Rotation,
}

/// What became of a refresh token that was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    /// There is a new pair, or a new access token beside the old refresh token.
    Renewed,
    /// It was spent before, and the pair that it brought is told again.
    Again,
    /// It is not accepted.
    Refused {
        /// Whether it was spent before.
        reuse: bool,
    },
}

impl Script {
    /// A token's value.
    pub(super) fn write(
        &self,
        grant: &Grant,
        purpose: u8,
        generation: u32,
        world: &World,
    ) -> String {
        let (minted, declared) = self.prefixes(purpose);
        match &grant.declared {
            Some(tail) if generation == 1 => format!("{declared}{tail}"),
            _ => world.tokens.write(
                minted,
                TokenRef {
                    grant: grant.number,
                    generation,
                    purpose,
                },
            ),
        }
    }

    /// The value of the newest access token; a grant without one has no tokens at all.
    pub(super) fn access(&self, grant: &Grant, world: &World) -> String {
        let count = grant.newest(ACCESS).map_or(0, |token| token.generation);
        self.write(grant, ACCESS, count, world)
    }

    /// Which token a value is, by its form.
    pub(super) fn read(&self, value: &str, desk: Desk<'_>) -> Option<Known> {
        [REFRESH, ACCESS].into_iter().find_map(|purpose| {
            let (minted, declared) = self.prefixes(purpose);
            let token = desk.world.tokens.read(minted, value);
            let written = token.map(|token| (token.grant, token.generation, token.purpose));
            let (number, generation, purpose) =
                written.or_else(|| Some((desk.declared(declared, value)?, 1, purpose)))?;
            Some(Known {
                number,
                generation,
                purpose,
                lasting: false,
            })
        })
    }

    /// The newest pair as a tenant imports it.
    pub(super) fn credentials(
        &self,
        grant: &Grant,
        terms: &Terms,
        scope: &str,
        world: &World,
    ) -> Credentials {
        let refresh = self.write(grant, REFRESH, terms.refresh_generation(grant), world);
        Credentials {
            access_token: Some(self.access(grant, world).into()),
            refresh_token: Some(refresh.into()),
            issued_at: grant.newest(ACCESS).map(|token| token.issued_at),
            scope: Some(scope.to_owned()),
            ..Credentials::default()
        }
    }

    const fn prefixes(&self, purpose: u8) -> (&'static str, &'static str) {
        match purpose {
            ACCESS => self.access,
            _ => self.refresh,
        }
    }
}

impl Terms {
    /// The generation that the newest refresh token was written with.
    pub(super) const fn refresh_generation(&self, grant: &Grant) -> u32 {
        match self.rotation {
            Rotation::Never => 1,
            Rotation::Always(_) => grant.generation,
        }
    }

    /// Gives a new grant its first pair.
    ///
    /// # Errors
    ///
    /// [`MintError::Field`] for a kind, or for a token without an end.
    pub(super) fn endow(
        &self,
        grant: &mut Grant,
        order: &MintRequest,
        now: Timestamp,
    ) -> Result<(), MintError> {
        let field = |field, problem| Err(MintError::Field { field, problem });
        if order.kind.is_some() {
            return field("kind", "only Meta tells kinds apart");
        }
        if order.never_expires {
            return field("never_expires", "every token of this provider ends");
        }
        let (issued_at, expires_at) = first_times(order, self.access, now);
        grant.generation = 1;
        grant.issue(Issued {
            purpose: ACCESS,
            generation: 1,
            issued_at,
            expires_at: Some(expires_at),
        });
        let left = order
            .refresh_expires_in
            .map(|secs| secs.saturating_mul(1000));
        grant.refresh_expires_at = match left {
            Some(millis) => Some(Timestamp::from_millis(
                now.as_millis().saturating_add(millis),
            )),
            None => self.refresh.map(|lifetime| now.plus(lifetime)),
        };
        Ok(())
    }

    /// Gives a grant whose person agreed, once more perhaps, its next pair.
    pub(super) fn consented(&self, grant: &mut Grant, now: Timestamp) {
        grant.revoked = false;
        grant.generation += 1;
        let count = grant.newest(ACCESS).map_or(0, |token| token.generation);
        let lifetime = grant.renewed_secs.map_or(self.access, Duration::from_secs);
        grant.issue(Issued {
            purpose: ACCESS,
            generation: count + 1,
            issued_at: now,
            expires_at: Some(now.plus(lifetime)),
        });
        grant.refresh_expires_at = self.refresh.map(|lifetime| now.plus(lifetime));
    }

    /// Takes a refresh token for the next pair, if it is the one.
    pub(super) fn spend(&self, grant: &mut Grant, known: Known, question: &Question<'_>) -> Spent {
        let newest = self.refresh_generation(grant);
        if known.purpose != REFRESH || known.generation > newest {
            return Spent::Refused { reuse: false };
        }
        let ended = grant
            .refresh_expires_at
            .is_some_and(|at| at <= question.now);
        let spent = known.generation < newest;
        if grant.revoked || ended {
            return Spent::Refused { reuse: spent };
        }
        if spent {
            return self.reused(grant, known, question);
        }
        self.renew(grant, question);
        Spent::Renewed
    }

    fn reused(&self, grant: &mut Grant, known: Known, question: &Question<'_>) -> Spent {
        let policy = match (question.special, self.rotation) {
            (Some("grace"), _) => ReusePolicy::Grace(Duration::from_mins(1)),
            (_, Rotation::Always(policy)) => policy,
            (_, Rotation::Never) => ReusePolicy::Refuse,
        };
        match policy {
            ReusePolicy::Grace(grace) => {
                let rotated_at = grant.newest(ACCESS).map(|token| token.issued_at);
                let within = rotated_at.is_some_and(|at| question.now < at.plus(grace));
                if within && known.generation + 1 == grant.generation {
                    return Spent::Again;
                }
            }
            ReusePolicy::Revoke => grant.revoked = true,
            ReusePolicy::Refuse => {}
        }
        Spent::Refused { reuse: true }
    }

    fn renew(&self, grant: &mut Grant, question: &Question<'_>) {
        let keeps = matches!(
            question.special,
            Some("no_refresh_token" | "same_refresh_token" | "empty_refresh_token")
        );
        if !keeps || self.rotation == Rotation::Never {
            grant.generation += 1;
        }
        let lifetime = grant.renewed_secs.map_or(self.access, Duration::from_secs);
        let count = grant.newest(ACCESS).map_or(0, |token| token.generation);
        grant.issue(Issued {
            purpose: ACCESS,
            generation: count + 1,
            issued_at: question.now,
            expires_at: Some(question.now.plus(lifetime)),
        });
        // What stays keeps its own end.
        if let (Rotation::Always(_), Some(lifetime)) = (self.rotation, self.refresh) {
            grant.refresh_expires_at = Some(question.now.plus(lifetime));
        }
    }
}

/// Whole seconds until `end`; 0 if there is none.
pub(super) fn left(end: Option<Timestamp>, now: Timestamp) -> u64 {
    end.map_or(0, |at| at.since(now).as_secs())
}

/// Whole seconds that the newest access token has left.
pub(super) fn access_left(grant: &Grant, now: Timestamp) -> u64 {
    left(grant.newest(ACCESS).and_then(|token| token.expires_at), now)
}
