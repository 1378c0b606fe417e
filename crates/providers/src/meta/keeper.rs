//! Keeps a token of Facebook Login alive: an exchange, a look, or both (contracts §1.1–§1.4, §3).

use std::time::Duration;

use domain::{
    ChannelState, FreshTokens, GrantKind, Lifetime, ProviderName, Timestamp, Verdict, reason,
};
use secrecy::SecretString;

use super::graph::{GraphCall, Seen};
use crate::{Call, RefreshError, Refusal};

/// A token whose end is found out to be nearer than this is exchanged at once:
/// the margin of [`domain::Window::SIXTY_DAYS`] with all of its jitter.
const NEAR: Duration = Duration::from_hours(15 * 24);

/// One refresh of one channel whose token the Graph API issued.
pub(crate) struct Keeper<'a> {
    /// In whose name.
    pub(crate) provider: &'static ProviderName,
    /// What is asked for.
    pub(crate) call: &'a Call<'a>,
    /// Who is asked.
    pub(crate) graph: &'a GraphCall<'a>,
}

impl Keeper<'_> {
    /// Keeps the token of a person or of a system user: exchanges it, and looks
    /// at it first where its end is not known.
    pub(crate) async fn exchanged(
        &self,
        token: &SecretString,
        kind: Option<GrantKind>,
    ) -> Result<FreshTokens, RefreshError> {
        let Some(end) = self.known_end() else {
            return self.looked_at(token, kind).await;
        };
        if end <= self.call.now {
            return Err(self.expired());
        }
        match self.exchange(token, kind).await {
            Err(refused) if kind.is_none() && is_fatal(&refused) => {
                self.as_system_user(token, refused).await
            }
            result => result,
        }
    }

    /// Keeps a token of which only a look tells what it is.
    pub(crate) async fn looked_at(
        &self,
        token: &SecretString,
        kind: Option<GrantKind>,
    ) -> Result<FreshTokens, RefreshError> {
        if self.known_end().is_some_and(|end| end <= self.call.now) {
            return Err(self.expired());
        }
        let seen = self.look(token).await?;
        self.kept(token, seen, kind).await
    }

    /// Keeps a token that was just looked at.
    pub(crate) async fn kept(
        &self,
        token: &SecretString,
        seen: Seen,
        kind: Option<GrantKind>,
    ) -> Result<FreshTokens, RefreshError> {
        // A refresh of a token whose end was known is one that is due, or wanted.
        let wanted = self.known_end().is_some();
        match (seen.kind, seen.lifetime) {
            (Some(GrantKind::Page), Lifetime::Until(_)) => Err(Refusal::no_material(self.provider)),
            (_, Lifetime::Until(end)) if wanted || end.since(self.call.now) < NEAR => {
                self.exchange(token, seen.kind.or(kind)).await
            }
            (_, Lifetime::Unknown) if wanted => self.exchange(token, seen.kind.or(kind)).await,
            _ => Ok(unchanged(seen)),
        }
    }

    /// What a token is.
    ///
    /// # Errors
    ///
    /// `identity_mismatch` if it belongs to another account than the channel's.
    pub(crate) async fn look(&self, token: &SecretString) -> Result<Seen, RefreshError> {
        let seen = self.graph.look(token).await?;
        match (self.call.external_id, &seen.owner) {
            (Some(expected), Some(owner)) if expected != owner => Err(Refusal::ours(
                self.provider,
                Verdict::Fatal,
                reason::IDENTITY_MISMATCH,
            )),
            _ => Ok(seen),
        }
    }

    /// The end that is known and needs no look first.
    pub(crate) fn known_end(&self) -> Option<Timestamp> {
        let looked_at = self.call.state == ChannelState::NeverExpires;
        self.call.access_expires_at.filter(|_| !looked_at)
    }

    /// Exchanges a token, and looks at the fresh one if its end was not told.
    async fn exchange(
        &self,
        token: &SecretString,
        kind: Option<GrantKind>,
    ) -> Result<FreshTokens, RefreshError> {
        let mut fresh = self.graph.exchange(token, kind).await?;
        fresh.kind = kind;
        if fresh.lifetime != Lifetime::Unknown {
            return Ok(fresh);
        }
        let Some(token) = &fresh.access_token else {
            return Ok(fresh);
        };
        match self.look(token).await {
            Ok(seen) => {
                fresh.lifetime = seen.lifetime;
                fresh.kind = seen.kind.or(kind);
                fresh.external_id = seen.owner;
            }
            Err(error) if is_mismatch(&error) => return Err(error),
            // The fresh token is stored all the same; the next refresh looks again.
            Err(_) => {}
        }
        Ok(fresh)
    }

    /// A second try for a token of unknown kind: Meta refuses the exchange of some
    /// system users' tokens without the parameter that only theirs take (§1.4).
    async fn as_system_user(
        &self,
        token: &SecretString,
        refused: RefreshError,
    ) -> Result<FreshTokens, RefreshError> {
        let seen = self.look(token).await?;
        match (seen.kind, seen.lifetime) {
            (_, Lifetime::Never) => Ok(unchanged(seen)),
            (Some(GrantKind::SystemUser), _) => self.exchange(token, seen.kind).await,
            _ => Err(refused),
        }
    }

    fn expired(&self) -> RefreshError {
        Refusal::ours(self.provider, Verdict::Reauthorize, reason::EXPIRED)
    }
}

/// The answer that a living token was only looked at.
pub(crate) fn unchanged(seen: Seen) -> FreshTokens {
    FreshTokens {
        kind: seen.kind,
        external_id: seen.owner,
        ..FreshTokens::unchanged(seen.lifetime)
    }
}

/// Whether a look found another account's token.
pub(crate) fn is_mismatch(error: &RefreshError) -> bool {
    error.details().reason.as_deref() == Some(reason::IDENTITY_MISMATCH)
}

fn is_fatal(error: &RefreshError) -> bool {
    matches!(error, RefreshError::Refused(_))
        && error.verdict().at_attempt(u32::MAX) == Verdict::Fatal
}
