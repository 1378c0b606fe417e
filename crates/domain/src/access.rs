//! Roles of people and scopes of service tokens: the words of "who may do what".

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a person is in a tenant; each role can do what the ones before it can.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything but tokens.
    Viewer,
    /// Also refreshes, schedules, pauses, retries, cancels, and makes connect links.
    Operator,
    /// Also imports and deletes channels, manages people, service tokens and webhooks, and reads tokens.
    Owner,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Owner];

    /// The word of the API and of the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }
}

/// What a service token may do in its tenant.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Scope {
    /// See channels, schedules, histories and figures.
    #[serde(rename = "channels:read")]
    ChannelsRead,
    /// Also import, change and delete channels.
    #[serde(rename = "channels:write")]
    ChannelsWrite,
    /// Refresh and schedule channels.
    #[serde(rename = "refresh")]
    Refresh,
    /// Be given valid tokens.
    #[serde(rename = "tokens:read")]
    TokensRead,
    /// See jobs.
    #[serde(rename = "jobs:read")]
    JobsRead,
    /// Also retry and cancel jobs.
    #[serde(rename = "jobs:write")]
    JobsWrite,
    /// All of the above.
    #[serde(rename = "admin")]
    Admin,
    /// Use the Facturify account of the platform.
    #[serde(rename = "facturify")]
    Facturify,
}

impl Scope {
    /// All scopes, in the order in which they are told.
    pub const ALL: [Self; 8] = [
        Self::ChannelsRead,
        Self::ChannelsWrite,
        Self::Refresh,
        Self::TokensRead,
        Self::JobsRead,
        Self::JobsWrite,
        Self::Admin,
        Self::Facturify,
    ];

    /// The word of the API, of the database, and of a token's `scope` claim.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChannelsRead => "channels:read",
            Self::ChannelsWrite => "channels:write",
            Self::Refresh => "refresh",
            Self::TokensRead => "tokens:read",
            Self::JobsRead => "jobs:read",
            Self::JobsWrite => "jobs:write",
            Self::Admin => "admin",
            Self::Facturify => "facturify",
        }
    }

    /// Several in one text, with a space between them (RFC 6749 section 3.3).
    #[must_use]
    pub fn join(scopes: &[Self]) -> String {
        scopes
            .iter()
            .map(|it| it.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The scopes of such a text.
    ///
    /// # Errors
    ///
    /// [`UnknownWord`] if one of them is none.
    pub fn split(text: &str) -> Result<Vec<Self>, UnknownWord> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

/// A text that is no role or no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}", .0.join(", "))]
pub struct UnknownWord(&'static [&'static str]);

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        const WORDS: &[&str] = &["viewer", "operator", "owner"];
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or(UnknownWord(WORDS))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        const WORDS: &[&str] = &[
            "channels:read",
            "channels:write",
            "refresh",
            "tokens:read",
            "jobs:read",
            "jobs:write",
            "admin",
            "facturify",
        ];
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or(UnknownWord(WORDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_and_scope_is_known_by_its_word() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::json!(role), role.as_str());
        }
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(serde_json::json!(scope), scope.as_str());
        }
        let refused = "root".parse::<Role>().map_err(|error| error.to_string());
        assert_eq!(
            refused,
            Err("must be one of viewer, operator, owner".to_owned())
        );
    }

    #[test]
    fn scopes_survive_their_own_text() {
        let all = Scope::ALL;

        assert_eq!(Scope::split(&Scope::join(&all)), Ok(all.to_vec()));
        assert_eq!(Scope::split(""), Ok(Vec::new()));
        assert!(Scope::split("channels:read root").is_err());
    }
}
