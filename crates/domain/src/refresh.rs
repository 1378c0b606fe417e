//! What a refresh came to, as the history keeps it and as the API tells it.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::{
    ChannelUid, Details, ErrorClass, Generation, ProviderName, TenantUid, Timestamp, reason,
};

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// New credentials are stored, or the old ones were confirmed by the provider.
    Refreshed,
    /// There was nothing to do.
    NotNeeded,
    /// It failed so.
    Failed(ErrorClass),
}

impl AttemptOutcome {
    const ALL: [Self; 10] = [
        Self::Refreshed,
        Self::NotNeeded,
        Self::Failed(ErrorClass::NoRefreshMaterial),
        Self::Failed(ErrorClass::Retryable),
        Self::Failed(ErrorClass::RateLimited),
        Self::Failed(ErrorClass::ReauthRequired),
        Self::Failed(ErrorClass::Misconfigured),
        Self::Failed(ErrorClass::Fatal),
        Self::Failed(ErrorClass::Cancelled),
        Self::Failed(ErrorClass::NotFound),
    ];

    /// The name in the API and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refreshed => "refreshed",
            Self::NotNeeded => "not_needed",
            Self::Failed(class) => class.as_str(),
        }
    }

    /// The outcome with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == name)
    }
}

impl Serialize for AttemptOutcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AttemptOutcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| serde::de::Error::custom("not an outcome of an attempt"))
    }
}

impl JsonSchema for AttemptOutcome {
    fn schema_name() -> Cow<'static, str> {
        "AttemptOutcome".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "How one attempt ended: a success, or a class of errors.",
            "enum": Self::ALL.map(Self::as_str),
        })
    }
}

/// One try at a job, as the history keeps it.
///
/// Every job that ended has exactly one record with `ends_job`, so that the
/// totals of finished jobs can be counted from the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// A UUID of version 7, so that records sort by age.
    pub uid: Uuid,
    /// Whose channel.
    pub tenant: TenantUid,
    /// Which channel.
    pub channel: ChannelUid,
    /// Which job, in the form of the API.
    pub job_id: String,
    /// The first is 1; 0 for a job that ended without running.
    pub attempt: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// What it came to.
    pub outcome: AttemptOutcome,
    /// Whether the job ended with it.
    pub ends_job: bool,
    /// The generation that the channel has after it.
    pub generation: Option<Generation>,
    /// The end of the token that the channel has after it.
    pub new_expires_at: Option<Timestamp>,
    /// What it put an end to, if it brought new credentials. `None` in records of versions that
    /// did not know it.
    pub replaced: Option<Replaced>,
    /// What is known beside.
    pub details: Details,
}

/// What new credentials put an end to: how fresh a fleet is kept is counted from it (S5.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The kind of provider.
    pub provider: ProviderName,
    /// When the channel was due; `None` if it never was.
    pub due_at: Option<Timestamp>,
    /// The end of the access token before, or the import of the channel where the token had ended
    /// before that. `None` if it is not known.
    pub old_expires_at: Option<Timestamp>,
}

/// What a caller is told about a refresh (S2.1, S2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefreshResult {
    /// The channel's credentials are as fresh as they can be.
    pub success: bool,
    /// This job brought new credentials.
    pub refreshed: bool,
    /// The channel's name.
    pub channel_id: String,
    /// The job; absent where none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The channel's generation afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// The end of the access token afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_expires_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorClass>,
    /// What is known beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
}

impl RefreshResult {
    /// What the last record of a job says about the channel with this name.
    #[must_use]
    pub fn of(channel_id: &str, record: &AttemptRecord) -> Self {
        let (success, refreshed, error) = match record.outcome {
            AttemptOutcome::Refreshed => (true, true, None),
            AttemptOutcome::NotNeeded => (true, false, None),
            AttemptOutcome::Failed(class) => (false, false, Some(class)),
        };
        Self {
            success,
            refreshed,
            channel_id: channel_id.to_owned(),
            job_id: Some(record.job_id.clone()),
            generation: record.generation,
            new_expires_at: record.new_expires_at.filter(|_| success),
            error,
            details: (!record.details.is_empty()).then(|| record.details.clone()),
        }
    }

    /// The answer where nothing had to be done and no job was made.
    #[must_use]
    pub fn not_needed(
        channel_id: &str,
        generation: Generation,
        expires_at: Option<Timestamp>,
    ) -> Self {
        Self {
            success: true,
            refreshed: false,
            channel_id: channel_id.to_owned(),
            job_id: None,
            generation: Some(generation),
            new_expires_at: expires_at,
            error: None,
            details: Some(Details::because(reason::NOT_NEEDED)),
        }
    }

    /// The answer for a channel that could not be refreshed and for which no job was made.
    #[must_use]
    pub fn refused(channel_id: &str, error: ErrorClass, details: Option<Details>) -> Self {
        Self {
            success: false,
            refreshed: false,
            channel_id: channel_id.to_owned(),
            job_id: None,
            generation: None,
            new_expires_at: None,
            error: Some(error),
            details,
        }
    }
}

/// A channel whose token comes to its end (S2.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenExpirationInfo {
    /// The channel's name.
    pub channel_id: String,
    /// The provider's name.
    pub channel_type: String,
    /// What people call it.
    pub display_name: String,
    /// What the tenant's own system calls it.
    pub local_name: Option<String>,
    /// The end of the access token.
    pub expires_at: Timestamp,
    /// Whole minutes until then, rounded down; negative once it is past.
    pub minutes_until_expiration: i64,
    /// Whether the channel has what a refresh needs: a refresh token, a key, or
    /// at Meta the living token.
    pub has_refresh_token: bool,
}

/// How many jobs ended how, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTotals {
    /// Refreshed, or found not needed.
    pub completed: u64,
    /// Failed for good.
    pub failed: u64,
    /// Cancelled by somebody.
    pub cancelled: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_found_by_its_name() {
        for outcome in AttemptOutcome::ALL {
            assert_eq!(AttemptOutcome::parse(outcome.as_str()), Some(outcome));
        }
    }
}
