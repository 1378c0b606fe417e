//! Which server, and by what right.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, bail};
use client::{FileStorage, Server};
use config::{Loaded, Override};
use secrecy::SecretString;
use url::{Host, Url};

use super::logins::Logins;
use crate::args::Global;
use crate::data_dir;

/// A server, and what a command may say there.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) server: Server,
    pub(crate) right: Right,
    /// Where a bearer token was looked for in vain.
    looked_for: String,
}

/// What a command shows a server.
#[derive(Clone, Debug)]
pub(crate) enum Right {
    /// A token as it is.
    Token(SecretString),
    /// The saved log-in.
    Login(FileStorage),
    /// Nothing.
    None,
}

impl Target {
    /// The target of the flags and settings.
    ///
    /// # Errors
    ///
    /// If the address is none, or a file cannot be read.
    pub(crate) fn of(
        global: &Global,
        server: Option<&str>,
        token_file: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let set = server.map(|url| Override::new("client.server", "--server", url));
        let loaded = global.load(set.into_iter().collect())?;
        let logins = Logins::of_user();
        let address = address(&loaded, logins.as_ref())?;
        let right = right(&loaded, logins.as_ref(), token_file, &address)?;
        let own = data_dir::admin_token_file(&loaded.settings.data_dir);
        Ok(Self {
            server: Server::new(&address)?,
            right,
            looked_for: own.display().to_string(),
        })
    }

    /// The same for what everybody may ask.
    pub(crate) fn anonymous(self) -> Self {
        Self {
            right: Right::None,
            ..self
        }
    }

    /// The same, if there is a right at all.
    ///
    /// # Errors
    ///
    /// What to do to have one.
    pub(crate) fn with_right(self) -> anyhow::Result<Self> {
        if matches!(self.right, Right::None) {
            bail!(
                "there is no bearer token for {0}: log in (tokenfleet login --server {0} --email \
                 …), give --token-file FILE, set TOKENFLEET_ADMIN_TOKEN, or, for the `up` of this \
                 machine, --data-dir with its data directory (looked for {1})",
                self.server.address(),
                self.looked_for
            );
        }
        Ok(self)
    }
}

/// The server that is named, else that of the last log-in, else the API of these settings.
fn address(loaded: &Loaded, logins: Option<&Logins>) -> anyhow::Result<String> {
    let settings = &loaded.settings;
    if let Some(server) = &settings.client.server {
        return Ok(server.clone());
    }
    if let Some(server) = logins.map(Logins::last).transpose()?.flatten() {
        return Ok(server);
    }
    let public = settings.api.public_url.clone();
    Ok(public.unwrap_or_else(|| url_of(settings.api.bind)))
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

/// The file that is named; else who logged in there; else the token of the settings. The data
/// directory's token opens the server of this machine; no other is told it.
fn right(
    loaded: &Loaded,
    logins: Option<&Logins>,
    file: Option<&Path>,
    address: &str,
) -> anyhow::Result<Right> {
    if let Some(file) = file {
        let token = data_dir::read(file)?;
        let token = token.with_context(|| format!("there is no {}", file.display()))?;
        return Ok(Right::Token(token));
    }
    let saved = logins.map(|logins| logins.living_at(address)).transpose()?;
    if let Some(storage) = saved.flatten() {
        return Ok(Right::Login(storage));
    }
    if let Some(token) = &loaded.settings.api.admin_token {
        return Ok(Right::Token(token.clone()));
    }
    let own = data_dir::admin_token_file(&loaded.settings.data_dir);
    let own = if is_local(address) {
        data_dir::read(&own)?
    } else {
        None
    };
    Ok(own.map_or(Right::None, Right::Token))
}

fn is_local(address: &str) -> bool {
    let url = Url::parse(address).ok();
    match url.as_ref().and_then(Url::host) {
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
