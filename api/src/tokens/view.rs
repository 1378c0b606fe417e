//! What a token looks like in JSON: the one shape with a credential in it.

use domain::{Generation, Timestamp};
use http::{HeaderMap, HeaderValue, header};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::Token;

/// A valid token (S5.2).
#[derive(Serialize, JsonSchema)]
pub(crate) struct TokenView {
    /// The credential itself.
    access_token: String,
    /// How it is presented: `bearer`.
    token_type: &'static str,
    /// When it ends; null if it does not, or nobody knows.
    expires_at: Option<Timestamp>,
    /// Whole seconds until then, rounded down; null as above.
    ttl: Option<u64>,
    /// How often the channel's credentials were stored; what a report names.
    generation: Generation,
    /// A refresh was due, and did not succeed; left out otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    degraded: bool,
}

impl From<&Token> for TokenView {
    fn from(token: &Token) -> Self {
        Self {
            access_token: token.secret.expose_secret().to_owned(),
            token_type: "bearer",
            expires_at: token.held.channel.access_expires_at,
            ttl: token.ttl.map(|ttl| ttl.as_secs()),
            generation: token.held.channel.generation,
            degraded: token.degraded,
        }
    }
}

/// A weak entity tag (RFC 9110 section 8.8.3): the same as long as the token is, and as
/// good. The time that is left is not part of it.
pub(crate) fn etag(token: &Token) -> HeaderValue {
    let bytes = token.held.sealed.fingerprint;
    let fingerprint = u64::from_be_bytes(bytes[..8].try_into().expect("eight of sixteen bytes"));
    let generation = token.held.channel.generation;
    let mark = if token.degraded { "-degraded" } else { "" };
    HeaderValue::from_str(&format!("W/\"{generation}-{fingerprint:016x}{mark}\""))
        .expect("hex digits can stand in a header")
}

/// Whether the client has what this tag stands for: `If-None-Match`, compared weakly
/// (RFC 9110 section 13.1.2).
pub(crate) fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let ours = weak(etag.to_str().unwrap_or_default());
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || weak(tag) == ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly_one_by_one() {
        let ours = HeaderValue::from_static("W/\"3-00ff\"");
        let known = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            is_known(&headers, &ours)
        };

        assert!(known("W/\"3-00ff\""));
        assert!(known("\"3-00ff\""));
        assert!(known("\"1\", W/\"3-00ff\""));
        assert!(known("*"));
        assert!(!known("\"3-00fe\""));
        assert!(!is_known(&HeaderMap::new(), &ours));
    }
}
