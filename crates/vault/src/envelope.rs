//! Sealing, opening and re-wrapping grants and other secrets.

use std::sync::RwLock;

use chacha20poly1305::aead::{Aead as _, Generate as _, Key, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use domain::{ChannelUid, EndpointUid, Generation, Grant, Sealed};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::KeyRing;

/// First byte of every envelope: the layout below.
const LAYOUT: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
/// Nonce, 32 bytes of data key and tag.
const WRAPPED: usize = NONCE + 32 + TAG;

/// Seals secrets under the active master key and opens them under any of the ring.
///
/// An envelope is `layout (1) · wrapped data key (72) · nonce (24) · payload`.
pub struct Vault {
    ring: KeyRing,
    active: RwLock<String>,
}

/// An envelope that did not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The ring of this process lacks the key; another process may have it.
    #[error("the master key '{key_id}' is not in this process's key ring")]
    UnknownKey {
        /// The key that is missing.
        key_id: String,
    },
    /// Altered, of another channel or generation, or under another key of the same id.
    #[error("the envelope does not open with the master key '{key_id}'")]
    Unreadable {
        /// The key that was tried.
        key_id: String,
    },
}

impl Vault {
    /// A vault that seals with the key `active`.
    ///
    /// # Errors
    ///
    /// [`OpenError::UnknownKey`] if the ring has no such key.
    pub fn new(ring: KeyRing, active: &str) -> Result<Self, OpenError> {
        let vault = Self {
            ring,
            active: RwLock::new(String::new()),
        };
        vault.activate(active)?;
        Ok(vault)
    }

    /// Seals with another key of the ring from here on.
    ///
    /// # Errors
    ///
    /// [`OpenError::UnknownKey`] if the ring has no such key; nothing changes then.
    pub fn activate(&self, key_id: &str) -> Result<(), OpenError> {
        self.cipher(key_id)?;
        let mut active = self
            .active
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        key_id.clone_into(&mut active);
        Ok(())
    }

    /// The key that seals.
    #[must_use]
    pub fn active_id(&self) -> String {
        self.active
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// The keys that open.
    #[must_use]
    pub const fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Encrypts a grant for one generation of one channel.
    ///
    /// # Panics
    ///
    /// Never: a grant is plain data, and the cipher takes any message of its size.
    #[must_use]
    pub fn seal(&self, uid: ChannelUid, generation: Generation, grant: &Grant) -> Sealed {
        let plain = Zeroizing::new(serde_json::to_vec(grant).expect("a grant is plain data"));
        self.seal_bytes(uid.0, &plain, &payload_context(uid, generation))
    }

    /// Opens an envelope made by [`Vault::seal`] for the same channel and generation.
    ///
    /// # Errors
    ///
    /// [`OpenError::UnknownKey`] if this process lacks the key, else
    /// [`OpenError::Unreadable`]: what was altered looks like what is foreign,
    /// on purpose.
    pub fn open(
        &self,
        uid: ChannelUid,
        generation: Generation,
        sealed: &Sealed,
    ) -> Result<Grant, OpenError> {
        let plain = self.open_bytes(uid.0, sealed, &payload_context(uid, generation))?;
        serde_json::from_slice(&plain).map_err(|_| unreadable(sealed))
    }

    /// Encrypts the signing secret of a webhook endpoint.
    #[must_use]
    pub fn seal_webhook_secret(&self, uid: EndpointUid, secret: &SecretString) -> Sealed {
        self.seal_bytes(
            uid.0,
            secret.expose_secret().as_bytes(),
            &webhook_context(uid),
        )
    }

    /// Opens what [`Vault::seal_webhook_secret`] made for the same endpoint.
    ///
    /// # Errors
    ///
    /// As [`Vault::open`].
    pub fn open_webhook_secret(
        &self,
        uid: EndpointUid,
        sealed: &Sealed,
    ) -> Result<SecretString, OpenError> {
        let plain = self.open_bytes(uid.0, sealed, &webhook_context(uid))?;
        let secret = std::str::from_utf8(&plain).map_err(|_| unreadable(sealed))?;
        Ok(secret.into())
    }

    /// Wraps the data key of an envelope with the active master key; the payload
    /// and the fingerprint stay. `owner` is the uid that it was sealed for, whatever of.
    ///
    /// # Errors
    ///
    /// As [`Vault::open`].
    ///
    /// # Panics
    ///
    /// Never: the active key is in the ring.
    pub fn rewrap(&self, owner: Uuid, sealed: &Sealed) -> Result<Sealed, OpenError> {
        let (wrapped, payload) = split(&sealed.envelope).ok_or_else(|| unreadable(sealed))?;
        let data_key = self.unwrap_key(owner, &sealed.key_id, wrapped)?;

        let (key_id, wrapped) = self.wrap_key(owner, &data_key);
        let mut envelope = vec![LAYOUT];
        envelope.extend(wrapped);
        envelope.extend_from_slice(payload);
        Ok(Sealed {
            envelope,
            key_id,
            fingerprint: sealed.fingerprint,
        })
    }

    fn seal_bytes(&self, owner: Uuid, plain: &[u8], context: &[u8]) -> Sealed {
        let data_key = Key::<XChaCha20Poly1305>::generate();
        let payload = encrypt(&XChaCha20Poly1305::new(&data_key), plain, context);

        let (key_id, wrapped) = self.wrap_key(owner, &data_key);
        let mut envelope = Vec::with_capacity(1 + WRAPPED + payload.len());
        envelope.push(LAYOUT);
        envelope.extend(wrapped);
        envelope.extend(payload);
        let fingerprint = fingerprint_of(&envelope);
        Sealed {
            envelope,
            key_id,
            fingerprint,
        }
    }

    fn open_bytes(
        &self,
        owner: Uuid,
        sealed: &Sealed,
        context: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (wrapped, payload) = split(&sealed.envelope).ok_or_else(|| unreadable(sealed))?;
        let data_key = self.unwrap_key(owner, &sealed.key_id, wrapped)?;
        let cipher =
            XChaCha20Poly1305::new_from_slice(&data_key).map_err(|_| unreadable(sealed))?;
        decrypt(&cipher, payload, context).ok_or_else(|| unreadable(sealed))
    }

    /// The id of the active key, and a data key wrapped with it.
    fn wrap_key(&self, owner: Uuid, data_key: &[u8]) -> (String, Vec<u8>) {
        let key_id = self.active_id();
        let master = self
            .ring
            .cipher(&key_id)
            .expect("the active key is in the ring");
        let wrapped = encrypt(master, data_key, &key_context(owner, &key_id));
        (key_id, wrapped)
    }

    fn unwrap_key(
        &self,
        owner: Uuid,
        key_id: &str,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        decrypt(self.cipher(key_id)?, wrapped, &key_context(owner, key_id)).ok_or_else(|| {
            OpenError::Unreadable {
                key_id: key_id.to_owned(),
            }
        })
    }

    fn cipher(&self, key_id: &str) -> Result<&XChaCha20Poly1305, OpenError> {
        self.ring
            .cipher(key_id)
            .ok_or_else(|| OpenError::UnknownKey {
                key_id: key_id.to_owned(),
            })
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault")
            .field("ring", &self.ring)
            .field("active", &self.active_id())
            .finish()
    }
}

fn unreadable(sealed: &Sealed) -> OpenError {
    OpenError::Unreadable {
        key_id: sealed.key_id.clone(),
    }
}

fn payload_context(uid: ChannelUid, generation: Generation) -> Vec<u8> {
    let mut context = b"tokenfleet grant 1".to_vec();
    context.extend_from_slice(uid.0.as_bytes());
    context.extend_from_slice(&generation.0.to_be_bytes());
    context
}

fn webhook_context(uid: EndpointUid) -> Vec<u8> {
    let mut context = b"tokenfleet webhook secret 1".to_vec();
    context.extend_from_slice(uid.0.as_bytes());
    context
}

fn key_context(owner: Uuid, key_id: &str) -> Vec<u8> {
    let mut context = b"tokenfleet data key 1".to_vec();
    context.extend_from_slice(owner.as_bytes());
    context.extend_from_slice(key_id.as_bytes());
    context
}

/// The wrapped data key and the payload, each with its nonce before it.
fn split(envelope: &[u8]) -> Option<(&[u8], &[u8])> {
    let (layout, rest) = envelope.split_first()?;
    (*layout == LAYOUT && rest.len() >= WRAPPED + NONCE + TAG).then(|| rest.split_at(WRAPPED))
}

/// The payload's nonce: random for every seal, so it tells two seals apart and
/// says nothing about what is in them.
fn fingerprint_of(envelope: &[u8]) -> [u8; 16] {
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&envelope[1 + WRAPPED..][..16]);
    fingerprint
}

pub(crate) fn encrypt(cipher: &XChaCha20Poly1305, plain: &[u8], context: &[u8]) -> Vec<u8> {
    let nonce = XNonce::generate();
    let message = Payload {
        msg: plain,
        aad: context,
    };
    let sealed = cipher
        .encrypt(&nonce, message)
        .expect("a secret is far below the cipher's message limit");
    let mut out = nonce.to_vec();
    out.extend(sealed);
    out
}

pub(crate) fn decrypt(
    cipher: &XChaCha20Poly1305,
    nonce_and_sealed: &[u8],
    context: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = nonce_and_sealed.split_at_checked(NONCE)?;
    let nonce = XNonce::try_from(nonce).ok()?;
    let message = Payload {
        msg: sealed,
        aad: context,
    };
    cipher.decrypt(&nonce, message).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(ids: &[&str]) -> KeyRing {
        let keys: Vec<String> = ids
            .iter()
            .map(|id| KeyRing::generate(id).expose_secret().to_owned())
            .collect();
        KeyRing::parse(&keys.join(",").into()).expect("generated keys")
    }

    fn vault() -> Vault {
        Vault::new(ring(&["a", "b"]), "a").expect("the key is there")
    }

    fn grant(token: &str) -> Grant {
        Grant {
            access_token: Some(token.into()),
            ..Grant::default()
        }
    }

    fn token(grant: &Grant) -> &str {
        grant
            .access_token
            .as_ref()
            .expect("a token")
            .expose_secret()
    }

    #[test]
    fn an_envelope_opens_only_for_its_channel_and_generation() {
        let (vault, uid) = (vault(), ChannelUid::generate());
        let sealed = vault.seal(uid, Generation(3), &grant("EAA-planted"));

        let opened = vault
            .open(uid, Generation(3), &sealed)
            .expect("its own row");
        assert_eq!(token(&opened), "EAA-planted");

        let unreadable = Some(OpenError::Unreadable { key_id: "a".into() });
        assert_eq!(vault.open(uid, Generation(4), &sealed).err(), unreadable);
        assert_eq!(
            vault
                .open(ChannelUid::generate(), Generation(3), &sealed)
                .err(),
            unreadable
        );
    }

    #[test]
    fn an_envelope_does_not_show_what_is_in_it() {
        let sealed = vault().seal(ChannelUid::generate(), Generation(1), &grant("EAA-planted"));

        let needle = b"EAA-planted";
        assert!(
            !sealed
                .envelope
                .windows(needle.len())
                .any(|bytes| bytes == needle)
        );
    }

    #[test]
    fn a_missing_key_is_told_apart_from_a_damaged_envelope() {
        let uid = ChannelUid::generate();
        let sealed = vault().seal(uid, Generation(1), &grant("t"));
        let other = Vault::new(ring(&["c"]), "c").expect("the key is there");
        let namesake = Vault::new(ring(&["a"]), "a").expect("the key is there");

        assert_eq!(
            other.open(uid, Generation(1), &sealed).err(),
            Some(OpenError::UnknownKey { key_id: "a".into() })
        );
        assert_eq!(
            namesake.open(uid, Generation(1), &sealed).err(),
            Some(OpenError::Unreadable { key_id: "a".into() })
        );
    }

    #[test]
    fn a_rewrapped_envelope_opens_under_the_new_key_and_keeps_its_payload() {
        let (vault, uid) = (vault(), ChannelUid::generate());
        let sealed = vault.seal(uid, Generation(1), &grant("t"));
        vault.activate("b").expect("the key is there");

        let rewrapped = vault.rewrap(uid.0, &sealed).expect("the old key is there");

        assert_eq!(rewrapped.key_id, "b");
        assert_eq!(rewrapped.fingerprint, sealed.fingerprint);
        assert_eq!(
            rewrapped.envelope[1 + WRAPPED..],
            sealed.envelope[1 + WRAPPED..]
        );
        let opened = vault
            .open(uid, Generation(1), &rewrapped)
            .expect("re-wrapped");
        assert_eq!(token(&opened), "t");
    }

    #[test]
    fn a_webhook_secret_opens_only_for_its_endpoint_also_rewrapped() {
        let (vault, uid) = (vault(), EndpointUid::generate());
        let sealed = vault.seal_webhook_secret(uid, &"whsec_planted".into());
        vault.activate("b").expect("the key is there");
        let rewrapped = vault.rewrap(uid.0, &sealed).expect("the old key is there");

        for sealed in [&sealed, &rewrapped] {
            let opened = vault.open_webhook_secret(uid, sealed).expect("its own");
            assert_eq!(opened.expose_secret(), "whsec_planted");
            let other = EndpointUid::generate();
            assert!(vault.open_webhook_secret(other, sealed).is_err());
            let grant = vault.open(ChannelUid(uid.0), Generation(1), sealed);
            assert!(grant.is_err());
        }
    }

    #[test]
    fn an_unknown_key_cannot_become_the_active_one() {
        let vault = vault();

        assert!(vault.activate("z").is_err());
        assert_eq!(vault.active_id(), "a");
    }

    proptest! {
        #[test]
        fn a_damaged_or_cut_envelope_never_opens(at in 0usize..200, flip in 1u8..=255, cut in 0usize..200) {
            let (vault, uid) = (vault(), ChannelUid::generate());
            let sealed = vault.seal(uid, Generation(1), &grant("0123456789012345678901234567890123456789"));
            let mut damaged = sealed.clone();
            let at = at % damaged.envelope.len();
            damaged.envelope[at] ^= flip;
            let mut short = sealed.clone();
            short.envelope.truncate(cut.min(sealed.envelope.len() - 1));

            prop_assert!(vault.open(uid, Generation(1), &damaged).is_err());
            prop_assert!(vault.open(uid, Generation(1), &short).is_err());
        }
    }
}
