//! The secrets that sign tokens: the first one signs, all of them verify.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// What is signed to make a key's id, so that an id is never a signature of anything else.
const ID_OF: &[u8] = b"tokenfleet key id 1";
const ID_BYTES: usize = 6;

/// Keys of HMAC-SHA256 (RFC 7518 section 3.2), each known by an id that follows from it.
#[derive(Clone)]
pub struct SigningKeys {
    keys: Vec<(String, Hmac<Sha256>)>,
}

/// A text that holds no keys. It never quotes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing at all.
    #[error("there is no secret to sign with")]
    Empty,
    /// Two commas with nothing between them, or one at an end.
    #[error("secret {0} of the list is empty")]
    Blank(usize),
}

impl SigningKeys {
    /// Reads secrets with commas between them. To change the secret, put the next one
    /// before the present one, and take the old one away when its tokens have ended.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the text, or one secret of it, is empty.
    ///
    /// # Panics
    ///
    /// Never: a key of HMAC may have any length.
    pub fn parse(text: &SecretString) -> Result<Self, KeyError> {
        let text = text.expose_secret().trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        let parts = text.split(',').map(str::trim).enumerate();
        let keys = parts.map(|(index, secret)| {
            if secret.is_empty() {
                return Err(KeyError::Blank(index + 1));
            }
            let key = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
                .expect("a key of HMAC may have any length");
            Ok((id_of(&key), key))
        });
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
        })
    }

    /// The id of the key that signs.
    pub(crate) fn first_id(&self) -> &str {
        &self.keys[0].0
    }

    /// Signs with the first key.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        tag(&self.keys[0].1, message)
    }

    /// Whether the key with this id has signed the message; compared in constant time.
    pub(crate) fn verify(&self, id: &str, message: &[u8], signature: &[u8]) -> bool {
        let key = self.keys.iter().find(|(known, _)| known == id);
        key.is_some_and(|(_, key)| {
            let mut mac = key.clone();
            mac.update(message);
            mac.verify_slice(signature).is_ok()
        })
    }
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|(id, _)| id))
            .finish()
    }
}

fn id_of(key: &Hmac<Sha256>) -> String {
    URL_SAFE_NO_PAD.encode(&tag(key, ID_OF)[..ID_BYTES])
}

fn tag(key: &Hmac<Sha256>, message: &[u8]) -> Vec<u8> {
    let mut mac = key.clone();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> SigningKeys {
        SigningKeys::parse(&text.into()).expect("good secrets")
    }

    #[test]
    fn the_first_secret_signs_and_all_verify() {
        let (old, new) = (keys("old"), keys(" next , old "));

        let (by_old, by_new) = (old.sign(b"m"), new.sign(b"m"));

        assert!(new.verify(old.first_id(), b"m", &by_old));
        assert!(new.verify(new.first_id(), b"m", &by_new));
        assert!(!old.verify(new.first_id(), b"m", &by_new));
        assert!(!new.verify(new.first_id(), b"m", &by_old));
        assert_eq!(keys("next").first_id(), new.first_id());
    }

    #[test]
    fn an_empty_secret_is_refused_and_none_is_shown() {
        let parse = |text: &str| SigningKeys::parse(&text.into()).map(drop);

        assert_eq!(parse(" "), Err(KeyError::Empty));
        assert_eq!(parse("a,,b"), Err(KeyError::Blank(2)));
        assert_eq!(parse("a,"), Err(KeyError::Blank(2)));
        assert!(!format!("{:?}", keys("planted")).contains("planted"));
    }
}
