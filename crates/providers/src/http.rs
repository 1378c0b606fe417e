//! The one HTTP client: bounded in time and size, following nobody, telling nothing.

use std::error::Error as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, ClientBuilder, Request, Response, retry};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::timeout;
use url::{Host, Url, form_urlencoded};

use crate::egress::Guarded;
use crate::silence::TimeOver;
use crate::{BoxError, EgressRefusal, SettingsError};

/// Answers of token endpoints are a few hundred bytes; a list of pages some kilobytes.
const BODY_CAP: usize = 64 * 1024;

/// Shorter than what servers keep: an answer is lost when they close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long an answer is looked for whose time is over. A process that stood still finds both: its
/// time over, and the answer waiting to be read, which may hold the only living token.
const LAST_LOOK: Duration = Duration::from_millis(250);

const USER_AGENT: &str = concat!("tokenfleet/", env!("CARGO_PKG_VERSION"));

/// The client that all providers share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    timeout: Duration,
}

/// How long a client waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For the whole of a request; more than zero.
    pub(crate) timeout: Duration,
    /// For connecting, TLS included; more than zero, cut to `timeout`.
    pub(crate) connect_timeout: Duration,
}

/// What came back. It has no `Debug`: its body holds tokens.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body, at most 64 KiB of it.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// No answer.
pub(crate) enum HttpError {
    /// No connection was made, so nothing left us.
    NotSent(BoxError),
    /// The address must not be called, so nothing left us.
    Refused(EgressRefusal),
    /// It may have been received.
    NoAnswer(BoxError),
}

/// A success with more than the 64 KiB that are read of it.
#[derive(Debug, thiserror::Error)]
#[error("the answer exceeds 64 KiB")]
pub(crate) struct TooLarge;

impl Http {
    /// A client for addresses that the operator chose.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if a limit is zero, or no TLS configuration can be made.
    pub(crate) fn new(limits: Limits) -> Result<Self, SettingsError> {
        Self::built(limits.builder()?, limits)
    }

    /// A client that connects only to what `guarded` lets through.
    ///
    /// # Errors
    ///
    /// As [`Http::new`].
    pub(crate) fn guarded(limits: Limits, guarded: Guarded) -> Result<Self, SettingsError> {
        let builder = limits.builder()?.dns_resolver(Arc::new(guarded));
        Self::built(builder, limits)
    }

    fn built(builder: ClientBuilder, limits: Limits) -> Result<Self, SettingsError> {
        let client = builder
            .build()
            .map_err(|error| SettingsError::Client(error.into()))?;
        Ok(Self {
            client,
            timeout: limits.timeout,
        })
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        self.in_time(async {
            let mut response = self.client.execute(request).await.map_err(HttpError::of)?;
            let body = read(&mut response).await?;
            Ok(Answer {
                status: response.status().as_u16(),
                headers: std::mem::take(response.headers_mut()),
                body,
            })
        })
        .await
    }

    /// Sends it and reads the head of the answer; its body, however long, is left.
    pub(crate) async fn status(&self, request: Request) -> Result<(u16, HeaderMap), HttpError> {
        self.in_time(async {
            let mut response = self.client.execute(request).await.map_err(HttpError::of)?;
            let headers = std::mem::take(response.headers_mut());
            Ok((response.status().as_u16(), headers))
        })
        .await
    }

    /// What comes within the time-out, or is found there when it is over.
    ///
    /// The client's own time-out would not look once more.
    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, HttpError>>,
    ) -> Result<T, HttpError> {
        let mut answer = pin!(answer);
        let in_time = timeout(self.timeout, &mut answer).await;
        let found = match in_time {
            Ok(answer) => Ok(answer),
            Err(_) => timeout(LAST_LOOK, answer).await,
        };
        found.unwrap_or_else(|_| Err(HttpError::NoAnswer(TimeOver.into())))
    }
}

impl Limits {
    fn builder(self) -> Result<ClientBuilder, SettingsError> {
        let Self {
            timeout,
            connect_timeout,
        } = self;
        positive("TOKENFLEET_WORKER__PROVIDER_TIMEOUT", timeout)?;
        positive("TOKENFLEET_PROVIDERS__CONNECT_TIMEOUT", connect_timeout)?;
        Ok(Client::builder()
            .tls_backend_preconfigured(tls()?)
            .http1_only()
            .connect_timeout(connect_timeout.min(timeout))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .user_agent(USER_AGENT))
    }
}

impl Answer {
    /// Whether the status says success.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as a JSON object; `None` if it is anything else.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body)
            .ok()
            .filter(Value::is_object)
    }
}

impl HttpError {
    /// Sorts an error of the client. Its URL is removed, for it may hold secrets.
    fn of(error: reqwest::Error) -> Self {
        if let Some(refusal) = refusal(&error) {
            return Self::Refused(refusal);
        }
        let unsent = error.is_connect() || error.is_builder();
        let source = error.without_url().into();
        if unsent {
            Self::NotSent(source)
        } else {
            Self::NoAnswer(source)
        }
    }
}

/// What the guarded resolver said, if it is why the connection failed.
fn refusal(error: &reqwest::Error) -> Option<EgressRefusal> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref() {
            return Some(*refusal);
        }
        cause = error.source();
    }
    None
}

/// The header that presents a token; `None` if the token cannot stand in one.
pub(crate) fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Gives a request a form as its body.
pub(crate) fn form(request: &mut Request, fields: &[(&str, &str)]) {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(CONTENT_TYPE, form);
    *request.body_mut() = Some(Body::from(body));
}

/// The address of `setting` without its final slash.
///
/// # Errors
///
/// [`SettingsError::BaseUrl`] if secrets must not be sent there.
pub(crate) fn base_url(setting: &'static str, given: &str) -> Result<String, SettingsError> {
    let url = endpoint(given).ok_or(SettingsError::BaseUrl { setting })?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// An address that secrets may be sent to: https, or http on this machine.
pub(crate) fn endpoint(given: &str) -> Option<Url> {
    let url = Url::parse(given).ok()?;
    let secure = match url.scheme() {
        "https" => url.has_host(),
        "http" => url.host().as_ref().is_some_and(is_loopback),
        _ => false,
    };
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    (secure && plain).then_some(url)
}

/// # Errors
///
/// [`SettingsError::Range`] if `duration` is zero.
pub(crate) fn positive(setting: &'static str, duration: Duration) -> Result<(), SettingsError> {
    if duration.is_zero() {
        return Err(SettingsError::Range {
            setting,
            allowed: "more than zero",
        });
    }
    Ok(())
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// The authorities of Mozilla's list and those of the machine, so that it works
/// in an empty container and behind a company's own authority.
fn tls() -> Result<ClientConfig, SettingsError> {
    let mozilla = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
    let mut roots: RootCertStore = mozilla.collect();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::Client(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// Reads the body up to the cap. More than that is no answer if it reports
/// success, for tokens may be in what is cut; else what was read says enough.
async fn read(response: &mut Response) -> Result<Zeroizing<Vec<u8>>, HttpError> {
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(HttpError::of)? {
        let room = BODY_CAP - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            if response.status().is_success() {
                return Err(HttpError::NoAnswer(TooLarge.into()));
            }
            break;
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_to_https_or_to_this_machine_only() {
        let accepted = |given| base_url("META_BASE_URL", given).ok();

        assert_eq!(
            accepted("https://graph.facebook.com/").as_deref(),
            Some("https://graph.facebook.com")
        );
        assert_eq!(
            accepted("http://127.0.0.1:8080/facebook").as_deref(),
            Some("http://127.0.0.1:8080/facebook")
        );
        assert!(accepted("http://[::1]:1").is_some());
        assert!(accepted("http://localhost:1").is_some());
        for refused in [
            "http://graph.facebook.com",
            "http://localhost.evil.example",
            "ftp://127.0.0.1",
            "https://user:pass@graph.facebook.com",
            "https://graph.facebook.com?x=1",
            "https://graph.facebook.com#x",
            "graph.facebook.com",
            "",
        ] {
            assert_eq!(accepted(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_limit_of_zero_is_refused_by_its_name() {
        let limits = Limits {
            timeout: Duration::ZERO,
            connect_timeout: Duration::from_secs(1),
        };

        let error = Http::new(limits).expect_err("zero is refused");

        assert_eq!(
            error.to_string(),
            "TOKENFLEET_WORKER__PROVIDER_TIMEOUT must be more than zero"
        );
    }
}
