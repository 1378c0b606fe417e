//! One request to a provider, read once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, header};
use url::form_urlencoded;

/// More than any request of the contracts needs.
const BODY_LIMIT: usize = 64 * 1024;

/// One request to a provider.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Below the provider's own prefix, with its leading slash.
    pub(crate) path: String,
    pub(crate) query: Fields,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body's fields if it is form encoded, else none.
    pub(crate) form: Fields,
}

/// Decoded names and values in the order in which they came.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded` text.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text);
        Self(
            pairs
                .map(|(name, value)| (Cow::into_owned(name), Cow::into_owned(value)))
                .collect(),
        )
    }

    /// Reads a flat object of JSON whose values are all text; `None` if it is anything else.
    pub(crate) fn of_json(text: &[u8]) -> Option<Self> {
        let object: BTreeMap<String, String> = serde_json::from_slice(text).ok()?;
        Some(Self(object.into_iter().collect()))
    }

    /// The first value with this name, `None` also if it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The first name that is not among `allowed`, or that stands there twice.
    pub(crate) fn unexpected(&self, allowed: &[&str]) -> Option<&str> {
        let mut seen = Vec::with_capacity(self.0.len());
        self.0.iter().map(|(name, _)| name.as_str()).find(|name| {
            let twice = seen.contains(name);
            seen.push(*name);
            twice || !allowed.contains(name)
        })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Call {
    /// Reads a request whose path begins with `prefix` bytes of the provider's own.
    ///
    /// `None` if its body is longer than 64 KiB or its sender left.
    pub(crate) async fn read(request: Request<Body>, prefix: usize) -> Option<Self> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, BODY_LIMIT).await.ok()?;
        let mut call = Self {
            method: parts.method,
            path: parts.uri.path()[prefix..].to_owned(),
            query: Fields::parse(parts.uri.query().unwrap_or_default().as_bytes()),
            headers: parts.headers,
            body,
            form: Fields(Vec::new()),
        };
        if call.is("application/x-www-form-urlencoded") {
            call.form = Fields::parse(&call.body);
        }
        Some(call)
    }

    /// Whether the body is of this media type, whatever its parameters.
    pub(crate) fn is(&self, media_type: &str) -> bool {
        self.header(header::CONTENT_TYPE).is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case(media_type)
        })
    }

    /// A header as text, `None` if it is absent or no text.
    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token of `Authorization: Bearer …`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header(header::AUTHORIZATION)?.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
    }
}
