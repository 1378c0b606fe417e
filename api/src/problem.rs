//! The one form in which the API says that something is wrong: RFC 9457.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use cache::CacheError;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use queue::QueueError;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use store::StoreError;

/// What is wrong with one field of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct FieldError {
    /// The field's path, such as `credentials.expires_in`; a query parameter by its name.
    pub(crate) field: String,
    /// What is allowed; never the value that was sent.
    pub(crate) message: String,
}

impl FieldError {
    /// One field and what is allowed there.
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// An error as its caller sees it. Causes stay here: they are logged, not sent.
#[derive(Debug)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    members: Map<String, Value>,
}

/// The members of the document, in the order in which they are written.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

impl Problem {
    /// A problem with a stable code; `title` is the same for every problem of that code.
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Parts {
            status,
            code,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
            members: Map::new(),
        }))
    }

    /// 400: the request cannot be read at all.
    pub(crate) fn malformed(code: &'static str, detail: impl Into<String>) -> Self {
        let title = "The request cannot be read";
        Self::new(StatusCode::BAD_REQUEST, code, title, detail)
    }

    /// 401: no valid bearer token.
    pub(crate) fn unauthorized(detail: &'static str) -> Self {
        let title = "A valid bearer token is needed";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", title, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 401 of a log-in: nobody has this address and this password. Which of the two is
    /// wrong is not told.
    pub(crate) fn wrong_credentials() -> Self {
        let title = "This log-in is not valid";
        let detail = "There is no such user, or the password is another.";
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_credentials",
            title,
            detail,
        )
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 401 of a refresh: this session goes on with no token but a new log-in's.
    pub(crate) fn log_in_again(detail: &'static str) -> Self {
        let title = "Log in again";
        Self::new(StatusCode::UNAUTHORIZED, "log_in_again", title, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: known, but not allowed to do this in a tenant of its own.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        let title = "This needs more rights";
        Self::new(StatusCode::FORBIDDEN, "forbidden", title, detail)
    }

    /// 404: it does not exist, or it is another tenant's; the two look alike.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is no such thing",
            format!("There is no such {what}."),
        )
    }

    /// 405; the router adds `Allow`.
    pub(crate) fn method_not_allowed(method: &Method) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This method is not allowed here",
            format!("{method} is not allowed here; the Allow header lists what is."),
        )
    }

    /// 409 with a code of its own.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        let title = "The present state does not allow it";
        Self::new(StatusCode::CONFLICT, code, title, detail)
    }

    /// The status that its caller sees.
    pub(crate) const fn status(&self) -> StatusCode {
        self.0.status
    }

    /// 409: the id is taken.
    pub(crate) fn already_exists(what: &str, id: &str) -> Self {
        let mut problem = Self::conflict(
            "already_exists",
            format!("There is a {what} with the id {id} already."),
        );
        problem.0.errors = vec![FieldError::new("id", "is taken")];
        problem
    }

    /// 409: somebody has this value of a field that must be unique.
    pub(crate) fn taken(field: &str, detail: &str) -> Self {
        let mut problem = Self::conflict("already_exists", detail);
        problem.0.errors = vec![FieldError::new(field, "is taken")];
        problem
    }

    /// 413: the body is larger than allowed.
    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "The body is too large",
            format!("A body may have up to {limit} bytes."),
        )
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// 415: the body is not declared as JSON.
    pub(crate) fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The body must be JSON",
            "Send the body as JSON, with the header Content-Type: application/json.",
        )
    }

    /// 422: the request can be read, but these fields are not what they must be.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let mut detail = String::new();
        for error in &errors {
            let gap = if detail.is_empty() { "" } else { "; " };
            write!(detail, "{gap}{} {}", error.field, error.message)
                .expect("writing to a string cannot fail");
        }
        let title = "The input is not valid";
        let mut problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_input",
            title,
            detail,
        );
        problem.0.errors = errors;
        problem
    }

    /// [`Problem::invalid`] with a single field.
    pub(crate) fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(field, message)])
    }

    /// 429: so many calls a minute are spent; one is allowed again after `pause` seconds.
    pub(crate) fn too_many_requests(per_minute: u32, pause: u64) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "Too many requests",
            format!("{per_minute} a minute are allowed here; the next one in {pause} s."),
        )
        .with_header(header::RETRY_AFTER, HeaderValue::from(pause.max(1)))
    }

    /// 500: a fault of ours. The cause is logged here, once, and not sent.
    pub(crate) fn internal(cause: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %domain::chain(cause), "a request failed");
        Self::internal_error()
    }

    /// 500 for a fault that is logged elsewhere.
    pub(crate) fn internal_error() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Internal error",
            "Something failed here that is not your fault; the cause is in the server's log.",
        )
    }

    /// 503: something that the request needs is away for the moment. The cause is logged here.
    pub(crate) fn unavailable(what: &str, cause: &(dyn Error + 'static)) -> Self {
        tracing::warn!(error = %domain::chain(cause), part = what, "a request met a part that is away");
        Self::retry_later(
            "unavailable",
            format!("The {what} does not answer at the moment."),
            Duration::from_secs(2),
        )
    }

    /// 503 with a `Retry-After` of `pause`, whole seconds.
    pub(crate) fn retry_later(
        code: &'static str,
        detail: impl Into<String>,
        pause: Duration,
    ) -> Self {
        let title = "This cannot be answered at the moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail).with_header(
            header::RETRY_AFTER,
            HeaderValue::from(pause.as_secs().max(1)),
        )
    }

    /// Its stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    /// The same in other words.
    pub(crate) fn saying(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// The same with one more header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The same with one more member of the document (RFC 9457 section 3.2).
    pub(crate) fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_away() {
            Self::unavailable("database", &error)
        } else {
            Self::internal(&error)
        }
    }
}

impl From<CacheError> for Problem {
    fn from(error: CacheError) -> Self {
        if error.is_away() {
            Self::unavailable("Redis", &error)
        } else {
            Self::internal(&error)
        }
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Cursor => {
                Self::invalid_field("cursor", "must be the next_cursor of a page of this list")
            }
            error if error.is_transient() => Self::unavailable("queue", &error),
            error => Self::internal(&error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let parts = *self.0;
        let document = Document {
            r#type: format!("urn:tokenfleet:problem:{}", parts.code),
            title: parts.title,
            status: parts.status.as_u16(),
            detail: &parts.detail,
            code: parts.code,
            errors: &parts.errors,
            members: &parts.members,
        };
        let body = serde_json::to_vec(&document).expect("a document of texts is JSON");
        let json = HeaderValue::from_static("application/problem+json");
        let mut response = (parts.status, [(header::CONTENT_TYPE, json)], body).into_response();
        response.headers_mut().extend(parts.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_of_input_names_every_field_in_its_detail() {
        let problem = Problem::invalid(vec![
            FieldError::new("id", "is too long"),
            FieldError::new("provider", "is missing"),
        ]);

        assert_eq!(problem.0.detail, "id is too long; provider is missing");
        assert_eq!(problem.into_response().status(), 422);
    }

    #[tokio::test]
    async fn a_fault_of_ours_does_not_tell_its_cause() {
        let cause = StoreError::Unreadable {
            table: "channels",
            why: "planted".to_owned(),
        };

        let response = Problem::from(cause).into_response();

        assert_eq!(response.status(), 500);
        let body = axum::body::to_bytes(response.into_body(), 4096).await;
        let body = String::from_utf8(body.unwrap().to_vec()).unwrap();
        assert!(
            !body.contains("planted") && !body.contains("channels"),
            "{body}"
        );
    }

    #[test]
    fn an_unauthorized_answer_names_the_scheme() {
        let response = Problem::unauthorized("none").into_response();

        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}
