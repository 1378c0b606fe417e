//! How connections to a server are made.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::ClientError;

const CONNECT: Duration = Duration::from_secs(10);

/// A client that trusts Mozilla's authorities and those of the machine, and follows no redirect:
/// a bearer token is for one server. `timeout` bounds a whole request.
///
/// # Errors
///
/// [`ClientError::Setup`] if TLS cannot be set up.
pub fn http_client(timeout: Duration) -> Result<reqwest::Client, ClientError> {
    let mut roots = webpki_roots::TLS_SERVER_ROOTS
        .iter()
        .cloned()
        .collect::<RootCertStore>();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Setup(Arc::new(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT)
        .timeout(timeout)
        .redirect(Policy::none())
        .user_agent(concat!("tokenfleet/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ClientError::Setup(Arc::new(error)))
}
