//! Orders for living credentials, and what comes of them.

use std::collections::BTreeMap;

use domain::{Grant as Credentials, GrantKind, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::grants::{self, Grant};
use crate::world::World;
use crate::{GrantView, Scenario, ScenarioError, fingerprint, providers};

/// Credentials of one order: more would hold the answer's text in memory for long.
const COUNT_MAX: u32 = 100_000;
/// A hundred years; keeps every sum of times far from its end.
const SECS_MAX: i64 = 100 * 366 * 86_400;

/// An order for living credentials: what a tenant would import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MintRequest {
    /// `facebook` (or `meta`), `whatsapp`, `instagram`, `tiktok`, `tiktok_business`,
    /// `tiktok_legacy`, `facturify`, `service_token` or `oauth2:<name>`.
    pub provider: String,
    /// What Meta tells apart; a person's token if absent, at `whatsapp` a system user's.
    /// Refused elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<GrantKind>,
    /// How many, 1–100,000; one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Seconds until the access token ends, 0 or less for one that is past its
    /// end; the provider's full lifetime if absent. Refused at Facturify and
    /// for service tokens, where a key is minted and no access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<i64>,
    /// Whether the access token has no end: Meta's system users and pages, advertisers at
    /// TikTok; for a service token, whether it is itself without an end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_expires: bool,
    /// Seconds since the access token was issued; if absent, the full lifetime less `expires_in`.
    /// An Instagram token without both is a day old, as it must be to be refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<u32>,
    /// Seconds until the refresh token ends, or the service token; the provider's full
    /// lifetime if absent. Refused where there is neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_expires_in: Option<i64>,
    /// Seconds that every later access token lives; the provider's setting if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed_expires_in: Option<u32>,
    /// What the refreshes go through; `GET /_sim/scenarios` lists them. All is well if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
}

/// An order that cannot be carried out; nothing was minted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The simulator has no such provider.
    #[error(
        "'{name}' is no provider of the simulator; one of {}",
        providers::known()
    )]
    Provider {
        /// What stood there.
        name: String,
    },
    /// The provider has no such scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A field is out of its range, or has no meaning at this provider.
    #[error("{field}: {problem}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl MintRequest {
    /// One set of fresh credentials of this provider.
    #[must_use]
    pub fn of(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            ..Self::default()
        }
    }

    /// So many of them.
    #[must_use]
    pub const fn count(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// Of this kind.
    #[must_use]
    pub const fn kind(mut self, kind: GrantKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// With an access token that ends in so many seconds.
    #[must_use]
    pub const fn expires_in(mut self, secs: i64) -> Self {
        self.expires_in = Some(secs);
        self
    }

    /// With an access token that never ends.
    #[must_use]
    pub const fn never_expires(mut self) -> Self {
        self.never_expires = true;
        self
    }

    /// Going through this scenario.
    #[must_use]
    pub fn scenario(mut self, scenario: &str) -> Self {
        self.scenario = Some(scenario.to_owned());
        self
    }

    fn check(&self) -> Result<u32, MintError> {
        let field = |field, problem| Err(MintError::Field { field, problem });
        let in_range = |secs: Option<i64>| secs.is_none_or(|s| (-SECS_MAX..=SECS_MAX).contains(&s));
        let count = self.count.unwrap_or(1);
        if !(1..=COUNT_MAX).contains(&count) {
            return field("count", "must be from 1 to 100000");
        }
        if !in_range(self.expires_in) {
            return field("expires_in", "must be within 100 years");
        }
        if !in_range(self.refresh_expires_in) {
            return field("refresh_expires_in", "must be within 100 years");
        }
        if self.never_expires && self.expires_in.is_some() {
            return field("never_expires", "goes with no expires_in");
        }
        if self.renewed_expires_in == Some(0) {
            return field("renewed_expires_in", "must be at least 1");
        }
        Ok(count)
    }
}

/// Living credentials of one grant.
///
/// Serialized, it has `credentials` in the form in which a tenant imports them,
/// with the secrets in the clear; `Debug` hides them.
#[derive(Clone, Debug)]
pub struct Minted {
    /// The grant's id in the simulator, `<provider>-<number>`.
    pub id: String,
    /// The provider's name.
    pub provider: &'static str,
    /// The account at the provider, where there is one.
    pub external_id: Option<String>,
    /// What people would call it.
    pub display_name: String,
    /// When the access token was issued.
    pub issued_at: Option<Timestamp>,
    /// When the access token ends; `None` if never, or if there is none.
    pub expires_at: Option<Timestamp>,
    /// When the refresh token ends, where there is one.
    pub refresh_expires_at: Option<Timestamp>,
    /// Whether there is something to refresh at all; `false` for tokens without an end.
    pub refreshable: bool,
    /// The secrets.
    pub credentials: Credentials,
}

impl Minted {
    /// The `credentials` of an import, secrets in the clear.
    #[must_use]
    pub fn import_form(&self) -> Value {
        let given = &self.credentials;
        let secret = |secret: &Option<SecretString>| {
            secret.as_ref().map(|secret| json!(secret.expose_secret()))
        };
        let time = |at: Option<Timestamp>| at.map(|at| json!(at));
        let mut form: Map<String, Value> = [
            ("access_token", secret(&given.access_token)),
            ("refresh_token", secret(&given.refresh_token)),
            // Times of tokens that are not imported are nobody's business.
            (
                "expires_at",
                given.access_token.as_ref().and(time(self.expires_at)),
            ),
            (
                "refresh_expires_at",
                given
                    .refresh_token
                    .as_ref()
                    .and(time(self.refresh_expires_at)),
            ),
            ("base_url", given.base_url.as_ref().map(|url| json!(url))),
            // Only Meta's 24 hours make a difference.
            ("issued_at", given.kind.and(time(self.issued_at))),
            ("kind", given.kind.map(|kind| json!(kind))),
            ("external_id", self.external_id.as_ref().map(|id| json!(id))),
            ("scope", given.scope.as_ref().map(|scope| json!(scope))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
        for (name, secret) in &given.keys {
            form.insert(name.clone(), json!(secret.expose_secret()));
        }
        Value::Object(form)
    }

    /// The secrets by the names of the import.
    pub(crate) fn secrets(&self) -> BTreeMap<&str, &SecretString> {
        let given = &self.credentials;
        let tokens = [
            ("access_token", given.access_token.as_ref()),
            ("refresh_token", given.refresh_token.as_ref()),
        ];
        let keys = given.keys.iter().map(|(name, key)| (name.as_str(), key));
        let tokens = tokens
            .into_iter()
            .filter_map(|(n, token)| Some((n, token?)));
        tokens.chain(keys).collect()
    }
}

impl Serialize for Minted {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Minted", 6)?;
        fields.serialize_field("id", &self.id)?;
        fields.serialize_field("provider", self.provider)?;
        fields.serialize_field("external_id", &self.external_id)?;
        fields.serialize_field("display_name", &self.display_name)?;
        fields.serialize_field("refreshable", &self.refreshable)?;
        fields.serialize_field("credentials", &self.import_form())?;
        fields.end()
    }
}

impl World {
    /// Mints what was ordered, in the order of the grants' numbers.
    pub(crate) fn mint(&self, order: &MintRequest) -> Result<Vec<Minted>, MintError> {
        let count = order.check()?;
        let provider = self
            .provider(&order.provider)
            .ok_or_else(|| MintError::Provider {
                name: order.provider.clone(),
            })?;
        // The first shows whether the order can be carried out at all.
        let endow = |number| {
            let mut grant = Grant::new(number, provider);
            self.endow(&mut grant, order).map(|()| grant)
        };
        endow(0)?;
        let first = self.grants.reserve(count);
        (first..first + count)
            .map(|number| {
                let grant = endow(number)?;
                let minted = self.providers[provider].minted(&grant, self);
                self.grants.insert(grant);
                Ok(minted)
            })
            .collect()
    }

    /// Gives a new grant its scenario and its first credentials.
    pub(crate) fn endow(&self, grant: &mut Grant, order: &MintRequest) -> Result<(), MintError> {
        let provider = &*self.providers[grant.provider];
        if let Some(text) = &order.scenario {
            grant.scenario = Scenario::parse(provider, text)?;
        }
        grant.renewed_secs = order.renewed_expires_in.map(u64::from);
        provider.endow(grant, order, self.now())
    }

    /// What is known about the grant with this id.
    pub(crate) fn grant(&self, id: &str, reveal: bool) -> Option<GrantView> {
        let (provider, number) = grants::parse_id(id)?;
        let index = self.provider(provider)?;
        let provider = &*self.providers[index];
        self.grants.with(index, number, |grant| {
            let minted = provider.minted(grant, self);
            let beside = provider.beside(grant, self);
            let beside = beside
                .iter()
                .map(|(name, token)| ((*name).to_owned(), fingerprint(token)));
            let own = minted.secrets().into_iter();
            let own = own.map(|(name, s)| (name.to_owned(), fingerprint(s.expose_secret())));
            let fingerprints = own.chain(beside).collect();
            GrantView {
                id: minted.id.clone(),
                provider: provider.name(),
                kind: grant.kind,
                scenario: grant.scenario.to_string(),
                generation: grant.generation,
                revoked: grant.revoked,
                expires_at: minted.expires_at,
                refresh_expires_at: minted.refresh_expires_at,
                requests: grant.usage.requests,
                refreshes: grant.usage.refreshes,
                reuses: grant.usage.reuses,
                overlaps: grant.usage.overlaps,
                fingerprints,
                revealed: reveal.then_some(minted),
            }
        })
    }
}
