//! Posting to an address that a tenant supplied: for webhooks, whose answer is a status.

use std::time::Duration;

use ::url::Url;
use domain::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request};

use super::{Egress, EgressRefusal, url};
use crate::BoxError;
use crate::delay::retry_after;
use crate::http::HttpError;

/// What is posted, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// Whose address it is: one call at a time per owner and origin.
    pub owner: &'a str,
    /// The address as it was given.
    pub url: &'a str,
    /// Headers beside `content-type: application/json`.
    pub headers: &'a [(&'static str, String)],
    /// JSON.
    pub body: &'a str,
}

/// What came back; the body is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The HTTP status; a redirect is not followed.
    pub status: u16,
    /// How long the receiver wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// Nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The address must not be called; nothing was sent.
    #[error("its address {0}")]
    Refused(EgressRefusal),
    /// An earlier call of the same owner takes too long; nothing was sent.
    #[error("an earlier call takes too long")]
    Busy,
    /// A header that cannot be sent; nothing was sent.
    #[error("a header cannot be sent")]
    Header,
    /// No connection; nothing was sent.
    #[error("it could not be reached")]
    NotReached(#[source] BoxError),
    /// It may have been received.
    #[error("it did not answer, or not in HTTP")]
    NoAnswer(#[source] BoxError),
}

impl PostError {
    /// The error in one word, for lists.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::Busy => "busy",
            Self::Header => "unsendable_header",
            Self::NotReached(_) => "not_reached",
            Self::NoAnswer(_) => "no_answer",
        }
    }
}

/// Checks an address that is called as it is, so that it may have a query; nobody is asked.
///
/// # Errors
///
/// [`EgressRefusal`] for what can be seen without resolving its name.
pub fn check_target(given: &str, allow_private: bool) -> Result<Url, EgressRefusal> {
    url::check_target(given, allow_private)
}

impl Egress {
    /// Posts once. `now` is what a `Retry-After` with a date is measured against.
    ///
    /// # Errors
    ///
    /// [`PostError`] if there is no status to tell.
    pub async fn post(&self, post: Post<'_>, now: Timestamp) -> Result<Posted, PostError> {
        let url = check_target(post.url, self.allow_private).map_err(PostError::Refused)?;
        let Some(_turn) = self.turn(post.owner, &url).await else {
            return Err(PostError::Busy);
        };
        let request = request(url, &post).ok_or(PostError::Header)?;
        let (status, headers) = self.http.status(request).await.map_err(PostError::of)?;
        Ok(Posted {
            status,
            retry_after: retry_after(&headers, now),
        })
    }
}

impl PostError {
    fn of(error: HttpError) -> Self {
        match error {
            HttpError::NotSent(source) => Self::NotReached(source),
            HttpError::Refused(refusal) => Self::Refused(refusal),
            HttpError::NoAnswer(source) => Self::NoAnswer(source),
        }
    }
}

fn request(url: Url, post: &Post<'_>) -> Option<Request> {
    let mut request = Request::new(Method::POST, url);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
    for (name, value) in post.headers {
        let value = HeaderValue::try_from(value).ok()?;
        request
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    *request.body_mut() = Some(post.body.to_owned().into());
    Some(request)
}
