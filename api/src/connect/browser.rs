//! The browser in which a consent began, known again by a cookie.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use rand::RngExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// 256 bits in base64url.
const LENGTH: usize = 43;
/// The cookie lives longer than any consent that it is for, and as long as a page may stay open.
const MAX_AGE_SECS: u32 = 86_400;

/// 256 random bits that only one browser has.
pub(crate) struct Browser {
    value: SecretString,
    /// Whether the cookie only travels over TLS.
    secure: bool,
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").finish_non_exhaustive()
    }
}

impl Browser {
    /// The browser that sent these headers to this public address; `None` if it has no
    /// cookie of ours.
    pub(crate) fn of(headers: &HeaderMap, public_url: &str) -> Option<Self> {
        let secure = is_secure(public_url);
        let cookies = headers.get_all(header::COOKIE).iter();
        let texts = cookies.filter_map(|value| value.to_str().ok());
        let mut pairs = texts.flat_map(|text| text.split(';'));
        let value = pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == cookie_name(secure) && is_ours(value)).then_some(value)
        })?;
        Some(Self {
            value: SecretString::from(value),
            secure,
        })
    }

    /// A browser that is not known yet.
    pub(crate) fn unknown(public_url: &str) -> Self {
        let bytes: [u8; 32] = rand::rng().random();
        Self {
            value: SecretString::from(URL_SAFE_NO_PAD.encode(bytes)),
            secure: is_secure(public_url),
        }
    }

    /// What consents of this browser are told apart by.
    pub(crate) fn as_str(&self) -> &str {
        self.value.expose_secret()
    }

    /// The header that makes the browser known again. Scripts do not see it, and other
    /// sites only make the browser send it by sending the person here.
    pub(crate) fn cookie(&self) -> HeaderValue {
        let (name, value) = (cookie_name(self.secure), self.as_str());
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie = format!(
            "{name}={value}; Path=/; Max-Age={MAX_AGE_SECS}; HttpOnly; SameSite=Lax{secure}"
        );
        let mut cookie = HeaderValue::try_from(cookie).expect("base64url can stand in a header");
        cookie.set_sensitive(true);
        cookie
    }

    /// The code verifier of one consent (RFC 7636 section 4.1). It is made of what the
    /// browser brings, so that nobody has to keep it.
    pub(crate) fn verifier(&self, state: &SecretString) -> SecretString {
        let mut hash = Sha256::new();
        for part in ["verifier", self.as_str(), state.expose_secret()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(hash.finalize()).into()
    }
}

/// The code challenge of a verifier, `S256` (RFC 7636 section 4.2).
pub(crate) fn challenge(verifier: &SecretString) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret()))
}

fn is_secure(public_url: &str) -> bool {
    public_url.starts_with("https:")
}

/// With the prefix no other host of the same domain can set it (RFC 6265bis section 4.1.3.2).
const fn cookie_name(secure: bool) -> &'static str {
    if secure {
        "__Host-tokenfleet-connect"
    } else {
        "tokenfleet-connect"
    }
}

fn is_ours(value: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    value.len() == LENGTH && value.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTPS: &str = "https://fleet.example";

    fn sent(cookies: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        headers
    }

    #[test]
    fn a_browser_is_known_again_by_its_cookie_alone() {
        let browser = Browser::unknown(HTTPS);
        let value = browser.as_str();
        let known = |cookies: &[&str], url| {
            let found = Browser::of(&sent(cookies), url);
            found.map(|found| found.as_str() == value)
        };

        let own = format!("__Host-tokenfleet-connect={value}");
        let plain = format!("tokenfleet-connect={value}");
        let among = format!("a=b; {own}; c");

        assert_eq!(known(&[&own], HTTPS), Some(true));
        assert_eq!(known(&["x=y", &among], HTTPS), Some(true));
        assert_eq!(known(&[&plain], "http://127.0.0.1:8000"), Some(true));
        assert_eq!(known(&[&plain], HTTPS), None);
        assert_eq!(known(&["__Host-tokenfleet-connect=short"], HTTPS), None);
        assert_eq!(known(&[], HTTPS), None);
    }

    #[test]
    fn the_cookie_is_hidden_from_scripts_and_stays_on_tls() {
        let text = |url| {
            let browser = Browser::unknown(url);
            let cookie = browser.cookie().to_str().unwrap().to_owned();
            cookie.replace(browser.as_str(), "VALUE")
        };

        assert_eq!(
            text(HTTPS),
            "__Host-tokenfleet-connect=VALUE; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            text("http://127.0.0.1:8000"),
            "tokenfleet-connect=VALUE; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn each_consent_has_a_verifier_of_its_own() {
        let browser = Browser::unknown(HTTPS);
        let of = |state: &str| browser.verifier(&state.into()).expose_secret().to_owned();

        assert_eq!(of("one").len(), 43);
        assert_eq!(of("one"), of("one"));
        assert_ne!(of("one"), of("two"));
        // RFC 7636 appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        let expected = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(challenge(&verifier), expected);
    }
}
