//! What a provider answers, before it becomes HTTP.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use crate::Outcome;

/// One answer of a provider.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Cow<'static, str>,
    /// The provider's own code for the ledger, such as `190/463`; `None` if all went well.
    pub(crate) code: Option<&'static str>,
    /// Whether the grant has new credentials by it.
    pub(crate) refreshed: bool,
    /// Whether a spent token was presented.
    pub(crate) reuse: bool,
}

impl Answer {
    /// 200 with JSON.
    pub(crate) fn ok(json: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: 200,
            content_type: "application/json",
            headers: Vec::new(),
            body: json.into(),
            code: None,
            refreshed: false,
            reuse: false,
        }
    }

    /// An error with JSON, and what the ledger calls it.
    pub(crate) fn error(status: u16, code: &'static str, json: &Value) -> Self {
        Self {
            status,
            code: Some(code),
            ..Self::ok(json.to_string())
        }
    }

    /// Any status with a page of HTML, as proxies in front of a provider make it.
    pub(crate) fn html(status: u16, title: &str) -> Self {
        Self {
            status,
            content_type: "text/html; charset=utf-8",
            code: Some("html"),
            ..Self::ok(format!(
                "<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
            ))
        }
    }

    /// The same with one more header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same, noted as bringing new credentials.
    pub(crate) const fn refreshed(mut self) -> Self {
        self.refreshed = true;
        self
    }

    /// The same, noted as an answer to a spent token.
    pub(crate) const fn reuse(mut self) -> Self {
        self.reuse = true;
        self
    }

    /// What the ledger calls an answer like this.
    pub(crate) const fn outcome(&self) -> Outcome {
        match (self.status, self.code) {
            (200..=299, None) => Outcome::Ok,
            (429, _) => Outcome::Throttled,
            (500..=599, _) => Outcome::Failed,
            _ => Outcome::Refused,
        }
    }

    /// As HTTP, with `body` in place of its own.
    pub(crate) fn into_response(self, body: Option<Body>) -> Response<Body> {
        let text = self.body;
        let mut response = Response::new(body.unwrap_or_else(|| match text {
            Cow::Borrowed(text) => Body::from(text),
            Cow::Owned(text) => Body::from(text),
        }));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.content_type),
        );
        for (name, value) in self.headers {
            // A value that is no header, such as one with a line break, is left out.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        response
    }
}
