//! One request, as a value: it can be sent twice.

use reqwest::Method;
use serde_json::Value;

/// A method, an address under the server's, and what goes with it.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
}

impl Call {
    /// A call of `/api/v1/…`. Each part of the path is encoded, so that no id can be another
    /// address.
    #[must_use]
    pub fn new(method: Method, path: &[&str]) -> Self {
        Self::outside(method, &[&["api", "v1"], path].concat())
    }

    /// A call of an address that is not under `/api/v1`, such as `["auth", "register"]`.
    #[must_use]
    pub fn outside(method: Method, path: &[&str]) -> Self {
        Self {
            method,
            path: path.iter().map(|&part| part.to_owned()).collect(),
            query: Vec::new(),
            body: None,
        }
    }

    /// The same with a query parameter; `None` leaves it out.
    #[must_use]
    pub fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.query.push((name.to_owned(), value.to_string()));
        }
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}
