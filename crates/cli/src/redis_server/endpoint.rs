//! Where the private server listens.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

const SOCKET: &str = "redis.sock";
/// The system takes 108 bytes with the final zero; a little less on others.
const SOCKET_PATH_MAX: usize = 100;

/// A socket in the data directory, or a loopback port with a password.
#[derive(Clone, Debug)]
pub(super) enum Endpoint {
    /// The socket's path.
    Socket(PathBuf),
    /// Port and password.
    Port(u16, SecretString),
}

impl Endpoint {
    /// The socket, or a free port if its path is too long.
    pub(super) fn choose(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(SOCKET);
        if path.as_os_str().len() <= SOCKET_PATH_MAX {
            return Ok(Self::Socket(path));
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .context("there is no free loopback port for redis-server")?
            .port();
        let password: [u8; 32] = rand::rng().random();
        Ok(Self::Port(port, URL_SAFE_NO_PAD.encode(password).into()))
    }

    /// The one that the configuration of an earlier run names.
    pub(super) fn of_conf(conf: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(conf).ok()?;
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        };
        match value("port")?.parse().ok()? {
            0 => Some(Self::Socket(conf.with_file_name(value("unixsocket")?))),
            port => Some(Self::Port(port, value("requirepass")?.into())),
        }
    }

    pub(super) fn is_port(&self) -> bool {
        matches!(self, Self::Port(..))
    }

    /// Its lines of `redis.conf`.
    pub(super) fn directives(&self) -> String {
        match self {
            Self::Socket(_) => format!("port 0\nunixsocket {SOCKET}\nunixsocketperm 700"),
            Self::Port(port, password) => format!(
                "port {port}\nbind 127.0.0.1\nrequirepass {}",
                password.expose_secret()
            ),
        }
    }

    /// As clients take it.
    pub(super) fn url(&self) -> SecretString {
        match self {
            Self::Socket(path) => {
                let url = Url::from_file_path(path)
                    .map_or_else(|()| path.display().to_string(), |url| url.path().to_owned());
                format!("redis+unix://{url}").into()
            }
            Self::Port(port, password) => {
                format!("redis://:{}@127.0.0.1:{port}/0", password.expose_secret()).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_found_again_in_the_configuration() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let conf = dir.path().join("redis.conf");
        let socket = Endpoint::Socket(dir.path().join(SOCKET));
        let port = Endpoint::Port(4711, "hush".into());

        for endpoint in [socket, port] {
            std::fs::write(&conf, endpoint.directives()).expect("it can be written");

            let found = Endpoint::of_conf(&conf).expect("it is named");

            let (found, expected) = (found.url(), endpoint.url());
            assert_eq!(found.expose_secret(), expected.expose_secret());
        }
    }

    #[test]
    fn a_path_too_long_for_a_socket_gets_a_port_and_a_password() {
        let long = PathBuf::from(format!("/{}", "x".repeat(120)));

        assert!(Endpoint::choose(&long).is_ok_and(|endpoint| endpoint.is_port()));
        assert!(Endpoint::choose(Path::new("/x")).is_ok_and(|endpoint| !endpoint.is_port()));
    }
}
