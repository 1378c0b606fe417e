//! Which server, and with which token.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, bail};
use config::{Loaded, Override};
use reqwest::Url;
use secrecy::SecretString;
use url::Host;

use crate::args::Global;
use crate::data_dir;

/// A server's address and the bearer token for it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) base: Url,
    pub(super) token: SecretString,
}

/// The target of the flags and settings.
pub(super) fn target(
    global: &Global,
    server: Option<&str>,
    token_file: Option<&Path>,
) -> anyhow::Result<Target> {
    let set = server.map(|url| Override::new("client.server", "--server", url));
    let loaded = global.load(set.into_iter().collect())?;
    let settings = &loaded.settings;
    let base = settings
        .client
        .server
        .as_ref()
        .or(settings.api.public_url.as_ref())
        .cloned()
        .unwrap_or_else(|| url_of(settings.api.bind));
    let base = Url::parse(&base).with_context(|| format!("{base} is no address"))?;
    let token = token(&loaded, token_file, is_local(&base))?;
    Ok(Target { base, token })
}

/// Where a server that listens at `address` can be reached from this machine.
pub(crate) fn url_of(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// The data directory's token opens the server of this machine; no other is told it.
fn token(loaded: &Loaded, file: Option<&Path>, local: bool) -> anyhow::Result<SecretString> {
    if let Some(file) = file {
        return data_dir::read(file)?.with_context(|| format!("there is no {}", file.display()));
    }
    if let Some(token) = &loaded.settings.api.admin_token {
        return Ok(token.clone());
    }
    let own = data_dir::admin_token_file(&loaded.settings.data_dir);
    if local && let Some(token) = data_dir::read(&own)? {
        return Ok(token);
    }
    bail!(
        "there is no bearer token for it: give --token-file FILE, set TOKENFLEET_ADMIN_TOKEN, or, \
         for the `up` of this machine, --data-dir with its data directory (looked for {})",
        own.display()
    )
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_reached_over_loopback() {
        let reached = |text: &str| url_of(text.parse().expect("an address"));

        assert_eq!(reached("0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(reached("[::]:80"), "http://127.0.0.1:80");
        assert_eq!(reached("[::1]:80"), "http://[::1]:80");
    }
}
