//! The intent: what a lease writes down before a refresh token may be spent.

use domain::{Generation, ProcessUid, Timestamp};
use serde::{Deserialize, Serialize};

/// Who may have sent which request; it stays open until its outcome is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The job.
    pub job_id: String,
    /// Which try of the job, the first being 1.
    pub attempt: u32,
    /// The process that holds the lease.
    pub owner: ProcessUid,
    /// When the lease was taken.
    #[serde(with = "millis")]
    pub started_at: Timestamp,
    /// Generation of the credentials about to be spent.
    pub generation: Generation,
    /// Fingerprint of the refresh material about to be spent.
    #[serde(with = "hex")]
    pub fingerprint: [u8; 16],
    /// The owner gave up waiting: no answer will come, and the next one may try at once.
    pub no_answer: bool,
}

/// The intent column: the open intent, and the one that was open when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenIntent {
    #[serde(flatten)]
    pub(crate) latest: Intent,
    /// An earlier request whose outcome nobody knows: it stays a possible loss
    /// until a provider has accepted the credentials again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) earlier: Option<Intent>,
}

impl OpenIntent {
    /// What stays open when the latest request ended with a known outcome, or was never sent.
    pub(crate) fn without_latest(self) -> Option<Self> {
        self.earlier.map(|earlier| Self {
            latest: Intent {
                no_answer: true,
                ..earlier
            },
            earlier: None,
        })
    }

    /// What stays open when the latest request ended without an answer.
    pub(crate) fn unanswered(self) -> Self {
        Self {
            latest: Intent {
                no_answer: true,
                ..self.latest
            },
            earlier: self.earlier,
        }
    }
}

/// A fingerprint as 32 hex digits, the form of a UUID without hyphens.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 16], to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(Uuid::from_bytes(*bytes).as_simple())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 16], D::Error> {
        Uuid::deserialize(from).map(Uuid::into_bytes)
    }
}

/// An instant as the number that the database's clock says.
mod millis {
    use domain::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_millis)
    }
}
