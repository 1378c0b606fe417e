//! Tokens that say nothing, and the digests by which the database knows all tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::SigningKeys;

const BOOTSTRAP: &[u8] = b"tokenfleet bootstrap token 1";

/// SHA-256 of a token: enough for a random text of 256 bits, which nobody can guess.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// A fresh invitation: `tfi_` and 256 random bits.
#[must_use]
pub fn invitation_token() -> SecretString {
    format!("tfi_{}", random_text()).into()
}

/// The token that the first registration needs off loopback. It follows from the
/// keys, so that every process of a fleet expects the same.
#[must_use]
pub fn bootstrap_token(keys: &SigningKeys) -> SecretString {
    format!("tfb_{}", URL_SAFE_NO_PAD.encode(keys.sign(BOOTSTRAP))).into()
}

/// 256 random bits as text.
pub(crate) fn random_text() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn no_two_invitations_are_alike_and_all_are_long() {
        let (one, other) = (invitation_token(), invitation_token());

        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_eq!(one.expose_secret().len(), 47);
    }

    #[test]
    fn a_fleet_agrees_on_its_bootstrap_token() {
        let token = |text: &str| {
            let keys = SigningKeys::parse(&text.into()).expect("good secrets");
            bootstrap_token(&keys).expose_secret().to_owned()
        };

        assert_eq!(token("secret"), token("secret"));
        assert_ne!(token("secret"), token("other"));
    }
}
