//! What tenants are told about (S5.4).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A kind of event. Channels tell their transitions; a plain refresh only where a
/// tenant asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// New credentials were stored.
    Refreshed,
    /// Only a person can fix it.
    NeedsReauth,
    /// It works again.
    Recovered,
    /// A bug or a change of contract.
    Error,
    /// Its refresh token ends within 14, 3 or 1 days.
    Expiring,
    /// A webhook endpoint failed for so long that it was given up.
    WebhookDisabled,
    /// The fleet stopped calling a provider; told to the tenant `platform` alone.
    BreakerOpened,
    /// The fleet calls it again; told to the tenant `platform` alone.
    BreakerClosed,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Refreshed,
        Self::NeedsReauth,
        Self::Recovered,
        Self::Error,
        Self::Expiring,
        Self::WebhookDisabled,
        Self::BreakerOpened,
        Self::BreakerClosed,
    ];

    /// The name that receivers see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refreshed => "channel.refreshed",
            Self::NeedsReauth => "channel.needs_reauth",
            Self::Recovered => "channel.recovered",
            Self::Error => "channel.error",
            Self::Expiring => "channel.expiring",
            Self::WebhookDisabled => "webhook.disabled",
            Self::BreakerOpened => "breaker.opened",
            Self::BreakerClosed => "breaker.closed",
        }
    }
}

/// A name that is no kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of event")]
pub struct UnknownEvent;

impl FromStr for EventKind {
    type Err = UnknownEvent;

    fn from_str(name: &str) -> Result<Self, UnknownEvent> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or(UnknownEvent)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl JsonSchema for EventKind {
    fn schema_name() -> Cow<'static, str> {
        "EventKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": Self::ALL.map(Self::as_str)})
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_known_again_by_its_name() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("channel.refreshe".parse::<EventKind>(), Err(UnknownEvent));
    }
}
