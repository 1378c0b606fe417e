//! The HTTP client of the commands.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::redirect::Policy;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

const CONNECT: Duration = Duration::from_secs(10);

/// A client that trusts Mozilla's authorities and those of the machine, and follows no redirect:
/// a bearer token is for one server.
///
/// # Errors
///
/// If TLS cannot be set up.
pub(crate) fn http_client(timeout: Duration) -> anyhow::Result<reqwest::Client> {
    let mut roots = webpki_roots::TLS_SERVER_ROOTS
        .iter()
        .cloned()
        .collect::<RootCertStore>();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT)
        .timeout(timeout)
        .redirect(Policy::none())
        .user_agent(concat!("tokenfleet/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot set up an HTTP client")
}
