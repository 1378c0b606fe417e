//! Tokens that are JWTs, HS512, with `iss`, `iat`, `exp` and `nbf` (contracts §5.4, §6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha512;

use crate::grants::Issued;
use crate::token::TokenMint;

/// `{"typ":"JWT","alg":"HS512"}`.
const HEADER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9";

/// Signs and reads JWTs.
pub(super) struct Jwts {
    issuer: String,
    key: Hmac<Sha512>,
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
    jti: String,
}

impl Jwts {
    /// The key follows from the seed and the label.
    pub(super) fn new(seed: u64, label: &str, issuer: &str) -> Self {
        let key = TokenMint::new(seed).key(label);
        Self {
            issuer: issuer.to_owned(),
            key: Hmac::new_from_slice(&key).expect("HMAC takes keys of any length"),
        }
    }

    /// The JWT of a token with this id; one that never ends has no `exp`.
    pub(super) fn write(&self, id: &str, token: Issued) -> String {
        let iat = token.issued_at.as_millis().div_euclid(1000);
        let exp = token.expires_at.map_or(String::new(), |at| {
            format!(r#""exp":{},"#, at.as_millis().div_euclid(1000))
        });
        let claims = format!(
            r#"{{"iss":"{}","iat":{iat},{exp}"nbf":{iat},"jti":"{id}"}}"#,
            self.issuer
        );
        let mut jwt = String::with_capacity(400);
        jwt.push_str(HEADER);
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut jwt);
        let signature = self.sign(&jwt).finalize().into_bytes();
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
        jwt
    }

    /// The id in a JWT; `None` if it is not one of ours.
    pub(super) fn id(&self, jwt: &str) -> Option<String> {
        self.claims(jwt).map(|claims| claims.jti)
    }

    /// The end of a JWT; `None` if it is not one of ours, or never ends.
    pub(super) fn ends_at(&self, jwt: &str) -> Option<Timestamp> {
        self.claims(jwt)?.exp.map(Timestamp::from_secs)
    }

    fn claims(&self, jwt: &str) -> Option<Claims> {
        let (signed, signature) = jwt.rsplit_once('.')?;
        let claims = signed.strip_prefix(HEADER)?.strip_prefix('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.sign(signed).verify_slice(&signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    fn sign(&self, text: &str) -> Hmac<Sha512> {
        self.key.clone().chain_update(text)
    }
}
