//! What fails together: an app at an address, with its settings.

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::hex::hex;

/// Bytes of the digest that are shown: enough to tell two settings apart, too few to
/// prove a guess of the secret by.
const SHOWN: usize = 4;

/// One app at one provider, as all processes with the same settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Such as `facebook:<app id>`.
    pub identity: String,
    /// Where it is asked for tokens.
    pub address: String,
    /// Eight digits that change with the address, the id or the secret. Safe to show.
    pub fingerprint: String,
    /// Whether its channels bring keys of their own: then a refused key is its tenant's
    /// matter, and says nothing of the others.
    pub own_keys: bool,
}

impl Upstream {
    /// The operator's app.
    pub(crate) fn app(identity: String, address: &str, secret: Option<&SecretString>) -> Self {
        let secret = secret.map_or("", |secret| secret.expose_secret());
        let mut hash = Sha256::new();
        for part in [identity.as_str(), address, secret] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self {
            identity,
            address: address.to_owned(),
            fingerprint: hex(&hash.finalize()[..SHOWN]),
            own_keys: false,
        }
    }

    /// An address that tenants call with keys of their own.
    pub(crate) fn address(identity: &str, address: &str) -> Self {
        Self {
            own_keys: true,
            ..Self::app(identity.to_owned(), address, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_secret_is_another_fingerprint_and_is_not_in_it() {
        let with = |secret: &str| {
            let secret = SecretString::from(secret.to_owned());
            Upstream::app("tiktok:key".to_owned(), "https://x", Some(&secret))
        };

        assert_eq!(with("hunter2"), with("hunter2"));
        assert_ne!(with("hunter2").fingerprint, with("hunter3").fingerprint);
        assert_eq!(with("hunter2").fingerprint.len(), 8);
        assert!(!format!("{:?}", with("hunter2")).contains("hunter2"));
    }
}
