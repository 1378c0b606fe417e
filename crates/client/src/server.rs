//! A server, and what it answers to those who have no token yet.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Request, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use crate::{Bearer, Call, Client, ClientError, Problem, http_client};

/// Longer than the longest `wait` of a request, 60 s.
const TIMEOUT: Duration = Duration::from_secs(80);
/// A renewal that takes longer is given up; nobody waits for more than that.
const RENEWAL: Duration = Duration::from_secs(15);

/// The address of a server, and connections to it. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Server {
    http: reqwest::Client,
    base: Url,
}

/// A success, read to its end.
pub(crate) struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// What a log-in or a refresh brings.
#[derive(Clone, Debug, Deserialize)]
pub struct LoginPair {
    /// Goes with every call.
    pub access_token: SecretString,
    /// Brings the next pair, once.
    pub refresh_token: SecretString,
    /// Seconds that the access token lives.
    pub expires_in: u64,
}

/// An access token made from a service token.
#[derive(Clone, Debug, Deserialize)]
pub struct ServiceAccess {
    /// Goes with every call.
    pub access_token: SecretString,
    /// Seconds that it lives.
    #[serde(default = "fifteen_minutes")]
    pub expires_in: u64,
}

const fn fifteen_minutes() -> u64 {
    900
}

impl Server {
    /// The server at an address such as `https://tokens.example.com`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Address`] if it is none; [`ClientError::Setup`] if TLS cannot be set up.
    pub fn new(address: &str) -> Result<Self, ClientError> {
        let base = Url::parse(address).ok();
        let base = base.filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| ClientError::Address {
            address: address.to_owned(),
        })?;
        Ok(Self {
            http: http_client(TIMEOUT)?,
            base,
        })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A client with the tokens of this bearer.
    #[must_use]
    pub fn client(&self, bearer: impl Bearer + 'static) -> Client {
        Client::new(self.clone(), Arc::new(bearer))
    }

    /// Logs a person in (S1.2, S3.1). [`crate::Session::log_in`] does it for good.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`]: 401 if address and password do not belong together, 429 after
    /// too many tries.
    pub async fn log_in(
        &self,
        email: &str,
        password: &SecretString,
    ) -> Result<LoginPair, ClientError> {
        let body = json!({ "correo": email, "password": password.expose_secret() });
        let call = Call::outside(Method::POST, &["api", "auth", "login"]).body(body);
        self.decode(&self.answer(&call, None).await?)
    }

    /// Spends a refresh token for a new pair (S3.2, S4.1), within `timeout`.
    pub(crate) async fn refresh(
        &self,
        refresh_token: &SecretString,
        timeout: Duration,
    ) -> Result<LoginPair, ClientError> {
        let body = json!({ "refresh_token": refresh_token.expose_secret() });
        let call = Call::outside(Method::POST, &["api", "auth", "refresh"]).body(body);
        let mut request = self.request(&call, None)?;
        *request.timeout_mut() = Some(timeout);
        self.decode(&self.send(request).await?)
    }

    /// Ends the log-in that a refresh token belongs to (S4.2).
    pub(crate) async fn log_out(&self, refresh_token: &SecretString) -> Result<(), ClientError> {
        let body = json!({ "refresh_token": refresh_token.expose_secret() });
        let call = Call::outside(Method::POST, &["api", "auth", "logout"]).body(body);
        self.call(&call, None).await.map(drop)
    }

    /// Makes an access token from a service token (S3.4). [`crate::TokenSource`] does it as
    /// often as needed.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with 401 if the service token is unknown, expired or revoked.
    pub async fn service_access(
        &self,
        service_token: &SecretString,
    ) -> Result<ServiceAccess, ClientError> {
        let path = ["api", "auth", "service-token", "refresh"];
        let call = Call::outside(Method::POST, &path);
        let mut request = self.request(&call, Some(service_token))?;
        *request.timeout_mut() = Some(RENEWAL);
        self.decode(&self.send(request).await?)
    }

    /// Makes a call, with or without a token, and reads its JSON; `null` if there is none.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with what the server says, or [`ClientError::Unreachable`].
    pub async fn call(
        &self,
        call: &Call,
        token: Option<&SecretString>,
    ) -> Result<Value, ClientError> {
        self.value(&self.answer(call, token).await?)
    }

    /// Makes a call that succeeds.
    pub(crate) async fn answer(
        &self,
        call: &Call,
        token: Option<&SecretString>,
    ) -> Result<Answer, ClientError> {
        self.send(self.request(call, token)?).await
    }

    /// The head of a success, whose body is to be read within `timeout`, if it is given.
    pub(crate) async fn open(
        &self,
        call: &Call,
        token: Option<&SecretString>,
        timeout: Option<Duration>,
    ) -> Result<Response, ClientError> {
        let mut request = self.request(call, token)?;
        if timeout.is_some() {
            *request.timeout_mut() = timeout;
        }
        self.exchange(request).await
    }

    /// An answer as JSON; `null` if it is empty.
    pub(crate) fn value(&self, answer: &Answer) -> Result<Value, ClientError> {
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        self.decode(answer)
    }

    /// An answer read as `T`.
    pub(crate) fn decode<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, ClientError> {
        let read = serde_json::from_slice(&answer.body);
        // The parser's own message may quote what it read.
        read.map_err(|_| ClientError::Unreadable {
            server: self.address().to_owned(),
            status: answer.status,
        })
    }

    /// What the error of an ended log-in is here.
    pub(crate) fn log_in_again(&self) -> ClientError {
        ClientError::LogInAgain {
            server: self.address().to_owned(),
        }
    }

    fn request(&self, call: &Call, token: Option<&SecretString>) -> Result<Request, ClientError> {
        let address = || ClientError::Address {
            address: self.address().to_owned(),
        };
        // Parsers take `..` for the way up, encoded or not.
        let is_no_id = |part: &&String| matches!(part.as_str(), "" | "." | "..");
        if let Some(id) = call.path.iter().find(is_no_id) {
            return Err(ClientError::Id { id: id.clone() });
        }
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| address())?
            .pop_if_empty()
            .extend(&call.path);
        for (name, value) in &call.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut request = self.http.request(call.method.clone(), url);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let mut request = request.build().map_err(|_| address())?;
        if let Some(token) = token {
            // A token with a line break in it is nobody's; the server says so.
            let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
            let mut value = value.unwrap_or(HeaderValue::from_static("Bearer"));
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    async fn send(&self, request: Request) -> Result<Answer, ClientError> {
        self.read(self.exchange(request).await?).await
    }

    /// Reads an answer to its end.
    pub(crate) async fn read(&self, response: Response) -> Result<Answer, ClientError> {
        let status = response.status().as_u16();
        let body = response.bytes().await;
        let body = body.map_err(|error| self.unreachable(error))?.into();
        Ok(Answer { status, body })
    }

    /// The head of a success; what refuses is read to its end.
    async fn exchange(&self, request: Request) -> Result<Response, ClientError> {
        let response = self.http.execute(request).await;
        let response = response.map_err(|error| self.unreachable(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let retry_after = retry_after(response.headers());
        let answer = self.read(response).await?;
        let said: Problem = serde_json::from_slice(&answer.body).unwrap_or_default();
        Err(ClientError::Refused(Box::new(Problem {
            status: answer.status,
            retry_after,
            ..said
        })))
    }

    /// What a connection that failed is here.
    pub(crate) fn unreachable(&self, error: reqwest::Error) -> ClientError {
        ClientError::Unreachable {
            server: self.address().to_owned(),
            // The address may have a refresh token in its query.
            source: Arc::new(error.without_url()),
        }
    }
}

/// The form in seconds (RFC 9110 section 10.2.3); the API sends no other.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.parse().ok().map(Duration::from_secs)
}
