//! The credentials of one channel, as they are sealed and as they come back.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::{Lifetime, Timestamp};

/// What kind of token Meta issued; it decides how the token is kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// A person's token.
    User,
    /// A page's token, derived from a person's.
    Page,
    /// A business's own token: never expiring, or for 60 days.
    SystemUser,
}

/// The credentials of one channel; only `vault` turns them into bytes at rest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Grant {
    /// The token that calls the provider's API.
    #[serde(
        default,
        serialize_with = "expose",
        skip_serializing_if = "Option::is_none"
    )]
    pub access_token: Option<SecretString>,
    /// The token that is spent for the next pair, where the provider has one.
    #[serde(
        default,
        serialize_with = "expose",
        skip_serializing_if = "Option::is_none"
    )]
    pub refresh_token: Option<SecretString>,
    /// Other secrets by name: `api_key`, `api_secret`, `user_access_token`, …
    #[serde(
        default,
        serialize_with = "expose_all",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub keys: BTreeMap<String, SecretString>,
    /// Where the provider tells kinds apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<GrantKind>,
    /// When the access token was issued, or imported if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// The granted scope, in the provider's own notation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The provider's address, where each channel has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
}

impl Grant {
    /// The named secret of [`Grant::keys`].
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&SecretString> {
        self.keys.get(name)
    }

    /// Every secret in it: what must not be found anywhere else.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.access_token
            .iter()
            .chain(&self.refresh_token)
            .chain(self.keys.values())
    }

    /// The grant after `fresh` was received: what is absent there stays.
    #[must_use]
    pub fn renewed(&self, fresh: &FreshTokens, issued_at: Timestamp) -> Self {
        let mut next = self.clone();
        if let Some(token) = &fresh.access_token {
            next.access_token = Some(token.clone());
            next.issued_at = Some(issued_at);
        }
        if let Some(token) = &fresh.refresh_token {
            next.refresh_token = Some(token.clone());
        }
        next.kind = fresh.kind.or(next.kind);
        if fresh.scope.is_some() {
            next.scope.clone_from(&fresh.scope);
        }
        next
    }
}

/// A grant as it stands in the database: only `vault` makes and opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The encrypted grant with its wrapped data key.
    pub envelope: Vec<u8>,
    /// The master key that wrapped the data key.
    pub key_id: String,
    /// Tells two sets of refresh material apart without opening them.
    pub fingerprint: [u8; 16],
}

/// What a provider answered to a refresh.
#[derive(Clone, Debug)]
pub struct FreshTokens {
    /// The new access token; `None` if the provider was only asked about the old one.
    pub access_token: Option<SecretString>,
    /// The new refresh token; `None` keeps the old one.
    pub refresh_token: Option<SecretString>,
    /// How long the access token lives.
    pub lifetime: Lifetime,
    /// How long the refresh token lives; `None` leaves what is known.
    pub refresh_lifetime: Option<Lifetime>,
    /// The kind, where the answer told it.
    pub kind: Option<GrantKind>,
    /// The granted scope, where the answer told it.
    pub scope: Option<String>,
    /// The account at the provider, where the answer told it.
    pub external_id: Option<String>,
}

impl FreshTokens {
    /// An answer with an access token and nothing else.
    #[must_use]
    pub fn access(token: SecretString, lifetime: Lifetime) -> Self {
        Self {
            access_token: Some(token),
            ..Self::unchanged(lifetime)
        }
    }

    /// An answer that told about the old token and brought no new one.
    #[must_use]
    pub const fn unchanged(lifetime: Lifetime) -> Self {
        Self {
            access_token: None,
            refresh_token: None,
            lifetime,
            refresh_lifetime: None,
            kind: None,
            scope: None,
            external_id: None,
        }
    }

    /// Whether it brought credentials that must be stored.
    #[must_use]
    pub const fn brings_credentials(&self) -> bool {
        self.access_token.is_some() || self.refresh_token.is_some()
    }
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn expose<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret
        .as_ref()
        .map(ExposeSecret::expose_secret)
        .serialize(to)
}

fn expose_all<S: Serializer>(
    secrets: &BTreeMap<String, SecretString>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(
        secrets
            .iter()
            .map(|(name, secret)| (name, secret.expose_secret())),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn grant() -> Grant {
        Grant {
            access_token: Some("old-access".into()),
            refresh_token: Some("old-refresh".into()),
            keys: BTreeMap::from([("api_key".to_owned(), "key".into())]),
            scope: Some("a b".to_owned()),
            ..Grant::default()
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", grant());

        assert!(!shown.contains("old-"), "{shown}");
    }

    #[test]
    fn an_absent_refresh_token_in_the_answer_keeps_the_old_one() {
        let fresh = FreshTokens::access("new".into(), Lifetime::For(Duration::from_mins(1)));

        let next = grant().renewed(&fresh, Timestamp::from_secs(7));

        let exposed =
            |secret: &Option<SecretString>| secret.as_ref().map(|s| s.expose_secret().to_owned());
        assert_eq!(exposed(&next.access_token).as_deref(), Some("new"));
        assert_eq!(exposed(&next.refresh_token).as_deref(), Some("old-refresh"));
        assert_eq!(next.issued_at, Some(Timestamp::from_secs(7)));
        assert_eq!(next.scope.as_deref(), Some("a b"));
    }

    #[test]
    fn a_grant_survives_its_own_json() {
        let json = serde_json::to_string(&grant()).expect("a grant is JSON");
        let back: Grant = serde_json::from_str(&json).expect("its JSON is a grant");

        assert_eq!(back.secrets().count(), 3);
        assert_eq!(serde_json::to_string(&back).expect("a grant is JSON"), json);
    }
}
