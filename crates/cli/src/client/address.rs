//! Which server, and with which token.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, bail};
use config::{Loaded, Override};
use reqwest::Url;
use url::Host;

use super::bearer::Bearer;
use super::logins::Logins;
use crate::args::Global;
use crate::data_dir;

/// The settings, with the server of the flags.
///
/// # Errors
///
/// One message about the setting that is wrong.
pub(crate) fn load(global: &Global, server: Option<&str>) -> anyhow::Result<Loaded> {
    let set = server.map(|url| Override::new("client.server", "--server", url));
    global.load(set.into_iter().collect())
}

/// The server's address.
///
/// # Errors
///
/// If it is none.
pub(crate) fn base(loaded: &Loaded) -> anyhow::Result<Url> {
    let settings = &loaded.settings;
    let base = settings
        .client
        .server
        .as_ref()
        .or(settings.api.public_url.as_ref())
        .cloned()
        .unwrap_or_else(|| url_of(settings.api.bind));
    Url::parse(&base).with_context(|| format!("{base} is no address"))
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

/// What is shown to the server: what is named, what is set, what was saved for it, and for the
/// server of this machine what its data directory has. No other server is told that.
///
/// # Errors
///
/// If there is nothing.
pub(super) fn bearer(loaded: &Loaded, file: Option<&Path>, base: &Url) -> anyhow::Result<Bearer> {
    if let Some(file) = file {
        let token = data_dir::read(file)?;
        let token = token.with_context(|| format!("there is no {}", file.display()))?;
        return Ok(Bearer::Fixed(token));
    }
    if let Some(token) = &loaded.settings.api.admin_token {
        return Ok(Bearer::Fixed(token.clone()));
    }
    if let Some(logins) = Logins::of_user()
        && let Some(login) = logins.at(base)?
    {
        return Ok(Bearer::Saved { logins, login });
    }
    let own = data_dir::admin_token_file(&loaded.settings.data_dir);
    if is_local(base)
        && let Some(token) = data_dir::read(&own)?
    {
        return Ok(Bearer::Fixed(token));
    }
    bail!(
        "there is no bearer token for it: log in (tokenfleet login --server {base} --email …), give \
         --token-file FILE, set TOKENFLEET_ADMIN_TOKEN, or, for the `up` of this machine, --data-dir \
         with its data directory (looked for {})",
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
