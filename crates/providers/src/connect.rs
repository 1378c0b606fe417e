//! How a person connects an account: where the browser is sent, and what its code brings
//! (RFC 6749 section 4.1, RFC 7636).
//!
//! No provider but the generic ones has PKCE for apps of the web; the challenge is sent
//! where it is understood. Each file says where its provider tells of its consent.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::{ChannelState, FreshTokens, Grant, Lifetime, Timestamp, reason};
use secrecy::SecretString;
use url::Url;

use crate::http::endpoint;
use crate::{Accepted, Call, NotPermitted, Permit, RefreshError, SettingsError};

/// A provider whose accounts people connect themselves.
#[async_trait]
pub trait Connect: Send + Sync + Debug {
    /// Settings without which nobody can be sent there; empty if none is missing.
    fn missing(&self) -> Vec<String>;

    /// Where the browser is sent. A provider without its settings is asked as nobody,
    /// and says so to the person.
    fn authorize_url(&self, asking: &Asking<'_>) -> Url;

    /// Exchanges the code, which is good once, for credentials that last.
    ///
    /// # Errors
    ///
    /// [`RefreshError`]. `Reauthorize` means that the person must agree once more,
    /// `Misconfigured` that the operator must act; the code is spent in any case.
    async fn exchange(&self, granted: &Granted<'_>) -> Result<Connected, RefreshError>;
}

/// What a browser is sent to a provider with.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Where it comes back to; the provider knows it.
    pub redirect_uri: &'a str,
    /// What it must bring back.
    pub state: &'a str,
    /// base64url of the SHA-256 of the verifier, 43 characters.
    pub challenge: &'a str,
}

/// What a browser came back with. Debug shows no secret.
#[derive(Clone, Copy, Debug)]
pub struct Granted<'a> {
    /// The code.
    pub code: &'a SecretString,
    /// What the challenge was made of.
    pub verifier: &'a SecretString,
    /// The one that was asked with.
    pub redirect_uri: &'a str,
    /// The account that it should be. At Facebook a page's id brings the page's token.
    pub account: Option<&'a str>,
    /// The database's time.
    pub now: Timestamp,
}

/// Credentials that a person has brought.
#[derive(Clone, Debug)]
pub struct Connected {
    /// They can be stored.
    pub accepted: Accepted,
    /// What the account is called at the provider, if it said so.
    pub name: Option<String>,
    /// Other ids under which a channel may know what they belong to.
    pub reaches: Vec<String>,
}

/// Whether credentials belong to the account of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameAccount {
    /// They do.
    Yes,
    /// They belong to another.
    No,
    /// One of the two is not known.
    Unknown,
}

/// Exchanges are permitted: no lease is held, and whoever waits is a person.
struct AtOnce;

#[async_trait]
impl Permit for AtOnce {
    async fn before_request(&self) -> Result<(), NotPermitted> {
        Ok(())
    }
}

impl Granted<'_> {
    /// The secrets of the consent, as a call holds them.
    pub(crate) fn secrets(&self) -> Grant {
        let named = |(name, secret): (&str, &SecretString)| (name.to_owned(), secret.clone());
        let secrets = [("code", self.code), ("code_verifier", self.verifier)];
        Grant {
            keys: secrets.map(named).into(),
            ..Grant::default()
        }
    }

    /// The exchange as a call that holds `grant`, whose access token ends then.
    pub(crate) fn call<'a>(&self, grant: &'a Grant, ends_at: Option<Timestamp>) -> Call<'a> {
        Call {
            grant,
            external_id: None,
            access_expires_at: ends_at,
            state: ChannelState::Active,
            now: self.now,
            permit: &AtOnce,
        }
    }
}

impl Connected {
    /// Credentials of which nothing more is known.
    pub(crate) const fn of(accepted: Accepted) -> Self {
        Self {
            accepted,
            name: None,
            reaches: Vec::new(),
        }
    }

    /// Whether they belong to the account that a channel is known to be.
    #[must_use]
    pub fn is(&self, account: Option<&str>) -> SameAccount {
        let own = self.accepted.external_id.as_deref();
        let mut ids = own
            .into_iter()
            .chain(self.reaches.iter().map(String::as_str))
            .peekable();
        match (account, ids.peek().is_some()) {
            (Some(account), true) if ids.any(|id| id == account) => SameAccount::Yes,
            (Some(_), true) => SameAccount::No,
            _ => SameAccount::Unknown,
        }
    }
}

/// What can be stored of tokens that were issued at `now`.
pub(crate) fn accepted(fresh: FreshTokens, now: Timestamp) -> Accepted {
    let access_expires_at = fresh.lifetime.ends_at(now);
    let refresh_lifetime = fresh.refresh_lifetime.unwrap_or(Lifetime::Unknown);
    Accepted {
        access_expires_at,
        refresh_expires_at: refresh_lifetime.ends_at(now),
        external_id: fresh.external_id,
        has_refresh_material: true,
        state: match fresh.lifetime {
            Lifetime::Never => ChannelState::NeverExpires,
            _ => ChannelState::Active,
        },
        reason: None,
        warning: None,
        due_now: fresh.lifetime == Lifetime::Unknown,
        grant: Grant {
            access_token: fresh.access_token,
            refresh_token: fresh.refresh_token,
            kind: fresh.kind,
            issued_at: Some(now),
            scope: fresh.scope,
            ..Grant::default()
        },
    }
}

/// The same for a provider that refreshes with a refresh token: without one the
/// access token lasts as long as it lasts.
pub(crate) fn accepted_pair(fresh: FreshTokens, now: Timestamp) -> Accepted {
    let alone = fresh.refresh_token.is_none();
    let accepted = accepted(fresh, now);
    if !alone {
        return accepted;
    }
    let accepted = Accepted {
        has_refresh_material: false,
        due_now: false,
        ..accepted
    };
    match accepted.access_expires_at {
        Some(_) => accepted.needs_reauth(
            reason::NO_REFRESH_MATERIAL,
            "the provider gave no refresh token: its scopes may have to ask for one",
        ),
        None => Accepted {
            state: ChannelState::NeverExpires,
            ..accepted
        },
    }
}

/// The address of `setting`, where no secret is sent, but people are.
///
/// # Errors
///
/// [`SettingsError::BaseUrl`] if it is neither https nor on this machine.
pub(crate) fn page(setting: &'static str, given: &str) -> Result<Url, SettingsError> {
    endpoint(given).ok_or(SettingsError::BaseUrl { setting })
}

/// The address of a page of consent with what every provider wants.
pub(crate) fn asked(page: &Url, asking: &Asking<'_>, more: &[(&str, &str)]) -> Url {
    let mut url = page.clone();
    url.query_pairs_mut()
        .extend_pairs(more.iter().filter(|(_, value)| !value.is_empty()))
        .append_pair("redirect_uri", asking.redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("state", asking.state);
    url
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_176_000);

    fn connected(external_id: Option<&str>, reaches: &[&str]) -> Connected {
        let fresh = FreshTokens {
            external_id: external_id.map(str::to_owned),
            ..FreshTokens::access("t".into(), Lifetime::Never)
        };
        Connected {
            reaches: reaches.iter().map(|it| (*it).to_owned()).collect(),
            ..Connected::of(accepted(fresh, NOW))
        }
    }

    #[test]
    fn an_account_is_the_same_another_or_not_known() {
        for (own, reaches, asked, same) in [
            (Some("1"), &[][..], Some("1"), SameAccount::Yes),
            (Some("1"), &["2", "3"], Some("3"), SameAccount::Yes),
            (None, &["2"], Some("2"), SameAccount::Yes),
            (Some("1"), &["2"], Some("4"), SameAccount::No),
            (None, &["2"], Some("4"), SameAccount::No),
            (None, &[], Some("4"), SameAccount::Unknown),
            (Some("1"), &["2"], None, SameAccount::Unknown),
        ] {
            assert_eq!(connected(own, reaches).is(asked), same, "{own:?} {asked:?}");
        }
    }

    #[test]
    fn without_a_refresh_token_a_token_that_ends_needs_a_person_again() {
        let hour = Lifetime::For(Duration::from_hours(1));

        let ends = accepted_pair(FreshTokens::access("t".into(), hour), NOW);
        let endless = accepted_pair(FreshTokens::access("t".into(), Lifetime::Unknown), NOW);

        assert_eq!(ends.state, ChannelState::NeedsReauth);
        assert_eq!(ends.reason.as_deref(), Some(reason::NO_REFRESH_MATERIAL));
        assert!(ends.warning.is_some() && !ends.has_refresh_material);
        assert_eq!(endless.state, ChannelState::NeverExpires);
        assert!(!endless.due_now && !endless.has_refresh_material);
    }
}
