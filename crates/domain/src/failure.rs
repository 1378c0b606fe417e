//! What a refusal means, and what is done about it: contracts §8 as types.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The classes of errors that callers see; the names are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// What a refresh needs is not there, or never sufficed.
    NoRefreshMaterial,
    /// Transient; the credential is unchanged.
    Retryable,
    /// Throttled; the credential is unchanged and no attempt was spent.
    RateLimited,
    /// Only a person can fix it.
    ReauthRequired,
    /// Our app credentials or settings are wrong; the credential is unchanged.
    Misconfigured,
    /// A bug, a change of contract or a foreign identity.
    Fatal,
    /// Somebody cancelled the job.
    Cancelled,
    /// No such channel.
    NotFound,
}

impl ErrorClass {
    /// The name in the API and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRefreshMaterial => "no_refresh_material",
            Self::Retryable => "retryable",
            Self::RateLimited => "rate_limited",
            Self::ReauthRequired => "reauth_required",
            Self::Misconfigured => "misconfigured",
            Self::Fatal => "fatal",
            Self::Cancelled => "cancelled",
            Self::NotFound => "not_found",
        }
    }
}

/// Reasons that people and programs see beside a class or a state.
pub mod reason {
    /// A refresh was not needed: it never expires, or is too young.
    pub const NOT_NEEDED: &str = "not_needed";
    /// Another refresh succeeded since this one was asked for.
    pub const ALREADY_REFRESHED: &str = "already_refreshed";
    /// The provider answered with tokens that live no longer than the old ones.
    pub const NOT_EXTENDED: &str = "not_extended";
    /// The provider may have rotated the refresh token, and its answer was lost.
    pub const POSSIBLY_LOST_ROTATION: &str = "possibly_lost_rotation";
    /// Meta 190/492: the person lost the role on the page.
    pub const PAGE_ROLE_LOST: &str = "page_role_lost";
    /// Meta 190/459: the person must clear a check first.
    pub const USER_CHECKPOINT: &str = "user_checkpoint";
    /// Meta 190/464: the person must confirm the account.
    pub const USER_UNCONFIRMED: &str = "user_unconfirmed";
    /// The grant belongs to another account than the stored one.
    pub const IDENTITY_MISMATCH: &str = "identity_mismatch";
    /// A permission was not granted, or was removed.
    pub const PERMISSION_REMOVED: &str = "permission_removed";
    /// The person removed the app.
    pub const APP_REMOVED: &str = "app_removed";
    /// The person changed the password.
    pub const PASSWORD_CHANGED: &str = "password_changed";
    /// The token was past its end.
    pub const EXPIRED: &str = "expired";
    /// The provider no longer accepts the grant.
    pub const REVOKED: &str = "revoked";
    /// The tenant's own key or secret is wrong.
    pub const BAD_CREDENTIALS: &str = "bad_credentials";
    /// The provider holds the app back for its behaviour: hours, not minutes.
    pub const POLICY_BLOCK: &str = "policy_block";
    /// The material was taken away, or never sufficed.
    pub const NO_REFRESH_MATERIAL: &str = "no_refresh_material";
    /// The stored envelope does not open.
    pub const ENVELOPE_UNREADABLE: &str = "envelope_unreadable";
    /// The provider is not in the settings of this process.
    pub const PROVIDER_NOT_CONFIGURED: &str = "provider_not_configured";
    /// The token is younger than the provider wants it to be.
    pub const TOO_YOUNG: &str = "too_young";
    /// An address that a tenant supplied may not be called for its form.
    pub const ADDRESS_REFUSED: &str = "address_refused";
    /// An address that a tenant supplied is private or reserved, or its name resolves to one.
    pub const PRIVATE_ADDRESS: &str = "private_address";
    /// The provider's address sends elsewhere, and nobody follows.
    pub const REDIRECTED: &str = "redirected";
    /// Another call with the same key to the same address is still running.
    pub const BUSY: &str = "busy";
    /// The code of a consent was used, expired, or never given.
    pub const CODE_REFUSED: &str = "code_refused";
    /// An answer that the contract does not know.
    pub const UNKNOWN_ANSWER: &str = "unknown_answer";
    /// No answer within the time-out.
    pub const NO_ANSWER: &str = "no_answer";
    /// A success that nobody reads to its end: tokens may be in the rest of it.
    pub const ANSWER_TOO_LARGE: &str = "answer_too_large";
    /// No connection could be made.
    pub const UNREACHABLE: &str = "unreachable";
    /// A job crashed its worker too often.
    pub const POISON: &str = "poison";
}

/// Why a provider could not be reached or did not answer, beside [`reason::UNREACHABLE`] and
/// [`reason::NO_ANSWER`].
pub mod silence {
    /// Its name has no address, or nobody could be asked for it.
    pub const DNS: &str = "dns";
    /// Nobody listens at its address.
    pub const CONNECTION_REFUSED: &str = "connection_refused";
    /// The connection was broken off.
    pub const CONNECTION_RESET: &str = "connection_reset";
    /// No way leads to its address.
    pub const NO_ROUTE: &str = "no_route";
    /// No connection, or no answer, in the time that there was.
    pub const TIMED_OUT: &str = "timed_out";
    /// Its certificate is not accepted, or there is no common way to encrypt.
    pub const TLS: &str = "tls";
    /// It closed the connection before its answer was whole.
    pub const CLOSED_EARLY: &str = "closed_early";
}

/// Who named the delay of a rate limit; the first that applies wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelaySource {
    /// `Retry-After`, RFC 9110 section 10.2.3.
    RetryAfter,
    /// A header of the provider's own.
    ProviderHeader,
    /// The provider told that its limit is spent, and no time: the first step of a pause
    /// that grows.
    ProviderUsage,
    /// The provider's usual pause.
    ProviderDefault,
}

/// What the fleet does with a refresh that brought no tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again with backoff, until the attempts of the job run out.
    Retry,
    /// Try again, but after `tries` attempts of the job it is `last` instead.
    RetryThen {
        /// Attempts, the first included; at least 1.
        tries: u32,
        /// What the error is once they are spent; no `RetryThen` itself.
        last: Box<Verdict>,
    },
    /// Wait as long as the provider says; spends no attempt.
    RateLimited {
        /// From the answer on; `None` leaves it to the backoff. Clamped to 1 s – 24 h.
        delay: Option<Duration>,
        /// Who said so.
        source: DelaySource,
    },
    /// Only a person can fix it; the channel goes to `needs_reauth`.
    Reauthorize,
    /// What a refresh needs is not there; the channel goes to `needs_reauth`.
    NoRefreshMaterial,
    /// The app's own credentials are wrong; the channel is unchanged.
    Misconfigured,
    /// A bug or a change of contract; the channel goes to `error`.
    Fatal,
}

impl Verdict {
    /// `Verdict::RetryThen` with its box.
    #[must_use]
    pub fn retry_then(tries: u32, last: Self) -> Self {
        Self::RetryThen {
            tries,
            last: Box::new(last),
        }
    }

    /// What it is at the given attempt of the job, the first being 1:
    /// a `RetryThen` becomes `Retry` or its `last`.
    #[must_use]
    pub fn at_attempt(self, attempt: u32) -> Self {
        match self {
            Self::RetryThen { tries, .. } if attempt < tries => Self::Retry,
            Self::RetryThen { last, .. } => *last,
            other => other,
        }
    }

    /// The class that callers see.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Retry | Self::RetryThen { .. } => ErrorClass::Retryable,
            Self::RateLimited { .. } => ErrorClass::RateLimited,
            Self::Reauthorize => ErrorClass::ReauthRequired,
            Self::NoRefreshMaterial => ErrorClass::NoRefreshMaterial,
            Self::Misconfigured => ErrorClass::Misconfigured,
            Self::Fatal => ErrorClass::Fatal,
        }
    }
}

/// What is known about a failure; every part is safe to store and to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Details {
    /// One of [`reason`], or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// One of [`silence`]: why there was no connection or no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The provider's own code: a number or a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_code: Option<String>,
    /// The provider's finer code, at Meta `error_subcode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_subcode: Option<String>,
    /// The provider's words, searched for credentials and cut to 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_message: Option<String>,
    /// What the provider's support asks for: `fbtrace_id`, `log_id`, `request_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Status of the answer; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The form of an answer that no contract knows, without any of its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<String>,
    /// When it is tried again, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
}

impl Details {
    /// Details with a reason alone.
    #[must_use]
    pub fn because(reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..Self::default()
        }
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_retry_becomes_its_last_verdict_when_the_tries_are_spent() {
        let verdict = Verdict::retry_then(2, Verdict::Fatal);

        assert_eq!(verdict.clone().at_attempt(1), Verdict::Retry);
        assert_eq!(verdict.clone().at_attempt(2), Verdict::Fatal);
        assert_eq!(verdict.at_attempt(3), Verdict::Fatal);
    }
}
