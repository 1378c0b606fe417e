//! Names: queues, and jobs in the form in which people and programs pass them on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rand::RngExt as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const QUEUE_MAX: usize = 64;
const KEY_MAX: usize = 128;
const TENANT_MAX: usize = 64;
const NONCE_LEN: usize = 8;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Name of a queue: 1–64 of `[a-z0-9_:.]`, such as `refresh:tiktok` or `sweep`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Arc<str>);

/// A text that names no queue or no job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Not a [`QueueName`].
    #[error("'{0}' is no queue name: 1 to 64 of a-z, 0-9, '_', ':' and '.'")]
    Queue(String),
    /// Not a [`JobId`].
    #[error("'{0}' is no job id")]
    Job(String),
}

impl QueueName {
    /// The queue with this name.
    ///
    /// # Errors
    ///
    /// [`InvalidName::Queue`] if it is empty, longer than 64, or has another character.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_:.".contains(&byte);
        if (1..=QUEUE_MAX).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.into()))
        } else {
            Err(InvalidName::Queue(name.to_owned()))
        }
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name for places that cannot hold a colon: `refresh~tiktok`.
    ///
    /// A queue name has no `~`, so that the way back is unambiguous.
    #[must_use]
    pub fn slug(&self) -> String {
        self.0.replace(':', "~")
    }

    fn from_slug(slug: &str) -> Option<Self> {
        if slug.contains(':') {
            return None;
        }
        Self::new(&slug.replace('~', ":")).ok()
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for QueueName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

/// Eight random base32 characters that tell the successive jobs of one key apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce([u8; NONCE_LEN]);

impl Nonce {
    /// A new one, of 40 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self::of_bits(rand::rng().random())
    }

    /// The same for the same text, in every release: FNV-1a, its low 40 bits.
    fn derived(text: &str) -> Self {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self::of_bits(hash)
    }

    fn of_bits(bits: u64) -> Self {
        Self(std::array::from_fn(|index| {
            BASE32[usize::try_from(bits >> (5 * index) & 31).unwrap_or_default()]
        }))
    }

    pub(crate) const fn bytes(&self) -> &[u8; NONCE_LEN] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; NONCE_LEN] = bytes.try_into().ok()?;
        bytes
            .iter()
            .all(|byte| BASE32.contains(byte))
            .then_some(Self(bytes))
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).expect("base32 is ASCII"))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Identity of one job: its queue, its key, and a nonce.
///
/// The text, `refresh~tiktok-<key>-<nonce>`, has only characters that a URL
/// path takes as they are (RFC 3986 "unreserved"), and parses back to the same
/// id: a queue's slug and a nonce have no `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId {
    /// The queue it was pushed to.
    pub queue: QueueName,
    /// What there is at most one live job for.
    pub key: String,
    /// Which of the successive jobs of the key.
    pub nonce: Nonce,
}

impl JobId {
    /// An id for the next job of a key, for callers who must know it before they push.
    #[must_use]
    pub fn next(queue: &QueueName, key: &str) -> Self {
        Self {
            queue: queue.clone(),
            key: key.to_owned(),
            nonce: Nonce::random(),
        }
    }

    /// The one id of a key that never has a second job: whoever makes it makes the same.
    #[must_use]
    pub fn derived(queue: &QueueName, key: &str) -> Self {
        Self {
            queue: queue.clone(),
            key: key.to_owned(),
            nonce: Nonce::derived(key),
        }
    }

    /// `<key>-<nonce>`: the id inside its queue.
    pub(crate) fn local(&self) -> String {
        format!("{}-{}", self.key, self.nonce)
    }

    /// The way back from [`JobId::local`].
    pub(crate) fn from_local(queue: &QueueName, local: &[u8]) -> Option<Self> {
        let (key, nonce) = std::str::from_utf8(local).ok()?.rsplit_once('-')?;
        Some(Self {
            queue: queue.clone(),
            key: is_key(key).then(|| key.to_owned())?,
            nonce: Nonce::from_bytes(nonce.as_bytes())?,
        })
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.queue.slug(), self.key, self.nonce)
    }
}

impl FromStr for JobId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (slug, local) = text.split_once('-')?;
            Self::from_local(&QueueName::from_slug(slug)?, local.as_bytes())
        };
        parse().ok_or_else(|| InvalidName::Job(text.to_owned()))
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Whether a job may have this key: 1–128 of `[A-Za-z0-9_.~-]`.
pub(crate) fn is_key(key: &str) -> bool {
    (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(is_unreserved)
}

/// Whether a job may belong to this tenant: 1–64 of `[A-Za-z0-9_.~-]`.
pub(crate) fn is_tenant(tenant: &str) -> bool {
    (1..=TENANT_MAX).contains(&tenant.len()) && tenant.bytes().all(is_unreserved)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.~-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_survives_its_own_text() {
        for queue in ["sweep", "refresh:tiktok", "a_b:c.d:e"] {
            for key in ["1", "a-b-c", "-", "x~y.z_w", "abcdefgh"] {
                let id = JobId::next(&queue.parse().unwrap(), key);

                assert_eq!(id.to_string().parse(), Ok(id));
            }
        }
    }

    #[test]
    fn a_job_id_needs_no_escaping_in_a_path() {
        let id = JobId::next(&"refresh:tiktok".parse().unwrap(), "k1");

        assert!(id.to_string().bytes().all(is_unreserved), "{id}");
    }

    #[test]
    fn other_texts_are_no_job_ids() {
        for text in [
            "",
            "sweep",
            "sweep-k",
            "sweep-k-ABCDEFGH",
            "sweep-k-abcdefg1",
            "sweep--abcdefgh",
            "Sweep-k-abcdefgh",
            "refresh:x-k-abcdefgh",
            "sweep-k/l-abcdefgh",
            "sweep-k-abcdefghi",
        ] {
            assert_eq!(
                text.parse::<JobId>(),
                Err(InvalidName::Job(text.to_owned()))
            );
        }
    }

    #[test]
    fn a_queue_name_has_no_other_characters() {
        for text in ["", "A", "a-b", "a b", "a~b", "{a}", &"a".repeat(65)] {
            assert!(QueueName::new(text).is_err(), "{text}");
        }
    }
}
