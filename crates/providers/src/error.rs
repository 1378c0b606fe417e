//! A refresh that brought no tokens, and what to do about it.

use domain::{Details, ProviderName, Verdict, reason};

use crate::http::TooLarge;
use crate::silence::cause_of;
use crate::{EgressRefusal, NotPermitted};

/// The cause of a failed request, stripped of its URL.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A refresh that did not end with tokens or with a confirmation.
///
/// No part of it, its causes included, contains a credential, a URL with a
/// query, or a body.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// No connection: DNS, TCP, TLS. Nothing left us.
    #[error("{provider} could not be reached")]
    NotSent {
        /// Who was to be asked.
        provider: ProviderName,
        /// What failed.
        #[source]
        source: BoxError,
    },
    /// Time-out, reset, or an answer cut short: the request may have been received.
    #[error("{provider} did not answer")]
    NoAnswer {
        /// Who was asked.
        provider: ProviderName,
        /// What failed.
        #[source]
        source: BoxError,
    },
    /// The permit was refused before the request left. Earlier requests of the
    /// same call, if any, were answered.
    #[error("the request to the provider was not permitted")]
    NotPermitted(#[from] NotPermitted),
    /// The provider said no, or we know without asking that it would.
    #[error(transparent)]
    Refused(Box<Refusal>),
}

/// An answer other than tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{provider} refused the refresh: {}", .verdict.class().as_str())]
pub struct Refusal {
    /// Who refused.
    pub provider: ProviderName,
    /// What is done about it.
    pub verdict: Verdict,
    /// What is known about it; safe to store and to show.
    pub details: Details,
}

impl RefreshError {
    /// What the queue does with the job that met this error.
    ///
    /// `NotPermitted` is a `Retry`, though it should spend no attempt: its caller
    /// knows better than this crate when the channel is free again.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NotSent { .. } | Self::NoAnswer { .. } | Self::NotPermitted(_) => Verdict::Retry,
            Self::Refused(refusal) => refusal.verdict.clone(),
        }
    }

    /// What is known, for the history and for the caller; without `retry_at`.
    #[must_use]
    pub fn details(&self) -> Details {
        match self {
            Self::NotSent { source, .. } => silent(reason::UNREACHABLE, source),
            Self::NoAnswer { source, .. } if source.is::<TooLarge>() => {
                Details::because(reason::ANSWER_TOO_LARGE)
            }
            Self::NoAnswer { source, .. } => silent(reason::NO_ANSWER, source),
            Self::NotPermitted(_) => Details::default(),
            Self::Refused(refusal) => refusal.details.clone(),
        }
    }

    /// Whether a request left to which no answer is known: at a provider that
    /// rotates, the refresh token may be spent.
    #[must_use]
    pub const fn may_have_reached_provider(&self) -> bool {
        matches!(self, Self::NoAnswer { .. })
    }
}

impl Refusal {
    /// A refusal that this side decided, for a reason of [`domain::reason`].
    pub(crate) fn ours(provider: &ProviderName, verdict: Verdict, reason: &str) -> RefreshError {
        Self {
            provider: provider.clone(),
            verdict,
            details: Details::because(reason),
        }
        .into()
    }

    /// The refusal of a provider without its app's credentials; nothing is sent.
    pub(crate) fn not_configured(provider: &ProviderName) -> RefreshError {
        Self::ours(
            provider,
            Verdict::Misconfigured,
            reason::PROVIDER_NOT_CONFIGURED,
        )
    }

    /// The refusal of a tenant's address; nothing is sent. It concerns this channel
    /// alone, whose app identity is its own key.
    pub(crate) fn not_callable(provider: &ProviderName, refusal: EgressRefusal) -> RefreshError {
        Self::ours(provider, Verdict::Misconfigured, refusal.reason())
    }

    /// A refusal for want of something that a refresh needs.
    pub(crate) fn no_material(provider: &ProviderName) -> RefreshError {
        Self::ours(
            provider,
            Verdict::NoRefreshMaterial,
            reason::NO_REFRESH_MATERIAL,
        )
    }
}

impl From<Refusal> for RefreshError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

fn silent(reason: &str, source: &BoxError) -> Details {
    Details {
        cause: cause_of(source).map(str::to_owned),
        ..Details::because(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_without_an_answer_may_have_reached_the_provider() {
        let provider = ProviderName::from_static("tiktok");
        let cut = || -> BoxError { "cut".into() };

        let no_answer = RefreshError::NoAnswer {
            provider: provider.clone(),
            source: cut(),
        };
        let others = [
            RefreshError::NotSent {
                provider: provider.clone(),
                source: cut(),
            },
            RefreshError::NotPermitted(NotPermitted::Stopping),
            Refusal::no_material(&provider),
        ];

        assert!(no_answer.may_have_reached_provider());
        assert!(!others.iter().any(RefreshError::may_have_reached_provider));
    }

    #[test]
    fn a_refusal_says_its_class_and_nothing_of_the_provider_s_words() {
        let refusal = Refusal {
            provider: ProviderName::from_static("tiktok"),
            verdict: Verdict::Reauthorize,
            details: Details {
                provider_message: Some("words".to_owned()),
                ..Details::default()
            },
        };

        let error = RefreshError::from(refusal);

        assert_eq!(
            error.to_string(),
            "tiktok refused the refresh: reauth_required"
        );
    }
}
