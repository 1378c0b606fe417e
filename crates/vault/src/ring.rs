//! The master keys of a fleet.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Generate as _, Key};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use secrecy::{ExposeSecret, SecretString};

use crate::envelope::{decrypt, encrypt};

const KEY_BYTES: usize = 32;
const ID_MAX: usize = 32;
/// What check values hold.
const CHECKED: &[u8] = b"tokenfleet key check 1";

/// Master keys by id: all of them open, the active one seals.
#[derive(Clone)]
pub struct KeyRing {
    first: String,
    keys: BTreeMap<String, XChaCha20Poly1305>,
}

/// Text that is no key ring. It never quotes key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// No key at all.
    #[error("there is no master key; give one as id:base64 of 32 random bytes")]
    Empty,
    /// An entry without the form `id:base64`.
    #[error("entry {position} is not of the form id:base64")]
    Malformed {
        /// Counted from 1.
        position: usize,
    },
    /// An id that is not 1–32 of `[A-Za-z0-9_-]`.
    #[error("the id of entry {position} must be 1 to 32 characters of A-Z, a-z, 0-9, _ and -")]
    BadId {
        /// Counted from 1.
        position: usize,
    },
    /// A key that is not base64.
    #[error("the key '{id}' is not base64")]
    NotBase64 {
        /// The key's id.
        id: String,
    },
    /// A key of the wrong length.
    #[error("the key '{id}' has {bytes} bytes; it must have 32")]
    WrongLength {
        /// The key's id.
        id: String,
        /// Its length.
        bytes: usize,
    },
    /// Two keys with one id.
    #[error("the id '{id}' is given twice")]
    Duplicate {
        /// The id.
        id: String,
    },
}

impl KeyRing {
    /// Reads `id:base64,id:base64,…`, also one to a line; each key has 32 bytes.
    ///
    /// # Errors
    ///
    /// [`KeyRingError`] says which entry is wrong, and what is allowed.
    pub fn parse(text: &SecretString) -> Result<Self, KeyRingError> {
        let mut ring = Self {
            first: String::new(),
            keys: BTreeMap::new(),
        };
        let entries = text.expose_secret().split([',', '\n']).map(str::trim);
        for (index, entry) in entries.filter(|entry| !entry.is_empty()).enumerate() {
            let (id, key) = parse_entry(index + 1, entry)?;
            if ring.first.is_empty() {
                ring.first.clone_from(&id);
            }
            if ring.keys.insert(id.clone(), key).is_some() {
                return Err(KeyRingError::Duplicate { id });
            }
        }
        if ring.keys.is_empty() {
            return Err(KeyRingError::Empty);
        }
        Ok(ring)
    }

    /// A new random key under this id, in the form that [`KeyRing::parse`] reads.
    #[must_use]
    pub fn generate(id: &str) -> SecretString {
        let key = Key::<XChaCha20Poly1305>::generate();
        format!("{id}:{}", STANDARD.encode(key)).into()
    }

    /// The id that was given first; it seals in a fleet that has not chosen yet.
    #[must_use]
    pub fn first_id(&self) -> &str {
        &self.first
    }

    /// All ids, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// A value from which nobody learns the key, and by which [`KeyRing::is_key_of`]
    /// knows it again; `None` if the ring has no such key. Two values of one key differ.
    #[must_use]
    pub fn check_value(&self, id: &str) -> Option<Vec<u8>> {
        self.cipher(id)
            .map(|cipher| encrypt(cipher, CHECKED, id.as_bytes()))
    }

    /// Whether this value was made with the ring's key of this id.
    #[must_use]
    pub fn is_key_of(&self, id: &str, check_value: &[u8]) -> bool {
        self.cipher(id)
            .and_then(|cipher| decrypt(cipher, check_value, id.as_bytes()))
            .is_some()
    }

    pub(crate) fn cipher(&self, id: &str) -> Option<&XChaCha20Poly1305> {
        self.keys.get(id)
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.ids()).finish()
    }
}

fn parse_entry(position: usize, entry: &str) -> Result<(String, XChaCha20Poly1305), KeyRingError> {
    let (id, encoded) = entry
        .split_once(':')
        .ok_or(KeyRingError::Malformed { position })?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if id.is_empty() || id.len() > ID_MAX || !id.bytes().all(allowed) {
        return Err(KeyRingError::BadId { position });
    }
    let bytes = zeroize::Zeroizing::new(
        STANDARD
            .decode(encoded)
            .map_err(|_| KeyRingError::NotBase64 { id: id.to_owned() })?,
    );
    if bytes.len() != KEY_BYTES {
        return Err(KeyRingError::WrongLength {
            id: id.to_owned(),
            bytes: bytes.len(),
        });
    }
    let cipher = XChaCha20Poly1305::new_from_slice(&bytes).expect("the length was just checked");
    Ok((id.to_owned(), cipher))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<KeyRing, KeyRingError> {
        KeyRing::parse(&text.into())
    }

    fn key() -> String {
        STANDARD.encode([7; KEY_BYTES])
    }

    #[test]
    fn the_first_key_given_is_the_first_of_the_ring() {
        let ring =
            parse(&format!("b:{}, a:{}\nc:{}\n", key(), key(), key())).expect("three good keys");

        assert_eq!(ring.first_id(), "b");
        assert_eq!(ring.ids().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn a_generated_key_is_read_back() {
        let ring = KeyRing::parse(&KeyRing::generate("k1")).expect("a generated key");

        assert_eq!(ring.first_id(), "k1");
    }

    #[test]
    fn a_key_is_known_again_by_its_check_value_and_a_namesake_is_not() {
        let ring = KeyRing::parse(&KeyRing::generate("k1")).expect("a generated key");
        let namesake = KeyRing::parse(&KeyRing::generate("k1")).expect("a generated key");

        let value = ring.check_value("k1").expect("the ring has the key");

        assert!(ring.is_key_of("k1", &value));
        assert!(!namesake.is_key_of("k1", &value));
        assert!(!ring.is_key_of("k2", &value));
        assert_eq!(ring.check_value("k2"), None);
    }

    #[test]
    fn every_wrong_form_is_named_without_its_key() {
        let cases = [
            (String::new(), KeyRingError::Empty),
            (" , ".to_owned(), KeyRingError::Empty),
            (key(), KeyRingError::Malformed { position: 1 }),
            (
                format!("a b:{}", key()),
                KeyRingError::BadId { position: 1 },
            ),
            (
                "k:%%%".to_owned(),
                KeyRingError::NotBase64 { id: "k".into() },
            ),
            (
                "k:c2hvcnQ=".to_owned(),
                KeyRingError::WrongLength {
                    id: "k".into(),
                    bytes: 5,
                },
            ),
            (
                format!("k:{},k:{}", key(), key()),
                KeyRingError::Duplicate { id: "k".into() },
            ),
        ];

        for (text, expected) in cases {
            let error = parse(&text).expect_err("a wrong form");

            assert!(!error.to_string().contains(&key()), "{error}");
            assert_eq!(error, expected);
        }
    }
}
