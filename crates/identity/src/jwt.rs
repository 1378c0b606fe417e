//! JSON Web Tokens signed with HMAC-SHA256 (RFC 7519, RFC 7515): that algorithm and
//! no other, whatever a token says of itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::SigningKeys;

/// Who signs, and who is meant to read.
const ISSUER: &str = "tokenfleet";
/// Longer texts are not even looked at.
const LONGEST: usize = 4096;

/// The kinds of tokens; each has its own `typ` and `aud`, so that none passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Access,
    Refresh,
    Service,
}

impl Kind {
    const fn typ(self) -> &'static str {
        match self {
            // RFC 9068 section 2.1.
            Self::Access => "at+jwt",
            Self::Refresh => "rt+jwt",
            Self::Service => "st+jwt",
        }
    }

    const fn audience(self) -> &'static str {
        match self {
            Self::Access => "tokenfleet:access",
            Self::Refresh => "tokenfleet:refresh",
            Self::Service => "tokenfleet:service",
        }
    }
}

/// A token that is not accepted. Callers are told none of this: to them all look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of this kind.
    #[error("the text is no token of this kind")]
    Malformed,
    /// Another secret has signed it, or nobody.
    #[error("the signature is not ours")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// What stands in a token, beside who it is for and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// Who signed it.
    pub(crate) iss: String,
    /// Which kind of token it is.
    pub(crate) aud: String,
    /// Whom it stands for.
    pub(crate) sub: String,
    /// Its own id.
    pub(crate) jti: String,
    /// Seconds since the epoch.
    pub(crate) iat: i64,
    /// Seconds since the epoch; `None` is eternal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exp: Option<i64>,
    /// The log-in that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sid: Option<String>,
    /// What it allows, with spaces between (RFC 8693 section 4.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
}

impl Claims {
    /// Claims of a kind of token.
    pub(crate) fn new(kind: Kind, sub: String, jti: String, issued_at: Timestamp) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            aud: kind.audience().to_owned(),
            sub,
            jti,
            iat: seconds(issued_at),
            exp: None,
            sid: None,
            scope: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Header<'t> {
    alg: &'t str,
    typ: &'t str,
    kid: &'t str,
}

/// Whole seconds since the epoch, as tokens have them (RFC 7519 section 2).
pub(crate) fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}

/// The text of a token.
pub(crate) fn encode(keys: &SigningKeys, kind: Kind, claims: &Claims) -> String {
    let header = Header {
        alg: "HS256",
        typ: kind.typ(),
        kid: keys.first_id(),
    };
    let mut text = part(&header);
    text.push('.');
    text.push_str(&part(claims));
    let signature = keys.sign(text.as_bytes());
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    text
}

/// The claims of a token of this kind that one of these keys has signed and that has not expired.
///
/// # Errors
///
/// [`TokenError`]: the kind first, then the signature, then the time.
pub(crate) fn decode(
    keys: &SigningKeys,
    kind: Kind,
    token: &str,
    now: Timestamp,
) -> Result<Claims, TokenError> {
    let Parts {
        header,
        claims,
        signature,
        signed,
    } = Parts::of(token).ok_or(TokenError::Malformed)?;
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
    if header.alg != "HS256" || header.typ != kind.typ() {
        return Err(TokenError::Malformed);
    }
    if !keys.verify(header.kid, signed.as_bytes(), &signature) {
        return Err(TokenError::Signature);
    }
    let claims: Claims = serde_json::from_slice(&claims).map_err(|_| TokenError::Malformed)?;
    if claims.iss != ISSUER || claims.aud != kind.audience() {
        return Err(TokenError::Malformed);
    }
    if claims.exp.is_some_and(|end| end <= seconds(now)) {
        return Err(TokenError::Expired);
    }
    Ok(claims)
}

/// What a token says of itself, without any proof that it is true.
#[derive(Clone, Debug, PartialEq)]
pub struct Peeked {
    /// Its header.
    pub header: Map<String, Value>,
    /// Its claims.
    pub claims: Map<String, Value>,
}

/// Looks into any JSON Web Token without checking it; `None` if the text is none.
#[must_use]
pub fn peek(token: &str) -> Option<Peeked> {
    let parts = Parts::of(token)?;
    Some(Peeked {
        header: serde_json::from_slice(&parts.header).ok()?,
        claims: serde_json::from_slice(&parts.claims).ok()?,
    })
}

/// The id of something that says it is a token of this kind. Nothing is proven by it.
pub(crate) fn claimed_id(kind: Kind, token: &str) -> Option<String> {
    let peeked = peek(token)?;
    let (typ, aud) = (peeked.header.get("typ")?, peeked.claims.get("aud")?);
    if typ != kind.typ() || aud != kind.audience() {
        return None;
    }
    Some(peeked.claims.get("jti")?.as_str()?.to_owned())
}

struct Parts<'t> {
    header: Vec<u8>,
    claims: Vec<u8>,
    signature: Vec<u8>,
    signed: &'t str,
}

impl<'t> Parts<'t> {
    fn of(token: &'t str) -> Option<Self> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        Some(Self {
            header: bytes(header)?,
            claims: bytes(claims)?,
            signature: bytes(signature)?,
            signed,
        })
    }
}

fn part(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("texts and numbers are JSON");
    URL_SAFE_NO_PAD.encode(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_216_000_900);

    fn keys(text: &str) -> SigningKeys {
        SigningKeys::parse(&text.into()).expect("good secrets")
    }

    fn claims(kind: Kind) -> Claims {
        Claims {
            exp: Some(seconds(NOW) + 10),
            ..Claims::new(kind, "user:1".to_owned(), "2".to_owned(), NOW)
        }
    }

    /// A token with this header and our signature.
    fn forged(header: &str, claims: &Claims) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(keys("secret").sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    #[test]
    fn a_token_is_read_by_its_own_kind_key_and_time_alone() {
        let keys = keys("secret");
        let claims = claims(Kind::Access);

        let token = encode(&keys, Kind::Access, &claims);

        let read = |kind, now| decode(&keys, kind, &token, now);
        let end = Timestamp::from_secs(seconds(NOW) + 10);
        assert_eq!(read(Kind::Access, NOW), Ok(claims));
        assert_eq!(read(Kind::Refresh, NOW), Err(TokenError::Malformed));
        assert_eq!(read(Kind::Access, end), Err(TokenError::Expired));
        let other = decode(&self::keys("other"), Kind::Access, &token, NOW);
        assert_eq!(other, Err(TokenError::Signature));
    }

    #[test]
    fn no_other_algorithm_passes_and_no_changed_claim() {
        let keys = keys("secret");
        let kid = keys.first_id();
        let good = claims(Kind::Access);
        let none = format!(r#"{{"alg":"none","typ":"at+jwt","kid":"{kid}"}}"#);
        let rs256 = format!(r#"{{"alg":"RS256","typ":"at+jwt","kid":"{kid}"}}"#);
        let token = encode(&keys, Kind::Access, &good);
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let (header, _) = signed.split_once('.').expect("three parts");
        let richer = Claims {
            sub: "user:0".to_owned(),
            ..good.clone()
        };
        let changed = format!("{header}.{}.{signature}", part(&richer));
        let wrong_audience = encode(&keys, Kind::Access, &claims(Kind::Service));

        let refused = |token: &str| decode(&keys, Kind::Access, token, NOW).expect_err("refused");

        assert_eq!(refused(&forged(&none, &good)), TokenError::Malformed);
        assert_eq!(refused(&forged(&rs256, &good)), TokenError::Malformed);
        assert_eq!(refused(&changed), TokenError::Signature);
        assert_eq!(refused(&format!("{signed}.")), TokenError::Signature);
        assert_eq!(refused(&wrong_audience), TokenError::Malformed);
        for junk in ["", ".", "..", "a.b.c", "ñ.ñ.ñ", &"x".repeat(9000)] {
            assert_eq!(refused(junk), TokenError::Malformed, "{junk}");
        }
    }

    #[test]
    fn a_foreign_token_can_be_looked_into() {
        // RFC 7519 section 3.1.
        let example = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
            eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
            cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
            dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

        let peeked = peek(example).expect("a token");

        assert_eq!(peeked.header["alg"], "HS256");
        assert_eq!(peeked.claims["exp"], 1_300_819_380);
        assert_eq!(claimed_id(Kind::Service, example), None);
    }
}
